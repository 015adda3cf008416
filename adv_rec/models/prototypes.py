"""Users as draws from a few shopping lists: fitted to noisy sums, then drawn.

A list is a distribution over items. Everything here works on sums that were
bought (`privacy.behaviour`) and on random numbers; `members` alone reads
histories, each user's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg, sparse
from sklearn import cluster

_FLOOR = 0.5  # least weight of an item in popularity
_OTHERS = 0.05  # share of popularity in a list, where users are compared to it


def popularity(counts: np.ndarray) -> np.ndarray:
  """Shares of the items by noisy counts [I]; no item is without any."""
  kept = np.maximum(counts, _FLOOR)
  return kept / kept.sum()


def strong(sums: np.ndarray, noise: float, threshold: float) -> np.ndarray:
  """Noisy sums with all that may be noise taken out: 0 below a bound.

  Most cells hold nobody, and what noise puts there would be bought by as many
  made-up users together as what is true.

  Args:
    sums: of any shape.
    noise: standard deviation of a cell's noise.
    threshold: the bound, in units of it.
  """
  return np.where(sums > max(threshold * noise, 1e-9), sums, 0.0)


def leading(gram: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
  """The largest eigenvalues, negative ones as 0, and their vectors.

  Args:
    gram: [K, K], symmetric.
    rank: R, at most K.

  Returns:
    (values [R], vectors [K, R]).
  """
  size = len(gram)
  found: Any = linalg.eigh(gram, subset_by_index=[size - rank, size - 1])
  return np.maximum(found[0], 0.0), found[1]


def item_clusters(
  gram: np.ndarray,
  counts: np.ndarray,
  rank: int,
  clusters: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """Items that the same users have: spectral clustering of co-occurrences.

  Ng, Jordan & Weiss 2001, "On spectral clustering": the leading eigenvectors
  of the normalised matrix, rows of norm 1, k-means.

  Args:
    gram: [K, K] noisy co-occurrences.
    counts: [K] noisy counts of the same items, which normalise.
    rank: eigenvectors.
    clusters: C.
    rng: of the starts of k-means.

  Returns:
    [K], in 0 .. C-1; a cluster may be empty.
  """
  size = np.sqrt(np.maximum(counts, 1.0))
  values, vectors = leading(gram / np.outer(size, size), rank)
  points = vectors * np.sqrt(values)
  norm = np.linalg.norm(points, axis=1, keepdims=True)
  points /= np.maximum(norm, 1e-12)
  seed = int(rng.integers(2**31))
  k_means: Any = cluster.KMeans
  means = k_means(clusters, n_init=3, random_state=seed)
  return means.fit_predict(points)


def members(
  rows: sparse.csr_array,
  lists: np.ndarray,
  popular: np.ndarray,
  weights: np.ndarray,
) -> np.ndarray:
  """The likeliest list of each user, by the user's own items. -> [U].

  Args:
    rows: [U, I], whose nonzero cells are the items.
    lists: [I, C] weights, not negative.
    popular: [I] from `popularity`.
    weights: [C] of the lists, not negative.
  """
  total = np.maximum(lists.sum(axis=0), 1e-12)
  ratio = (1 - _OTHERS) * lists / total / popular[:, None] + _OTHERS
  has = sparse.csr_array((np.ones_like(rows.data), rows.indices, rows.indptr))
  has.resize(rows.shape)
  prior = np.log(weights / max(weights.sum(), 1e-12) + 1e-6)
  return (has @ np.log(ratio) + prior).argmax(axis=1)


def draw(
  lists: np.ndarray,
  weights: np.ndarray,
  users: int,
  length: float,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Made-up users: each has a list, and items of it.

  Args:
    lists: [I, C] weights, not negative.
    weights: [C] how often a list is chosen, in any unit.
    users: how many.
    length: items of a user on average, before those drawn twice are left out;
      at least 2 are drawn.
    rng: of the draws.

  Returns:
    (user [N], item [N]), by user, each item once.

  Raises:
    ValueError: no list has an item.
  """
  weights = np.where(lists.sum(axis=0) > 0, np.maximum(weights, 0.0), 0.0)
  if not weights.sum():
    raise ValueError(
      "noise is all there is: no list has an item left; allow a larger epsilon"
      " or a smaller threshold"
    )
  chosen = rng.choice(len(weights), users, p=weights / weights.sum())
  size = np.maximum(rng.poisson(length, users), 2)
  item = np.empty(size.sum(), np.int64)
  user = np.repeat(np.arange(users), size)
  of_row = chosen[user]
  order = np.argsort(of_row, kind="stable")
  ends = np.cumsum(np.bincount(of_row, minlength=len(weights)))
  for which, place in enumerate(np.split(order, ends[:-1])):
    if len(place):
      share = lists[:, which] / lists[:, which].sum()
      item[place] = rng.choice(len(share), len(place), p=share)
  cell = np.unique(user * len(lists) + item)
  user, item = np.divmod(cell, len(lists))
  return user.astype(np.int32), item.astype(np.int32)
