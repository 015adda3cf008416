"""Are made-up users real ones? Whole histories, and closest ones.

All real users were learnt from, so that there is no control; how close real
users are to each other stands beside.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse, stats

from adv_rec.evaluation.audit_bounds import Estimate, wilson

_LEAST = 5  # items: shorter histories coincide by chance
_BLOCK = 1 << 23  # similarities that are held at a time


def compare(
  real: sparse.csr_array,
  made: sparse.csr_array,
  most: int,
  confidence: float,
  rng: np.random.Generator,
) -> dict[str, Any]:
  """Made-up users, and real ones, beside the closest (other) real user.

  Args:
    real: [U, I], of ones; the histories that were learnt from.
    made: [V, I], likewise; the release.
    most: users of each to look at.
    confidence: of the intervals.
    rng: draws them.

  Returns:
    "copies": the share of users of at least 5 items that have the very items of
    a real one; "closest": the mean similarity (Jaccard 1912) to the closest;
    of each "made" and "real" as value, low, high; "rows": users looked at.
  """
  found: dict[str, Any] = {"copies": {}, "closest": {}}
  for name, users, itself in (("made", made, False), ("real", real, True)):
    size = np.asarray(users.sum(axis=1)).ravel()
    there = np.flatnonzero(size)
    long = np.flatnonzero(size >= _LEAST)
    for what, chosen in (("copies", long), ("closest", there)):
      some = np.sort(rng.permutation(chosen)[:most])
      near = _nearest(users[some], real, some if itself else None)
      if what == "copies":
        trials = max(len(near), 1)
        estimate = wilson(float((near == 1).sum()), trials, confidence)
      else:
        estimate = _mean(near, confidence)
        found.setdefault("rows", len(some))
      found[what][name] = estimate._asdict()
  return found


def _mean(values: np.ndarray, confidence: float) -> Estimate:
  mean = float(values.mean()) if len(values) else 0.0
  spread = float(values.std()) / math.sqrt(max(len(values), 1))
  half = float(stats.norm.isf((1 - confidence) / 2)) * spread
  return Estimate(mean, mean - half, mean + half)


def _nearest(
  users: sparse.csr_array, real: sparse.csr_array, itself: np.ndarray | None
) -> np.ndarray:
  """The greatest similarity to a real user. [N, I], [U, I] -> [N].

  Args:
    users: histories.
    real: likewise.
    itself: [N], which real user each is, to be left out; None: none.
  """
  sizes = np.asarray(real.sum(axis=1)).ravel()
  num, block = len(users.indptr) - 1, max(1, _BLOCK // len(sizes))
  found = [np.empty(0)]
  for start in range(0, num, block):
    some = users[start : start + block]
    both = (some @ real.T).toarray()
    own = np.asarray(some.sum(axis=1))[:, None]
    similar = both / np.maximum(own + sizes - both, 1)
    if itself is not None:
      similar[np.arange(len(similar)), itself[start : start + block]] = 0
    found.append(similar.max(axis=1))
  return np.concatenate(found)
