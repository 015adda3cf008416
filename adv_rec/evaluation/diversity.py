"""What the lists show, beyond being right: breadth, novelty, variety.

Below, L_u is the list of user u cut at k, without empty places (-1), x_i the
number of lists that hold item i, c_i the users in training who have it, and I
the number of items.
"""

from __future__ import annotations

import numpy as np


def evaluate(
  lists: np.ndarray,
  k: int,
  train_counts: np.ndarray,
  categories: np.ndarray | None = None,
  *,
  train_users: int,
) -> dict[str, float]:
  """All measures of this file, over the first k places of each list.

  Args:
    lists: [U, K] item ids, best first; -1 for nothing.
    k: places to look at, from 1 to K.
    train_counts: [I] users in training who have the item.
    categories: [I] category of each item, -1 where it is unknown.
    train_users: number of users in training.

  Returns:
    "coverage@k" (items), "item_coverage@k" (share of the catalogue), "gini@k",
    "novelty@k", "aplt@k", and with categories "ild@k", unless no list holds
    two items of known category.

  Raises:
    ValueError: an argument is out of range or of another length, or the lists
      hold no item at all.
  """
  lists = np.asarray(lists)
  train_counts = np.asarray(train_counts)
  n_items = len(train_counts)
  if not 1 <= k <= lists.shape[1]:
    raise ValueError(f"k is {k}: the lists have places 1 to {lists.shape[1]}")
  lists = lists[:, :k]
  if not (lists >= 0).any():
    raise ValueError("the lists hold no item")
  if lists.max() >= n_items:
    raise ValueError(
      f"item {lists.max()} is recommended, train_counts has {n_items} items"
    )
  if train_counts.min() < 0 or train_counts.max() > train_users:
    raise ValueError(
      f"train_counts are from {train_counts.min()} to {train_counts.max()}, "
      f"must be from 0 to train_users ({train_users})"
    )

  if not train_counts.any():
    raise ValueError("train_counts are all 0: there is no training data")

  shown = exposure(lists, n_items)
  result = {
    f"coverage@{k}": float((shown > 0).sum()),
    f"item_coverage@{k}": float((shown > 0).mean()),
    f"gini@{k}": gini(shown),
    f"novelty@{k}": novelty(lists, train_counts, train_users),
    f"aplt@{k}": mean_over_lists(lists, long_tail(train_counts)),
  }
  if categories is not None:
    categories = np.asarray(categories)
    if len(categories) != n_items:
      raise ValueError(
        f"{len(categories)} categories for {n_items} items in train_counts"
      )
    variety = intra_list_diversity(lists, categories)
    if not np.isnan(variety):
      result[f"ild@{k}"] = variety
  return result


def exposure(lists: np.ndarray, n_items: int) -> np.ndarray:
  """How many times each item is recommended, x. [U, k] -> [I]."""
  return np.bincount(lists[lists >= 0], minlength=n_items)


def gini(shown: np.ndarray) -> float:
  """Gini index of the exposure of all items, [I] -> scalar.

  G = sum_i (2 i - I - 1) x_(i) / (I sum_i x_i), x_(1) <= ... <= x_(I): 0 where
  all items are shown alike, (I - 1) / I where one item is all that is shown.
  """
  n = len(shown)
  weights = 2 * np.arange(1, n + 1) - n - 1
  return float(weights @ np.sort(shown) / (n * shown.sum()))


def novelty(
  lists: np.ndarray, train_counts: np.ndarray, train_users: int
) -> float:
  """Mean self-information of the recommended items, in bits.

  -log2(c_i / U), averaged over L_u and then over the users with a list: the
  surprisal of Zhou et al. 2010 (PNAS 107). An item nobody has in training
  counts as one that a single user has.
  """
  bits = -np.log2(np.maximum(train_counts, 1) / train_users)
  return mean_over_lists(lists, bits)


def long_tail(train_counts: np.ndarray, head: float = 0.8) -> np.ndarray:
  """Which items are in the long tail, [I] -> [I] bool.

  The short head is the smallest set of most popular items (lower id first
  among equals) with at least the share `head` of the training interactions;
  the long tail is all the rest.
  """
  order = np.argsort(-np.asarray(train_counts, np.int64), kind="stable")
  total = np.cumsum(train_counts[order])
  size = np.searchsorted(total, head * total[-1]) + 1
  tail = np.ones(len(order), bool)
  tail[order[:size]] = False
  return tail


def mean_over_lists(lists: np.ndarray, values: np.ndarray) -> float:
  """Mean over users of the mean of values_i over L_u; empty lists left out.

  With the `long_tail` as values it is the average percentage of long tail
  items, APLT, as a share (Abdollahpouri, Burke and Mobasher 2017, RecSys).
  """
  present = lists >= 0
  total = np.where(present, values[lists], 0).sum(axis=1)
  size = present.sum(axis=1)
  return float((total[size > 0] / size[size > 0]).mean())


def intra_list_diversity(lists: np.ndarray, categories: np.ndarray) -> float:
  """Mean share of pairs in a list that are of different categories.

  One minus the intra-list similarity of Ziegler et al. 2005 (WWW), with
  similarity 1 for the same category and 0 otherwise, as a mean over the pairs.
  An item of unknown category (-1) says nothing: its pairs are left out, and so
  are lists without a pair. NaN where no list has one.
  """
  category = np.where(lists >= 0, categories[lists], -1)
  different, pairs = np.zeros(len(lists)), np.zeros(len(lists))
  for gap in range(1, lists.shape[1]):
    one, other = category[:, :-gap], category[:, gap:]
    known = (one >= 0) & (other >= 0)
    different += (known & (one != other)).sum(axis=1)
    pairs += known.sum(axis=1)
  if not pairs.any():
    return float("nan")
  return float((different[pairs > 0] / pairs[pairs > 0]).mean())
