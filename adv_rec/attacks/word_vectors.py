"""Word vectors of a domain: neighbours as synonyms, and texts compared.

Made from the texts at hand, in any language, by a truncated singular value
decomposition of positive pointwise mutual information (Levy, Goldberg & Dagan
2015, Improving distributional similarity, sections 2 and 3: contexts smoothed
by the power .75, eigenvalues to the power 1/2). Words used alike lie close,
which antonyms are too: neighbours need a guard more than synonyms do. A model's
embedding table serves as well, `from_rows`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse
from sklearn.decomposition import TruncatedSVD

from adv_rec.attacks.words import Candidates, cased_like, split


class Vectors(NamedTuple):
  """Words and their vectors.

  Attributes:
    place: word in lower case -> row.
    rows: [W, D] float32, each of length 1.
  """

  place: Mapping[str, int]
  rows: np.ndarray


def from_texts(
  texts: Sequence[str],
  size: int = 100,
  window: int = 5,
  least: int = 5,
  seed: int = 0,
) -> Vectors:
  """Vectors of the words of texts.

  Args:
    texts: N of them.
    size: D, at most one less than the number of words.
    window: how far apart words are that count as context of each other.
    least: occurrences of a word that gets a vector.
    seed: of the decomposition's start.

  Raises:
    ValueError: fewer than three words occur so often.
  """
  lines = [[word.lower() for word in split(text)[0]] for text in texts]
  counts = Counter(word for line in lines for word in line)
  words = [word for word, count in counts.most_common() if count >= least]
  if len(words) < 3:
    raise ValueError(
      f"word vectors need texts: of {len(texts)} given, {len(words)} words"
      f" occur {least} times or more"
    )
  place = {word: row for row, word in enumerate(words)}
  ids = np.concatenate(
    [
      # A gap of a whole window keeps texts apart.
      np.array([place.get(w, -1) for w in line] + [-1] * window, np.int64)
      for line in lines
    ]
  )
  together = scipy.sparse.csr_matrix((len(words), len(words)))
  for distance in range(1, window + 1):
    left, right = ids[:-distance], ids[distance:]
    both = (left >= 0) & (right >= 0)
    pairs = (np.ones(both.sum()), (left[both], right[both]))
    together = together + scipy.sparse.csr_matrix(pairs, together.shape)
  weights = _positive_information((together + together.T).tocoo())
  svd = TruncatedSVD(min(size, len(words) - 1), random_state=seed)
  rows = svd.fit_transform(weights)  # of length s for singular values s
  return from_rows(words, rows / np.sqrt(svd.singular_values_))


def from_rows(words: Sequence[str], rows: np.ndarray) -> Vectors:
  """Vectors of a table that is there, such as a trained model's embeddings.

  Args:
    words: W of them.
    rows: [W, D].
  """
  rows = np.asarray(rows, np.float32)
  norms = np.linalg.norm(rows, axis=1, keepdims=True)
  rows = rows / np.where(norms > 0, norms, 1.0)
  return Vectors({word: row for row, word in enumerate(words)}, rows)


def neighbours(
  vectors: Vectors,
  least: float = 0.6,
  most: int = 10,
  guard: Callable[[str, str], bool] = lambda word, other: True,
) -> Candidates:
  """Word -> the words closest to it.

  Args:
    vectors: of the words.
    least: cosine between them.
    most: neighbours of a word.
    guard: (word, other) -> whether the other may stand for the word, such as
      `wordnet.same_part`.
  """
  words = list(vectors.place)

  @functools.lru_cache(1 << 16)
  def candidates(word: str) -> Sequence[str]:
    row = vectors.place.get(word.lower())
    if row is None:
      return ()
    cosines = vectors.rows @ vectors.rows[row]
    cosines[row] = -1
    order = np.argsort(-cosines, kind="stable")
    near = [words[i] for i in order[: (cosines >= least).sum()]]
    allowed = [other for other in near if guard(word, other)]
    return [cased_like(word, other) for other in allowed[:most]]

  return candidates


def bag_of_vectors(vectors: Vectors) -> Callable[[Sequence[str]], np.ndarray]:
  """Texts -> mean vectors of their words, [N, D]; zero if all are unknown."""

  def embed(texts: Sequence[str]) -> np.ndarray:
    bags = [
      [
        vectors.place[w]
        for w in map(str.lower, split(t)[0])
        if w in vectors.place
      ]
      for t in texts
    ]
    sizes = [len(bag) for bag in bags]
    where = np.repeat(np.arange(len(bags)), sizes)
    which = np.fromiter((i for bag in bags for i in bag), np.int64, sum(sizes))
    shape = (len(bags), len(vectors.rows))
    matrix = scipy.sparse.csr_matrix(
      (np.ones(len(which)), (where, which)), shape
    )
    return matrix @ vectors.rows / np.maximum(sizes, 1)[:, None]

  return embed


def _positive_information(cells: scipy.sparse.coo_matrix):
  """max(0, log p(w, c) / (p(w) p'(c))), p' ~ n(c)^.75. [W, W] sparse."""
  words = np.bincount(cells.row, cells.data)
  contexts = words**0.75  # rows and columns are counted alike
  information = np.log(
    cells.data * contexts.sum() / (words[cells.row] * contexts[cells.col])
  )
  kept = information > 0
  return scipy.sparse.csr_matrix(
    (information[kept], (cells.row[kept], cells.col[kept])), cells.shape
  )
