"""Closed forms fitted on some users that rank for others, by their histories.

Both return what matrix factorisation has: {"user": [U, D], "item": [I, D]},
users being those who are served. Served the users that it is fitted on, each
ranks as `models.svd.svd` and `models.closed_form.ease` do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg, sparse
from sklearn.utils import extmath

from adv_rec.types import Params

_BLOCK = 4096  # items
_PASSES = 5  # of subspace iteration


def matrix(
  users: np.ndarray, items: np.ndarray, shape: tuple[int, int]
) -> sparse.csr_array:
  """The binary matrix of pairs; a pair met twice counts once. -> [U, I]."""
  cell = np.unique(np.asarray(users, np.int64) * shape[1] + items)
  ones = np.ones(len(cell), np.float32)
  return sparse.csr_array((ones, np.divmod(cell, shape[1])), shape)


def ridge_svd(
  fitted: sparse.csr_array,
  served: sparse.csr_array,
  *,
  dim: int,
  l2: float,
  user_exponent: float,
  item_exponent: float,
  seed: int,
) -> Params:
  """`models.svd.svd` of one matrix, for the rows of another.

  With V, s the singular vectors and values of the normalised matrix and n the
  sizes of its columns, a row x has the scores
  x diag(n^-b) V diag(s^2 / (s^2 + l2)) V' diag(n^b).

  Args:
    fitted: [M, I].
    served: [U, I].
    dim: D, at most min(M, I).
    l2: at least 0.
    user_exponent: a.
    item_exponent: b.
    seed: of the first subspace of the iteration.

  Raises:
    ValueError: dim is out of range.
  """
  rows, columns = (
    np.maximum(np.asarray(fitted.sum(axis=axis)).ravel(), 1.0)
    for axis in (1, 0)
  )
  if not 1 <= dim <= (smaller := min(len(rows), len(columns))):
    raise ValueError(f"ridge_svd needs dim between 1 and {smaller}; got {dim}")
  scale = columns**item_exponent
  normal = (
    sparse.diags_array(rows**-user_exponent)
    @ fitted
    @ sparse.diags_array(1 / scale)
  )
  decompose: Any = extmath.randomized_svd
  found = decompose(
    normal, dim, n_oversamples=dim + 10, n_iter=_PASSES, random_state=seed
  )
  values, v = found[1], found[2].T
  kept = values**2 / np.maximum(values**2 + l2, 1e-12)
  return {
    "user": (served @ (v / scale[:, None])).astype(np.float32),
    "item": (v * kept * scale[:, None]).astype(np.float32),
  }


def ease(
  fitted: sparse.csr_array, served: sparse.csr_array, l2: float
) -> Params:
  """EASE of one matrix, for the rows of another, items they have left aside.

  As in `closed_form.ease`, with K = (S S' + l2 I)^-1 of the fitted rows S and
  d_i = 1 - s_i' K s_i a row x has the score (x S' K S)_i / d_i at an item that
  it does not have; where it has the item, the score means nothing.

  Args:
    fitted: S [M, I]; M^2 numbers are factorised.
    served: [U, I].
    l2: the ridge penalty, above 0.

  Raises:
    ValueError: l2 is not positive.
  """
  if l2 <= 0:
    raise ValueError(f"ease needs l2 > 0, got {l2}; try 100 to 2000")
  system = (fitted @ fitted.T).toarray().astype(np.float64)
  np.fill_diagonal(system, system.diagonal() + l2)
  inverse = linalg.inv(system, overwrite_a=True).astype(np.float32)
  columns, item = fitted.tocsc(), []
  for first in range(0, len(columns.indptr) - 1, _BLOCK):
    own = columns[:, first : first + _BLOCK].toarray()
    d = 1.0 - np.sum(own * (inverse @ own), axis=0)
    item.append((own / d).T)
  return {
    "user": (served @ fitted.T).toarray() @ inverse,
    "item": np.concatenate(item),
  }
