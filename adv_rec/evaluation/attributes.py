"""Attributes of people by numbers known of them: classifiers and scores.

The same classifiers predict an attribute where that is wanted, and attack a
representation from which it should not be predictable.
"""

from __future__ import annotations

import numpy as np
import threadpoolctl
from sklearn import metrics
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CLASSIFIERS = ("logistic", "boosting", "perceptron")
_FOLDS = 5
_PENALTIES = (0.003, 0.03, 0.3)  # C of logistic regression, chosen inside


def chances(
  name: str,
  values: np.ndarray,
  label: np.ndarray,
  asked: np.ndarray,
  classes: int,
  seed: int,
) -> np.ndarray:
  """The chance of each class. -> [M, C].

  Args:
    name: one of `CLASSIFIERS`, or "majority": the shares of the classes.
    values: of the rows learnt from [N, F].
    label: their classes [N].
    asked: rows to tell [M, F].
    classes: C.
    seed: of what is drawn.
  """
  found = np.full((len(asked), classes), 1e-6)
  if name == "majority":
    found[:] = np.bincount(label, minlength=classes) / len(label)
    return found
  # Threads that wait for each other take longer than one that works.
  with threadpoolctl.threadpool_limits(1):
    model = make_pipeline(StandardScaler(), _model(name, values, label, seed))
    model.fit(values, label)
    found[:, model.classes_] = model.predict_proba(asked)
  return found / found.sum(axis=1, keepdims=True)


def cross_validated(
  name: str, values: np.ndarray, label: np.ndarray, classes: int, seed: int
) -> np.ndarray:
  """Chances of each row by a classifier that has not seen it. -> [N, C].

  Args:
    name: one of `CLASSIFIERS`.
    values: [N, F].
    label: [N].
    classes: C.
    seed: of the folds, and of what is drawn.
  """
  found = np.zeros((len(label), classes))
  folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
  for learnt, asked in folds.split(values, label):
    found[asked] = chances(
      name, values[learnt], label[learnt], values[asked], classes, seed
    )
  return found


def scores(label: np.ndarray, chance: np.ndarray) -> dict[str, float]:
  """How well chances [N, C] tell labels [N].

  Returns:
    "accuracy" of the likeliest class; "balanced", the mean over classes of the
    share of each that is told; "auc", of more than two classes the mean of
    each against the rest; "log_loss" in nats; "majority", the share of the
    most frequent class.
  """
  present = np.unique(label)
  told = chance.argmax(axis=1)
  aucs = [
    metrics.roc_auc_score(label == c, chance[:, c])
    for c in (present[1:] if chance.shape[1] == 2 else present)
    if len(present) > 1
  ]
  of_own = np.clip(chance[np.arange(len(label)), label], 1e-7, 1.0)
  return {
    "accuracy": float(np.mean(told == label)),
    "balanced": float(
      np.mean([np.mean(told[label == c] == c) for c in present])
    ),
    "auc": float(np.mean(aucs)) if aucs else float("nan"),
    "log_loss": float(-np.mean(np.log(of_own))),
    "majority": float(np.bincount(label).max() / len(label)),
  }


def _model(
  name: str, values: np.ndarray, label: np.ndarray, seed: int
) -> ClassifierMixin:
  if name == "boosting":
    return HistGradientBoostingClassifier(
      max_iter=100, learning_rate=0.05, max_leaf_nodes=8, random_state=seed
    )
  if name == "perceptron":
    return MLPClassifier(
      (64,), alpha=1.0, early_stopping=True, max_iter=200, random_state=seed
    )
  if name != "logistic":
    raise ValueError(f"classifier {name!r}: choose {', '.join(CLASSIFIERS)}")
  return LogisticRegression(C=_penalty(values, label, seed), max_iter=300)


def _penalty(values: np.ndarray, label: np.ndarray, seed: int) -> float:
  """What is best by log loss, within the rows learnt from."""
  losses = np.zeros(len(_PENALTIES))
  folds = StratifiedKFold(3, shuffle=True, random_state=seed)
  for learnt, asked in folds.split(values, label):
    scale = StandardScaler().fit(values[learnt])
    for i, penalty in enumerate(_PENALTIES):
      model = LogisticRegression(C=penalty, max_iter=300)
      model.fit(scale.transform(values[learnt]), label[learnt])
      chance = model.predict_proba(scale.transform(values[asked]))
      losses[i] += metrics.log_loss(label[asked], chance, labels=model.classes_)
  return _PENALTIES[int(losses.argmin())]
