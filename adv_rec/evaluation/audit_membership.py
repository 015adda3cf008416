"""Who was in the source? Membership inference from a released table alone.

Three attacks score a row x by the release S, some of them by a reference R of
real rows that are neither members nor judged (half of the control), r_k being
the distance to the k-th nearest row:

  closest     -r_1(x, S)
  density_1   ln(r_1(x, R) / r_1(x, S))
  density_5   ln(r_5(x, R) / r_5(x, S))

The latter two are the density ratio of DOMIAS (van Breugel et al. 2023,
arXiv:2302.12580, eq. 2), up to a monotone map, with nearest-neighbour
estimates of both densities.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from adv_rec.evaluation import audit_bounds as bounds
from adv_rec.evaluation.audit_bounds import Estimate
from adv_rec.evaluation.audit_copies import sample
from adv_rec.evaluation.audit_rows import Columns, nearest

RATES = (0.01, 0.001)  # of false positives
_RESAMPLES = 200
_NEIGHBOURS = 5
_TINY = 1e-4  # in units of Gower's distance; copies are at 0


def membership(
  source: np.ndarray,
  control: np.ndarray,
  synthetic: np.ndarray,
  columns: Columns,
  delta: float,
  confidence: float,
  rng: np.random.Generator,
  most: int,
) -> dict[str, Any]:
  """Attacks on rows of the source, with rows of the control for others.

  Args:
    source: [N, C].
    control: [M, C].
    synthetic: [S, C].
    columns: of these.
    delta: of the bound on epsilon.
    confidence: of intervals and bound.
    rng: draws rows, halves and resamples.
    most: members and others, each, to attack.

  Returns:
    "attacks": of each its "auc" and "tpr@RATE" with bootstrap intervals;
    "epsilon": see `bound`; "members", "others", "reference": numbers of rows.
  """
  order = rng.permutation(len(control))
  half = len(control) // 2
  reference = sample(control[order[:half]], 4 * most, rng)
  others = sample(control[order[half:]], most, rng)
  members = sample(source, most, rng)
  inside, outside = (
    scores(x, synthetic, reference, columns) for x in (members, others)
  )
  return {
    "attacks": {
      name: measures(inside[name], outside[name], confidence, rng)
      for name in inside
    },
    "epsilon": bound(inside, outside, delta, confidence, rng),
    "members": len(members),
    "others": len(others),
    "reference": len(reference),
  }


def scores(
  rows: np.ndarray,
  synthetic: np.ndarray,
  reference: np.ndarray,
  columns: Columns,
) -> dict[str, np.ndarray]:
  """Attack -> [N], the higher the more a row looks like a member."""
  chosen = range(len(columns.names))
  made, real = (
    nearest(rows, x, columns, chosen, min(_NEIGHBOURS, len(x)))[0]
    for x in (synthetic, reference)
  )

  def ratio(k):
    return np.log((real[:, k] + _TINY) / (made[:, k] + _TINY))

  return {
    "closest": -made[:, 0],
    "density_1": ratio(0),
    f"density_{_NEIGHBOURS}": ratio(-1),
  }


def measures(
  inside: np.ndarray,
  outside: np.ndarray,
  confidence: float,
  rng: np.random.Generator,
) -> dict[str, Any]:
  """AUC and TPR at low FPR of scores, with intervals of the bootstrap.

  Members and others are drawn again, each for themselves; ends are quantiles.
  Of a TPR that is decided by the few highest others the bootstrap is a rough
  one; its "p_value" is exact: the chance of as many members as high, if every
  order of members and others is as likely.

  Args:
    inside: scores of members.
    outside: scores of others; a rate below one of them is that of none.
    confidence: of the intervals.
    rng: draws.
  """
  point = _measures(inside, outside)
  drawn = [
    _measures(
      rng.choice(inside, len(inside)), rng.choice(outside, len(outside))
    )
    for _ in range(_RESAMPLES)
  ]
  tails = [(1 - confidence) / 2, (1 + confidence) / 2]
  ends = np.quantile(drawn, tails, axis=0)
  names = ["auc", *(f"tpr@{rate}" for rate in RATES)]
  found = {
    name: Estimate(float(p), float(low), float(high))._asdict()
    for name, p, low, high in zip(names, point, *ends, strict=True)
  }
  for rate in RATES:
    found[f"tpr@{rate}"]["p_value"] = _chance(inside, outside, rate)
  return found


def bound(
  inside: dict[str, np.ndarray],
  outside: dict[str, np.ndarray],
  delta: float,
  confidence: float,
  rng: np.random.Generator,
) -> dict[str, Any]:
  """A lower bound on epsilon: attack and threshold chosen on other rows.

  On one half of the rows the attack and the threshold with the greatest bound
  are chosen, on the other half this one is judged, so that the confidence is
  that of one attack. Rows count as independent trials, though all of them meet
  one release: to do without that, train with canaries
  (`privacy.canaries.epsilon_bound`).

  Args:
    inside: attack -> scores of members.
    outside: attack -> scores of others.
    delta: of the definition.
    confidence: of the bound.
    rng: halves the rows.

  Returns:
    "lower", "attack", "threshold", "tpr", "fpr" on the judging half,
    "confidence", "delta".
  """
  first = next(iter(inside))
  parts = [_halves(len(x[first]), rng) for x in (inside, outside)]
  (choose_in, judge_in), (choose_out, judge_out) = parts

  def found(name, threshold, ins, outs):
    x, y = inside[name][ins], outside[name][outs]
    tp, fp = int((x >= threshold).sum()), int((y >= threshold).sum())
    least = bounds.epsilon(tp, len(x), fp, len(y), delta, confidence)
    return least, tp / len(x), fp / len(y)

  best = (-1.0, first, np.inf)
  for name in inside:
    levels = np.linspace(0, 1, 201)
    for threshold in np.unique(np.quantile(inside[name][choose_in], levels)):
      least, *_ = found(name, threshold, choose_in, choose_out)
      best = max(best, (least, name, float(threshold)))
  _, name, threshold = best
  least, tpr, fpr = found(name, threshold, judge_in, judge_out)
  return {
    "lower": least,
    "confidence": confidence,
    "delta": delta,
    "attack": name,
    "threshold": threshold,
    "tpr": tpr,
    "fpr": fpr,
  }


def _halves(size: int, rng: np.random.Generator):
  order = rng.permutation(size)
  return order[: size // 2], order[size // 2 :]


def _chance(inside: np.ndarray, outside: np.ndarray, rate: float) -> float:
  """Of as many members above all but `rate` of the others, by order alone."""
  allowed = int(rate * len(outside))
  above = int(np.sum(inside > np.sort(outside)[-1 - allowed]))
  # So many are, if no more than `allowed` others are among the highest.
  total = len(inside) + len(outside)
  return float(
    stats.hypergeom.cdf(allowed, total, len(outside), above + allowed)
  )


def _measures(inside: np.ndarray, outside: np.ndarray) -> list[float]:
  inside, outside = np.sort(inside), np.sort(outside)
  below = np.searchsorted(outside, inside, "left")
  upto = np.searchsorted(outside, inside, "right")
  auc = float(np.mean(below + upto) / 2 / len(outside))
  rates = []
  for rate in RATES:
    allowed = int(rate * len(outside))
    threshold = outside[-1 - allowed]  # those above it are named
    rates.append(float(np.mean(inside > threshold)))
  return [auc, *rates]
