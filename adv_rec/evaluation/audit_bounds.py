"""How sure a measured rate is, and the epsilon that it excludes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class Estimate(NamedTuple):
  """A number and the interval around it."""

  value: float
  low: float
  high: float


def wilson(successes: float, trials: float, confidence: float) -> Estimate:
  """The rate of successes with Wilson's score interval (1927).

  Args:
    successes: need not be whole, as where ties count half.
    trials: above 0; fewer than were made, where these depend on each other.
    confidence: of the interval, two-sided.
  """
  middle, half = _score(successes, trials, confidence)
  return Estimate(
    successes / trials, max(middle - half, 0.0), min(middle + half, 1.0)
  )


def difference(first: Estimate, second: Estimate) -> Estimate:
  """first - second of independent rates, from the ends of their intervals.

  Newcombe 1998 (Statistics in Medicine 17, 873-890), method 10.
  """
  value = first.value - second.value
  low = math.hypot(first.value - first.low, second.high - second.value)
  high = math.hypot(first.high - first.value, second.value - second.low)
  return Estimate(value, value - low, value + high)


def residual(
  main: int, control: int, trials: int, confidence: float
) -> Estimate:
  """The risk (main - control) / (1 - control), in [0, 1].

  Rates are the middles of Wilson's intervals, whose halves are propagated, as
  in Giomi et al. 2023 (arXiv:2211.10459), section 4.

  Args:
    main: successes against rows of the source.
    control: successes against rows of the control.
    trials: against each.
    confidence: of the interval.
  """
  (r, dr), (c, dc) = (_score(s, trials, confidence) for s in (main, control))
  value = (r - c) / (1 - c)
  half = math.hypot(dr / (1 - c), dc * (1 - r) / (1 - c) ** 2)
  ends = np.clip([value, value - half, value + half], 0.0, 1.0)
  return Estimate(*map(float, ends))


def upper(successes: int, trials: int, confidence: float) -> float:
  """Clopper and Pearson's one-sided upper end of a rate (1934)."""
  if successes == trials:
    return 1.0
  return float(stats.beta.ppf(confidence, successes + 1, trials - successes))


def lower(successes: int, trials: int, confidence: float) -> float:
  """Clopper and Pearson's one-sided lower end of a rate."""
  return 1.0 - upper(trials - successes, trials, confidence)


def epsilon(
  true_positives: int,
  members: int,
  false_positives: int,
  others: int,
  delta: float,
  confidence: float,
) -> float:
  """The least epsilon that an attack's rates leave, 0 if they leave any.

  Whatever is (epsilon, delta)-private has TPR <= exp(epsilon) FPR + delta
  (Kairouz et al. 2015, arXiv:1311.0776), so that

    epsilon >= ln((lower end of TPR - delta) / upper end of FPR),

  each end with half of the error that is allowed.

  Args:
    true_positives: of the members, how many the attack has named.
    members: how many there are.
    false_positives: of the others, how many it has named.
    others: how many there are.
    delta: at least 0.
    confidence: of the bound.
  """
  each = 1 - (1 - confidence) / 2
  true = lower(true_positives, members, each) - delta
  false = upper(false_positives, others, each)
  return max(0.0, math.log(true / false)) if true > 0 else 0.0


def _score(
  successes: float, trials: float, confidence: float
) -> tuple[float, float]:
  """Middle and half of Wilson's interval."""
  z = float(stats.norm.ppf((1 + confidence) / 2))
  inside = successes * (trials - successes) / trials + z * z / 4
  total = trials + z * z
  return (successes + z * z / 2) / total, z * math.sqrt(inside) / total
