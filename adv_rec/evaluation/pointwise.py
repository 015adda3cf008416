"""How good chances of a label are: order, calibration, gain. NumPy.

Labels are 0 or 1, [N]; chances are of the label 1, [N], from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics

_BINS = 15  # of calibration
_LEAST = 1e-7  # distance of a chance from 0 and 1 in logarithms


def scores(
  label: np.ndarray,
  logits: np.ndarray,
  group: np.ndarray,
  kept: tuple[float, float] = (1.0, 1.0),
) -> dict[str, float]:
  """All measures of log-odds.

  Args:
    label: [N].
    logits: [N], ln p / (1 - p).
    group: [N] int, whose rows are ranked among themselves.
    kept: shares of all examples of label 0 and 1 that are here; see `lift`.

  Raises:
    ValueError: only one label.
  """
  if len(np.unique(label)) < 2:
    raise ValueError("the rows to measure have one label only: no AUC")
  chance = chances(logits)
  weight = np.where(label > 0, 1 / kept[1], 1 / kept[0])
  return {
    # Of the log-odds, which differ where chances are all but 1.
    "auc": float(metrics.roc_auc_score(label, logits)),
    "gauc": grouped_auc(label, np.asarray(logits), group),
    "log_loss": log_loss(label, chance),
    "rig": information_gain(label, chance),
    "ece": calibration_error(label, chance),
    "accuracy": float(np.mean((chance > 0.5) == (label > 0))),
    "lift": lift(label, np.asarray(logits), 0.01, weight),
  }


def chances(logits: np.ndarray) -> np.ndarray:
  """Log-odds as chances, 1 / (1 + exp(-x)). [N] -> [N] float64."""
  return 1 / (1 + np.exp(-np.clip(np.asarray(logits, float), -30, 30)))


def log_loss(label: np.ndarray, chance: np.ndarray) -> float:
  """Mean of -ln of the chance of what happened."""
  chance = np.clip(chance, _LEAST, 1 - _LEAST)
  return float(metrics.log_loss(label, chance, labels=[0, 1]))


def information_gain(label: np.ndarray, chance: np.ndarray) -> float:
  """1 - log loss / log loss of the mean label, known beforehand.

  Relative information gain, 1 less the normalised entropy of He et al. 2014
  (Practical lessons from predicting clicks on ads at Facebook, eq. 1).
  """
  rate = np.full(len(label), np.mean(label))
  return 1 - log_loss(label, chance) / log_loss(label, rate)


def grouped_auc(
  label: np.ndarray, score: np.ndarray, group: np.ndarray
) -> float:
  """AUC within each group that has both labels, weighted by its rows.

  Zhu et al. 2017 (Optimized cost per click, arXiv:1703.02091), eq. 13; ties
  count one half. NaN where no group has both.
  """
  _, code = np.unique(group, return_inverse=True)
  # Ranks within groups: those in all, in an order of groups first.
  rank = stats.rankdata(score)
  place = stats.rankdata(code * (len(score) + 1.0) + rank)
  size = np.bincount(code)
  place -= (np.cumsum(size) - size)[code]
  positive = np.bincount(code, label)
  negative = size - positive
  total = np.bincount(code, np.where(label > 0, place, 0.0))
  both = (positive > 0) & (negative > 0)
  if not both.any():
    return float("nan")
  won = total - positive * (positive + 1) / 2
  auc = won[both] / (positive * negative)[both]
  return float(np.average(auc, weights=size[both]))


def calibration_error(label: np.ndarray, chance: np.ndarray) -> float:
  """Expected calibration error, over bins of equally many rows.

  Naeini et al. 2015 (AAAI), section 3: sum of share x |mean label - mean
  chance|; bins of equal mass, as in Nguyen & O'Connor 2015.
  """
  rows = reliability(label, chance)
  gaps = [abs(row["label"] - row["chance"]) * row["rows"] for row in rows]
  return float(sum(gaps) / len(label))


def reliability(label: np.ndarray, chance: np.ndarray) -> list[dict[str, Any]]:
  """Mean chance and mean label of each bin, the points of the plot."""
  order = np.argsort(chance, kind="stable")
  return [
    {
      "chance": float(np.mean(chance[own])),
      "label": float(np.mean(label[own])),
      "rows": len(own),
    }
    for own in np.array_split(order, min(_BINS, len(order)))
  ]


def lift(
  label: np.ndarray, score: np.ndarray, share: float, weight: np.ndarray
) -> float:
  """The rate of label 1 among the highest scores over the rate of all.

  Where examples were left out, a row stands for `weight` of them. Of equal
  scores at the cut all count alike, by a share.

  Args:
    label: [N].
    score: [N].
    share: of all examples that are on top, such as 0.01.
    weight: [N], above 0.
  """
  distinct, code = np.unique(-score, return_inverse=True)
  mass = np.bincount(code, weight, len(distinct))
  hits = np.bincount(code, weight * (label > 0), len(distinct))
  room = share * mass.sum() - (np.cumsum(mass) - mass)
  taken = np.clip(room / mass, 0.0, 1.0)
  return float((taken @ hits) / hits.sum() / share)
