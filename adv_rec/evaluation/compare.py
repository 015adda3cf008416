"""Paired comparison of two recommenders, user by user. Numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_CELLS = 1 << 22  # users x resamples held at once


class Difference(NamedTuple):
  """The difference of two means over the same users, first minus second.

  Attributes:
    first: mean of the first.
    second: mean of the second.
    difference: first - second.
    low: lower end of the 95 % interval of the difference.
    high: its upper end.
    p_value: two-sided, of the hypothesis that the difference is zero.
    users: number of users compared.
  """

  first: float
  second: float
  difference: float
  low: float
  high: float
  p_value: float
  users: int


def paired_bootstrap(
  first: Mapping[str, np.ndarray],
  second: Mapping[str, np.ndarray],
  resamples: int = 10_000,
  level: float = 0.95,
  seed: int = 0,
) -> dict[str, Difference]:
  """Compares the metrics that both have, by resampling users in pairs.

  Percentile interval of the mean difference, and as p-value the share of
  resampled means at least as far from the observed one as that is from zero
  (Efron and Tibshirani 1993, chapters 13 and 16; with one added to both
  counts, so that it is never zero). It speaks of users: the luck of one
  training run is in it as it is, not averaged out.

  Args:
    first: "user" -> codes [U], each once, and metric -> values [U]; users
      whose value is NaN in either are left out.
    second: likewise, of the same users in any order.
    resamples: bootstrap draws; all metrics share them.
    level: of the interval.
    seed: of the draws.

  Returns:
    metric -> difference, in the order of `first`.

  Raises:
    ValueError: other users, no common metric, or nobody to compare.
  """
  orders = [np.argsort(values["user"]) for values in (first, second)]
  users = first["user"][orders[0]]
  if not np.array_equal(users, second["user"][orders[1]]):
    raise ValueError(
      "the runs were measured on different users; compare runs on the same data"
    )
  names = [name for name in first if name != "user" and name in second]
  if not names:
    raise ValueError("the runs have no metric in common; use the same ks")
  one, other = (
    np.stack([values[name][order] for name in names], axis=1).astype(float)
    for values, order in zip((first, second), orders, strict=True)
  )
  counted = np.isfinite(one - other).all(axis=1)
  one, other = one[counted], other[counted]
  if not len(one):
    raise ValueError("no user has test items in both runs: nothing to compare")

  paired = one - other
  observed = paired.mean(axis=0)
  means = _resampled_means(paired, resamples, seed)
  low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
  extreme = np.abs(means - observed) >= np.abs(observed)
  p_values = (extreme.sum(axis=0) + 1) / (resamples + 1)
  return {
    name: Difference(
      float(one[:, i].mean()),
      float(other[:, i].mean()),
      float(observed[i]),
      float(low[i]),
      float(high[i]),
      float(p_values[i]),
      len(one),
    )
    for i, name in enumerate(names)
  }


def _resampled_means(
  values: np.ndarray, resamples: int, seed: int
) -> np.ndarray:
  """Means over users drawn with replacement. [U, M] -> [resamples, M]."""
  rng = np.random.default_rng(seed)
  n = len(values)
  at_once = max(_CELLS // n, 1)
  means = []
  for start in range(0, resamples, at_once):
    rows = min(at_once, resamples - start)
    drawn = rng.integers(n, size=(rows, n))
    drawn += n * np.arange(rows)[:, None]
    # How often each user is drawn: one matrix product serves all metrics.
    times = np.bincount(drawn.reshape(-1), minlength=rows * n)
    means.append(times.reshape(rows, n) @ values / n)
  return np.concatenate(means)
