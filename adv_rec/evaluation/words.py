"""What an attack on words has done: to the model, and to the texts. NumPy."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np


def measures(
  labels: np.ndarray,
  before: np.ndarray,
  after: np.ndarray,
  changed: np.ndarray,
  similarity: np.ndarray,
  queries: np.ndarray,
) -> dict[str, float]:
  """The attack in numbers.

  Args:
    labels: [N] int, the true classes.
    before: [N] int, the answers to the texts.
    after: [N] int, the answers to the changed texts.
    changed: [N], shares of words; see `share_changed`.
    similarity: [N], cosines of embeddings of the two texts.
    queries: [N], how many texts the model was asked about.

  Returns:
    "accuracy" on the changed texts and "clean_accuracy"; and, of the texts
    that were answered rightly, the others being no target: "success", the
    share that is now answered wrongly, and the means of "changed",
    "similarity" and "queries" (zeros where there is no such text).
  """
  right, still = before == labels, after == labels
  means = {
    "success": ~still,
    "changed": changed,
    "similarity": similarity,
    "queries": queries,
  }
  return {
    "accuracy": float(np.mean(still)),
    "clean_accuracy": float(np.mean(right)),
    **{
      name: float(np.mean(values[right])) if right.any() else 0.0
      for name, values in means.items()
    },
  }


def share_changed(words: Sequence[str], others: Sequence[str]) -> float:
  """Share of the words that are not found again, in order; of none 0."""
  if not words:
    return 0.0
  matcher = difflib.SequenceMatcher(None, words, others, autojunk=False)
  kept = sum(block.size for block in matcher.get_matching_blocks())
  return 1 - kept / len(words)
