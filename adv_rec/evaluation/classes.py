"""How good answers of one class an example are. NumPy."""

from __future__ import annotations

import numpy as np
from scipy import special
from sklearn import metrics


def scores(label: np.ndarray, logits: np.ndarray) -> dict[str, float]:
  """Accuracy, macro F1 and log loss.

  Args:
    label: [N], the class 0 .. C - 1.
    logits: [N, C], or [N], the log-odds of class 1 of two.
  """
  logits = np.asarray(logits, float)
  if logits.ndim == 1:
    logits = np.stack([np.zeros_like(logits), logits], axis=1)
  label = np.asarray(label).astype(int)
  chosen = np.argmax(logits, axis=1)
  logs = special.log_softmax(logits, axis=1)
  return {
    "accuracy": float(np.mean(chosen == label)),
    "f1": float(metrics.f1_score(label, chosen, average="macro")),
    "log_loss": float(-np.mean(logs[np.arange(len(label)), label])),
  }
