"""The audit of a synthetic table: files in, one result out, and its table."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from adv_rec.data import tabular
from adv_rec.evaluation import audit_copies, audit_risks, audit_rows
from adv_rec.evaluation.audit_membership import RATES, membership
from adv_rec.evaluation.audit_rows import Columns

_logger = logging.getLogger(__name__)

_LEAST = 20  # rows of a table; with fewer, halves of halves are empty


def audit(
  synthetic: str | os.PathLike[str],
  source: str | os.PathLike[str],
  control: str | os.PathLike[str],
  *,
  secrets: Sequence[str] = (),
  quasi: Sequence[str] = (),
  epsilon: float | None = None,
  delta: float = 0.0,
  attacks: int = 2000,
  confidence: float = 0.95,
  seed: int = 0,
) -> dict[str, Any]:
  """What a synthetic table gives away of the rows it was made from.

  Args:
    synthetic: CSV or Parquet, made by anything.
    source: the rows that it was made from.
    control: rows of the same population that it was not made from.
    secrets: columns that the attacker wants to know; (): each in turn.
    quasi: columns that the attacker knows; (): to infer a secret all others,
      to link rows every other column.
    epsilon: that is claimed; None: none is.
    delta: that is claimed with it, at least 0.
    attacks: rows and predicates of each attack, at most.
    confidence: of every interval and bound, each for itself.
    seed: of what is drawn.

  Returns:
    An entry of JSON values for each attack, see evaluation/audit_*.py.

  Raises:
    FileNotFoundError: a file is not there.
    ValueError: tables that cannot be read or compared, or wrong options.
  """
  _check(attacks, confidence, epsilon, delta)
  paths = {"source": source, "control": control, "synthetic": synthetic}
  tables = {label: _read(label, path) for label, path in paths.items()}
  if tables["source"].equals(tables["control"]):
    raise ValueError(
      "source and control are the same table; the control holds rows that the"
      " release was not made from"
    )
  columns, rows = audit_rows.encode(**tables)
  guessed, known = _chosen(columns.names, secrets, quasi)
  real, held, made = rows

  def rng(of: int) -> np.random.Generator:
    return np.random.default_rng([seed, of])

  # Of rows that are equally close the first is taken: so it is any of them.
  made = made[rng(3).permutation(len(made))]
  rows = (real, held, made)
  _logger.info("copies and closest records")
  result: dict[str, Any] = {
    "rows": {label: table.num_rows for label, table in tables.items()},
    "columns": dict(zip(columns.names, _kinds(columns.numeric), strict=True)),
    "settings": {
      "secrets": [columns.names[j] for j in guessed],
      "quasi": list(quasi),
      "attacks": attacks,
      "confidence": confidence,
      "seed": seed,
    },
    "copies": audit_copies.copies(real, held, made, confidence, rng(0)),
    "closest": audit_copies.closest(
      real, held, made, columns, confidence, rng(1), attacks
    ),
  }
  _logger.info("membership")
  result["membership"] = membership(
    real, held, made, columns, delta, confidence, rng(2), attacks
  )
  _logger.info("singling out")
  result["singling_out"] = _singled_out(
    *rows, columns, attacks, confidence, rng
  )
  every = range(len(columns.names))
  if len(every) > 1:
    _logger.info("linkability")
    result["linkability"] = audit_risks.linkability(
      *rows, columns, known or every[::2], confidence, rng(4), attacks
    )
    _logger.info("inference")
    result["inference"] = {
      columns.names[j]: audit_risks.inference(
        *rows,
        columns,
        known or [i for i in every if i != j],
        j,
        confidence,
        rng(5),
        attacks,
      )
      for j in guessed
    }
  if epsilon is not None:
    least = result["membership"]["epsilon"]["lower"]
    result["claim"] = {
      "epsilon": epsilon,
      "delta": delta,
      "contradicted": least > epsilon,
    }
  return result


def _singled_out(
  real: np.ndarray,
  held: np.ndarray,
  made: np.ndarray,
  columns: Columns,
  attacks: int,
  confidence: float,
  rng: Callable[[int], np.random.Generator],
) -> dict[str, Any]:
  """By predicates of one column, of three as in the paper, and of all."""
  found = {}
  for width in sorted({1, min(3, len(columns.names)), len(columns.names)}):
    draws = rng(6 + width)
    if width == 1:
      guesses = audit_risks.univariate(made, columns, attacks, draws)
    else:
      guesses = audit_risks.multivariate(made, columns, attacks, draws, width)
    found[str(width)] = audit_risks.singling_out(
      real, held, guesses, confidence, draws
    )
  return found


def text(result: dict[str, Any]) -> str:
  """A result as a table, with what an attack finds where nothing leaks.

  "leak" marks intervals above that; some of many are by chance.
  """
  lines = [
    f"{'attack':32}{'source':>8}{'control':>9}{'found':>9}  {'interval':16}"
    f"  {'blind':8}"
  ]

  def line(name, sides, found, blind):
    pair = [f"{s:.4f}" for s in sides] or ["", ""]
    error = (1 - result["settings"]["confidence"]) / 2
    leaks = found["low"] > blind and found.get("p_value", 0) < error
    lines.append(
      f"{name[:32]:32}{pair[0]:>8}{pair[1]:>9}{found['value']:9.4f}"
      f"  {found['low']:6.4f} .. {found['high']:6.4f}  {blind:<8.3g}"
      f"{'leak' if leaks else ''}"
    )

  def rates(found):
    return [found[side]["value"] for side in ("source", "control")]

  line(
    "exact copies, excess",
    rates(result["copies"]),
    result["copies"]["excess"],
    0,
  )
  near = result["closest"]
  medians = [near[side]["quantile_0.5"] for side in ("source", "control")]
  line("closer to source (medians)", medians, near["closer"], 0.5)
  member = result["membership"]
  for name, found in member["attacks"].items():
    line(f"membership, {name}, AUC", [], found["auc"], 0.5)
    for rate in RATES:
      # Of threshold and members any order is as likely where nothing leaks.
      blind = (int(rate * member["others"]) + 1) / (member["others"] + 1)
      line(f"  TPR at FPR {rate:g}", [], found[f"tpr@{rate:g}"], blind)
  for name, found in _risks(result).items():
    if found["attacks"]:
      line(name, rates(found), found["risk"], 0)
    else:
      lines.append(f"{name[:32]:32}  no row could be isolated")
  least = member["epsilon"]
  lines.append(
    f"epsilon at delta {least['delta']:g} is at least {least['lower']:.3f}"
    f" ({least['confidence']:.4g} confidence)\n  by {least['attack']}: TPR"
    f" {least['tpr']:.4f}, FPR {least['fpr']:.4f} on rows that chose nothing"
  )
  return "\n".join(line.rstrip() for line in lines)


def _risks(result: dict[str, Any]) -> dict[str, Any]:
  """Risk -> its attack, of those that were made.

  How many predicates were found stands beside: few may isolate a row.
  """
  found = {
    f"singling out, {width} col. ({attack['attacks']})": attack
    for width, attack in result["singling_out"].items()
  }
  if "linkability" in result:
    found["linkability"] = result["linkability"]
  for name, attack in result.get("inference", {}).items():
    found[f"inference, {name}"] = attack
  return found


def _read(label: str, path: str | os.PathLike[str]) -> pa.Table:
  table = tabular.read(path)
  if table.num_rows < _LEAST:
    raise ValueError(
      f"{path} ({label}) has {table.num_rows} row(s); an audit takes at least"
      f" {_LEAST}"
    )
  return table


def _chosen(
  names: Sequence[str], secrets: Sequence[str], quasi: Sequence[str]
) -> tuple[list[int], list[int]]:
  """Positions of what is guessed, and of what is known."""
  for option, given in (("secret", secrets), ("quasi", quasi)):
    for name in given:
      if name not in names:
        raise ValueError(
          f"{option} names a column {name!r} that the tables have not; they"
          f" have {', '.join(names[:20])}"
        )
  both = sorted(set(secrets) & set(quasi))
  if both:
    raise ValueError(f"column {both[0]!r} cannot be both secret and quasi")
  known = [j for j, name in enumerate(names) if name in quasi]
  if len(known) == len(names):
    raise ValueError("quasi names every column: nothing is left to find out")
  guessed = [
    j
    for j, name in enumerate(names)
    if (name in secrets if secrets else name not in quasi)
  ]
  return guessed, known


def _kinds(numeric: np.ndarray) -> list[str]:
  return ["number" if x else "category" for x in numeric]


def _check(
  attacks: int, confidence: float, epsilon: float | None, delta: float
) -> None:
  if attacks < 10:
    raise ValueError(f"attacks={attacks}: must be at least 10")
  if not 0.5 < confidence < 1:
    raise ValueError(f"confidence={confidence}: must be above .5 and below 1")
  if not 0 <= delta < 1:
    raise ValueError(f"delta={delta}: must be at least 0 and below 1")
  if epsilon is not None and not epsilon >= 0:
    raise ValueError(f"epsilon={epsilon}: must be at least 0")
