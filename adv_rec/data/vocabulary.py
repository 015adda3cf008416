"""Which words a model knows: words <-> ids, with ids for padding and unknown.

Fitted on training texts only. Whatever comes later, a word of its own or none
at all, has an id.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

PAD, UNKNOWN = 0, 1
_SPECIAL = ("<pad>", "<unknown>")


class Vocabulary(NamedTuple):
  """The words by id.

  Attributes:
    words: V of them, the two special ones first.
    counts: [V] int64, how often each occurs in the training texts; of the
      unknown word, all that are too rare to be known.
  """

  words: tuple[str, ...]
  counts: np.ndarray

  def encode(self, texts: Iterable[Sequence[str]], length: int) -> np.ndarray:
    """The first `length` words of each text, padded. -> [N, length] int32."""
    ids = {word: i for i, word in enumerate(self.words)}
    rows = [[ids.get(w, UNKNOWN) for w in words[:length]] for words in texts]
    result = np.full((len(rows), length), PAD, np.int32)
    for row, found in zip(result, rows, strict=True):
      row[: len(found)] = found
    return result

  def save(self, path: str | os.PathLike[str]) -> None:
    """Writes a JSON file."""
    content = {"words": self.words, "counts": self.counts.tolist()}
    pathlib.Path(path).write_text(json.dumps(content, ensure_ascii=False))


def fit(
  texts: Iterable[Sequence[str]], least: int = 2, most: int = 50_000
) -> Vocabulary:
  """The words that occur `least` times, at most `most` of them.

  Args:
    texts: words of each training text.
    least: rarer words are unknown, which is how the unknown one is learnt.
    most: V at most, the frequent ones.
  """
  counts = Counter(word for words in texts for word in words)
  # Equally frequent words by the alphabet: the order of texts decides nothing.
  ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
  known = [(w, n) for w, n in ordered if n >= least][: most - len(_SPECIAL)]
  rest = counts.total() - sum(n for _, n in known)
  return Vocabulary(
    (*_SPECIAL, *(word for word, _ in known)),
    np.array([0, rest, *(n for _, n in known)], np.int64),
  )


def load(path: str | os.PathLike[str]) -> Vocabulary:
  """Reads what `Vocabulary.save` wrote."""
  content = json.loads(pathlib.Path(path).read_text())
  return Vocabulary(tuple(content["words"]), np.array(content["counts"]))
