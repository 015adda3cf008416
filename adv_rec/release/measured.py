"""What is measured of a release with real rows: outside of its guarantee."""

from __future__ import annotations

import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.evaluation import tabular as measures
from adv_rec.experiments import audit
from adv_rec.experiments.experiment import write_json

DIGITS = 3  # of a figure that travels

_NOTE = (
  "Outside of the guarantee: these figures are computed without noise, utility"
  " on {held} rows that were kept back and {learnt} that were learnt from,"
  " attacks on both. They are rounded to {digits} digits, which hides little."
)


def outside(
  released: pa.Table,
  learnt: pa.Table,
  held: pa.Table,
  folder: pathlib.Path,
  target: str,
  claimed: tuple[float, float],
  attacks: int,
  confidence: float,
  seed: int,
) -> dict[str, Any]:
  """Utility and attacks, rounded; the whole audit is left in a folder.

  Args:
    released: rows of the release.
    learnt: rows that were learnt from.
    held: rows that were kept back.
    folder: of the owner, for the tables and audit.json.
    target: a column to predict; "": none.
    claimed: epsilon and delta.
    attacks: see `experiments.audit.audit`.
    confidence: of its intervals and bounds.
    seed: of its draws.

  Raises:
    ValueError: the attacks contradict the claim.
  """
  folder.mkdir(parents=True, exist_ok=True)
  tables = {"synthetic": released, "source": learnt, "control": held}
  paths = {name: folder / f"{name}.parquet" for name in tables}
  for name, table in tables.items():
    pq.write_table(table, paths[name])
  epsilon, delta = claimed
  found = audit.audit(
    paths["synthetic"],
    paths["source"],
    paths["control"],
    secrets=[target] if target else (),
    epsilon=epsilon,
    delta=delta,
    attacks=attacks,
    confidence=confidence,
    seed=seed,
  )
  write_json(folder / "audit.json", found)
  for path in paths.values():
    path.unlink()
  least = found["membership"]["epsilon"]
  if found["claim"]["contradicted"]:
    raise ValueError(
      f"the audit contradicts the claim: by membership epsilon is at least"
      f" {least['lower']:.3g} ({confidence:.4g} confidence), and {epsilon:.3g}"
      f" is claimed; nothing is released (see {folder / 'audit.json'})"
    )
  means, columns = measures.quality(held, released)
  floor, real_columns = measures.quality(held, learnt)
  utility = {**means, **{f"{k} of real rows": v for k, v in floor.items()}}
  if target:
    auc = f"AUC of {target}, learnt from"
    utility[f"{auc} the release"] = measures.utility(
      released, held, target, seed
    )
    utility[f"{auc} real rows"] = measures.utility(learnt, held, target, seed)
  return rounded(
    {
      "note": _NOTE.format(
        held=held.num_rows, learnt=learnt.num_rows, digits=DIGITS
      ),
      "audited": released.num_rows,
      "utility": utility,
      "columns": {
        name: {
          "released": _one(columns[name]),
          "real": _one(real_columns[name]),
        }
        for name in columns
      },
      "attacks": _attacks(found),
      "epsilon": {"lower": least["lower"], "confidence": confidence},
    }
  )


def _one(distances: dict[str, float]) -> float:
  """The distance of a column that is drawn: both are from 0 to 1."""
  return distances.get("jensen_shannon", distances.get("ks", 0.0))


def _attacks(found: dict[str, Any]) -> list[dict[str, Any]]:
  rows = [
    ("exact copies, beyond the control's", found["copies"]["excess"], 0.0),
    ("closer to a row learnt from", found["closest"]["closer"], 0.5),
  ]
  for name, attack in found["membership"]["attacks"].items():
    rows.append((f"membership, {name}, AUC", attack["auc"], 0.5))
  for width, attack in found["singling_out"].items():
    if attack["attacks"]:
      rows.append((f"singling out by {width} columns", attack["risk"], 0.0))
  if "linkability" in found:
    rows.append(("linkability", found["linkability"]["risk"], 0.0))
  for name, attack in found.get("inference", {}).items():
    rows.append((f"inference of {name}", attack["risk"], 0.0))
  return [
    {"name": name, "blind": blind}
    | {k: estimate[k] for k in ("value", "low", "high")}
    for name, estimate, blind in rows
  ]


def rounded(value: Any) -> Any:
  """Figures as they travel, in whatever they are nested."""
  if isinstance(value, float):
    return round(value, DIGITS)
  if isinstance(value, dict):
    return {k: rounded(v) for k, v in value.items()}
  if isinstance(value, list):
    return [rounded(v) for v in value]
  return value
