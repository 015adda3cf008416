"""Is a release made of its source? Exact copies, and closest records.

Both are compared with a control, real rows that the release was not made of:
where rows are few and coarse, some occur again by chance. Source and control
are cut to one size, since more rows are closer to anything.

Rows of a release that are close to the same real row say one thing, not many.
An interval therefore counts N^2 / sum of c^2 rows, c being how many there are
of each kind: N if all differ, 1 if all are the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from adv_rec.evaluation.audit_bounds import difference, wilson
from adv_rec.evaluation.audit_rows import Columns, keys, nearest


def copies(
  source: np.ndarray,
  control: np.ndarray,
  synthetic: np.ndarray,
  confidence: float,
  rng: np.random.Generator,
) -> dict[str, Any]:
  """Shares of the synthetic rows that are real rows, in every column.

  Args:
    source: [N, C], of `audit_rows.encode`, as are the others.
    control: [M, C].
    synthetic: [S, C].
    confidence: of the intervals.
    rng: draws the rows of the larger of source and control.

  Returns:
    "all": the share in the whole source; "source", "control": in as many rows
    of each; "excess": the difference of these; "rows": as many.
  """
  made = keys(synthetic)
  counts = Counter(made)
  trials = _differing(list(counts.values()))

  def share(rows):
    known = set(keys(rows))
    found = sum(n for key, n in counts.items() if key in known)
    return wilson(found / len(made) * trials, trials, confidence)

  some, others = same_size(source, control, rng)
  main, base = share(some), share(others)
  return {
    "all": share(source)._asdict(),
    "source": main._asdict(),
    "control": base._asdict(),
    "excess": difference(main, base)._asdict(),
    "rows": len(some),
  }


def closest(
  source: np.ndarray,
  control: np.ndarray,
  synthetic: np.ndarray,
  columns: Columns,
  confidence: float,
  rng: np.random.Generator,
  most: int,
) -> dict[str, Any]:
  """Distances of synthetic rows to the closest record of source and control.

  Args:
    source: [N, C].
    control: [M, C].
    synthetic: [S, C].
    columns: of these.
    confidence: of the interval.
    rng: draws rows.
    most: synthetic rows to look at.

  Returns:
    "source", "control": quantiles .05 and .5 of the distances; "closer": the
    share of rows that are closer to the source, ties counted half, near .5 if
    nothing leaks; "rows": how many were looked at.
  """
  some, others = same_size(source, control, rng)
  made = sample(synthetic, most, rng)
  chosen = range(len(columns.names))
  (near, who), (far, whom) = (
    nearest(made, rows, columns, chosen) for rows in (some, others)
  )
  near, far = near[:, 0], far[:, 0]
  owner = np.where(near <= far, who[:, 0], len(some) + whom[:, 0])
  trials = _differing(np.unique(owner, return_counts=True)[1])
  share = float(np.mean((near < far) + 0.5 * (near == far)))
  return {
    **{
      name: {f"quantile_{q}": float(np.quantile(x, q)) for q in (0.05, 0.5)}
      for name, x in (("source", near), ("control", far))
    },
    "closer": wilson(share * trials, trials, confidence)._asdict(),
    "rows": len(made),
  }


def same_size(
  first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """As many rows of each, drawn from the larger one."""
  size = min(len(first), len(second))
  return sample(first, size, rng), sample(second, size, rng)


def sample(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
  """Rows drawn without replacement, all of them if they are not more."""
  if len(rows) <= most:
    return rows
  return rows[rng.choice(len(rows), most, replace=False)]


def _differing(counts: Any) -> float:
  c = np.asarray(counts, np.float64)
  return float(c.sum() ** 2 / (c**2).sum())
