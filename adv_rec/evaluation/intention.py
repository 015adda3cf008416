"""Predictors of who buys, and how good their probabilities are."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import threadpoolctl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PREDICTORS = ("rule", "logistic", "boosting")
_PRIOR = 5.0  # rows that the rate of all rows weighs in a cell of the rule


class Examples(Protocol):
  """Rows to learn from or to score; see `data.intention.Rows`."""

  @property
  def features(self) -> np.ndarray:
    """[N, F]; four counts and the days since come first."""
    ...

  @property
  def label(self) -> np.ndarray:
    """[N] bool."""
    ...

  @property
  def category(self) -> np.ndarray:
    """[N] int."""
    ...


def predict(
  name: str, train: Examples, asked: Examples, seed: int
) -> np.ndarray:
  """The chance that each row asked about is positive. -> [N].

  Args:
    name: "rule", the rate among the rows learnt from with the same category,
      weeks with a purchase and weeks since the last; "logistic", logistic
      regression on scaled features; "boosting", gradient boosting of
      histograms, 100 trees; both of scikit-learn.
    train: what is learnt from; both labels occur.
    asked: what is scored.
    seed: of the boosting.
  """
  if name == "rule":
    return _rule(train, asked)
  if name == "logistic":
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
  else:
    model = HistGradientBoostingClassifier(max_iter=100, random_state=seed)
  # Threads that wait for each other take longer than one that works.
  with threadpoolctl.threadpool_limits(1):
    model.fit(train.features, train.label)
    return model.predict_proba(asked.features)[:, 1]


def scores(label: np.ndarray, chance: np.ndarray) -> dict[str, float]:
  """Of chances [N]: "auc", "ap" (average precision), "log_loss" (nats)."""
  return {
    "auc": float(roc_auc_score(label, chance)),
    "ap": float(average_precision_score(label, chance)),
    "log_loss": float(log_loss(label, np.clip(chance, 1e-6, 1 - 1e-6))),
  }


def _rule(train: Examples, asked: Examples) -> np.ndarray:
  size = 25 * (max(train.category.max(), asked.category.max()) + 1)
  cells = _cells(train)
  seen = np.bincount(cells, minlength=size)
  positive = np.bincount(cells, train.label, minlength=size)
  rate = (positive + _PRIOR * train.label.mean()) / (seen + _PRIOR)
  return rate[_cells(asked)]


def _cells(rows: Examples) -> np.ndarray:
  """Category, weeks with a purchase (0 .. 4), weeks since (0 .. 4). -> [N]."""
  weeks = (rows.features[:, :4] > 0).sum(axis=1)
  since = np.minimum(rows.features[:, 4] // 7, 4).astype(int)
  return (rows.category * 5 + weeks) * 5 + since
