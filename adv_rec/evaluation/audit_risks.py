"""Singling out, linkability and inference: what an attacker gains by a release.

The attacks and the risk are those of Giomi et al. 2023, "A unified framework
for quantifying privacy risk in synthetic data" (Anonymeter, arXiv:2211.10459).
The same attack is made on rows of the source and on rows of a control; what it
achieves on the control it has learnt of the population, what it achieves
beyond, of the rows themselves:

  risk = (rate on the source - rate on the control) / (1 - rate on the control)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from adv_rec.evaluation.audit_bounds import Estimate, residual, wilson
from adv_rec.evaluation.audit_copies import same_size, sample
from adv_rec.evaluation.audit_rows import Columns, distinct, nearest

_TOLERANCE = 0.05  # of a guessed number, relative to the true one
_TRIES = 100  # predicates that are made for each that is wanted
_BLOCK = 1000  # of these are drawn at once


class Condition(NamedTuple):
  """What a predicate says of one column.

  Attributes:
    column: which.
    sign: "=", "<=" or ">="; with "=", a missing value is equal to NaN.
    value: compared with.
  """

  column: int
  sign: str
  value: float


Predicate = tuple[Condition, ...]


def singling_out(
  source: np.ndarray,
  control: np.ndarray,
  predicates: Sequence[Predicate],
  confidence: float,
  rng: np.random.Generator,
) -> dict[str, Any]:
  """Predicates that are true of exactly one row of as many rows of each.

  Rows that occur twice count once. The larger of source and control is cut,
  since what a predicate isolates depends on how many rows there are. Whom a
  release gives away is then in the cut with the chance M / N only, so that the
  risk of a source of N rows is N / M times what the cut shows.

  Args:
    source: [N, C].
    control: [M, C].
    predicates: guesses, made by `univariate` or `multivariate`.
    confidence: of the intervals.
    rng: draws the rows.

  Returns:
    See `_result`; no rates if there are no predicates.
  """
  source, control = distinct(source), distinct(control)
  some, others = same_size(source, control, rng)
  hits = [
    sum(matches(rows, p) == 1 for p in predicates)
    for rows in map(np.asfortranarray, (some, others))
  ]
  times = len(source) / len(some)
  return _result(hits[0], hits[1], len(predicates), confidence, times)


def univariate(
  synthetic: np.ndarray,
  columns: Columns,
  most: int,
  rng: np.random.Generator,
) -> list[Predicate]:
  """Guesses of one column: values that occur once, and the ends of numbers."""
  synthetic = np.asfortranarray(distinct(synthetic))
  found: list[Predicate] = []
  for j, numeric in enumerate(columns.numeric):
    values, counts = np.unique(synthetic[:, j], return_counts=True)
    found += [(Condition(j, "=", float(v)),) for v in values[counts == 1]]
    present = values[~np.isnan(values)]
    if numeric and len(present):
      found.append((Condition(j, "<=", float(present[0])),))
      found.append((Condition(j, ">=", float(present[-1])),))
  chosen = [found[i] for i in rng.permutation(len(found))]
  single: list[Predicate] = []
  for predicate in chosen:
    if len(single) == most:
      break
    if matches(synthetic, predicate) == 1:
      single.append(predicate)
  return single


def multivariate(
  synthetic: np.ndarray,
  columns: Columns,
  most: int,
  rng: np.random.Generator,
  width: int = 3,
) -> list[Predicate]:
  """Guesses of several columns, each from a synthetic row that it isolates.

  Of random columns of a random row: equal to its category; at least, or at
  most, its number, whichever is further from the median.

  Args:
    synthetic: [S, C].
    columns: of these.
    most: predicates to find; fewer come where fewer are found in 100 tries
      each.
    rng: draws.
    width: columns of a predicate.
  """
  number, numeric = len(columns.names), columns.numeric.tolist()
  synthetic = np.asfortranarray(distinct(synthetic))
  medians = [
    np.median(x[~np.isnan(x)]) if (~np.isnan(x)).any() else np.nan
    for x in synthetic.T
  ]
  found: dict[Predicate, None] = {}  # a set that keeps its order
  for start in range(0, _TRIES * most, _BLOCK):
    size = min(_BLOCK, _TRIES * most - start)
    picked = synthetic[rng.integers(len(synthetic), size=size)].tolist()
    orders = rng.permuted(np.tile(np.arange(number), (size, 1)), axis=1)
    for row, chosen in zip(picked, np.sort(orders[:, :width]), strict=True):
      predicate = tuple(
        _condition(j, row[j], numeric[j], medians[j]) for j in chosen.tolist()
      )
      if predicate not in found and matches(synthetic, predicate) == 1:
        found[predicate] = None
        if len(found) == most:
          return list(found)
  return list(found)


def matches(rows: np.ndarray, predicate: Predicate) -> int:
  """Of how many rows a predicate is true."""
  true = np.ones(len(rows), bool)
  for column, sign, value in predicate:
    x = rows[:, column]
    if sign == "<=":
      true &= x <= value
    elif sign == ">=":
      true &= x >= value
    else:
      true &= np.isnan(x) if np.isnan(value) else x == value
  return int(np.count_nonzero(true))


def linkability(
  source: np.ndarray,
  control: np.ndarray,
  synthetic: np.ndarray,
  columns: Columns,
  known: Sequence[int],
  confidence: float,
  rng: np.random.Generator,
  most: int,
) -> dict[str, Any]:
  """Do two halves of a person's columns lead to the same synthetic row?

  The attacker has a row cut in two and takes, for each part, the closest
  synthetic row; it succeeds where that is the same one.

  Args:
    source: [N, C].
    control: [M, C].
    synthetic: [S, C].
    columns: of these.
    known: one part; all other columns are the other.
    confidence: of the intervals.
    rng: draws rows.
    most: of source and control, each, to attack.
  """
  other = [j for j in range(len(columns.names)) if j not in known]

  def successes(rows):
    first, second = (
      nearest(rows, synthetic, columns, part)[1][:, 0]
      for part in (known, other)
    )
    return first == second

  return _attacked(successes, source, control, confidence, rng, most)


def inference(
  source: np.ndarray,
  control: np.ndarray,
  synthetic: np.ndarray,
  columns: Columns,
  known: Sequence[int],
  secret: int,
  confidence: float,
  rng: np.random.Generator,
  most: int,
) -> dict[str, Any]:
  """Does the release tell a secret of who is known in other columns?

  The attacker guesses the secret of the closest synthetic row. A category, or
  that a value is missing, is to be guessed exactly, a number within 5 %.

  Args:
    source: [N, C].
    control: [M, C].
    synthetic: [S, C].
    columns: of these.
    known: columns that the attacker knows.
    secret: the column to guess, not one of them.
    confidence: of the intervals.
    rng: draws rows.
    most: of source and control, each, to attack.
  """

  def successes(rows):
    position = nearest(rows, synthetic, columns, known)[1][:, 0]
    guess, truth = synthetic[position, secret], rows[:, secret]
    right = guess == truth
    if columns.numeric[secret]:
      right = np.abs(guess - truth) <= _TOLERANCE * np.abs(truth)
    return right | (np.isnan(guess) & np.isnan(truth))

  return _attacked(successes, source, control, confidence, rng, most)


def _condition(
  column: int, value: float, numeric: bool, median: float
) -> Condition:
  if not numeric or np.isnan(value):
    # One NaN is not another; as keys of a set these are, being one object.
    return Condition(column, "=", np.nan if np.isnan(value) else float(value))
  return Condition(column, ">=" if value > median else "<=", float(value))


def _attacked(
  successes: Callable[[np.ndarray], np.ndarray],
  source: np.ndarray,
  control: np.ndarray,
  confidence: float,
  rng: np.random.Generator,
  most: int,
) -> dict[str, Any]:
  """The result of an attack on as many rows of source and control."""
  size = min(most, len(source), len(control))
  main, base = (
    int(successes(sample(rows, size, rng)).sum()) for rows in (source, control)
  )
  return _result(main, base, size, confidence)


def _result(
  main: int, base: int, attacks: int, confidence: float, times: float = 1.0
) -> dict[str, Any]:
  """Rates with Wilson's intervals; the risk with its own, so many times."""
  if not attacks:
    return {"attacks": 0}
  risk = residual(main, base, attacks, confidence)
  return {
    "attacks": attacks,
    "source": wilson(main, attacks, confidence)._asdict(),
    "control": wilson(base, attacks, confidence)._asdict(),
    "risk": Estimate(*(min(times * x, 1.0) for x in risk))._asdict(),
  }
