r"""What a synthetic table gives away of the rows it was made from.

  python scripts/audit.py --synthetic=made.parquet --source=train.csv \
    --control=holdout.csv --secret=income --quasi=age,sex,race \
    --epsilon=3 --delta=1e-5 --out=/tmp/audit

Any table, made by any program. Source and control are rows of one population,
the control without part in the making. Writes audit.json and prints a table.
Exit status 1 if the release contradicts the epsilon that is claimed.
"""

import json
import os
import pathlib

import cli
from absl import flags

from adv_rec.experiments import audit

_SYNTHETIC = flags.DEFINE_string("synthetic", "", "The table to audit.")
_SOURCE = flags.DEFINE_string("source", "", "The rows it was made from.")
_CONTROL = flags.DEFINE_string("control", "", "Rows it was not made from.")
_SECRET = flags.DEFINE_list(
  "secret", [], "Columns that an attacker wants to know; none: each in turn."
)
_QUASI = flags.DEFINE_list(
  "quasi",
  [],
  "Columns that an attacker knows; none: all but the secret, and to link rows"
  " every other column.",
)
_EPSILON = flags.DEFINE_float("epsilon", None, "That is claimed, if any is.")
_DELTA = flags.DEFINE_float("delta", 0.0, "That is claimed with it.")
_ATTACKS = flags.DEFINE_integer(
  "attacks", 2000, "Rows, and predicates, of each attack, at most."
)
_CONFIDENCE = flags.DEFINE_float("confidence", 0.95, "Of each interval.")
_SEED = flags.DEFINE_integer("seed", 0, "Of what is drawn.", 0)
_OUT = flags.DEFINE_string("out", "", "Directory for audit.json.")


def main():
  for flag in (_SYNTHETIC, _SOURCE, _CONTROL, _OUT):
    if not flag.value:
      raise ValueError(f"--{flag.name} is missing (see --help)")
  out = pathlib.Path(_OUT.value)
  if out.exists() and not out.is_dir():
    raise ValueError(f"--out={out} is a file; name a directory")
  result = audit.audit(
    _SYNTHETIC.value,
    _SOURCE.value,
    _CONTROL.value,
    secrets=_SECRET.value,
    quasi=_QUASI.value,
    epsilon=_EPSILON.value,
    delta=_DELTA.value,
    attacks=_ATTACKS.value,
    confidence=_CONFIDENCE.value,
    seed=_SEED.value,
  )
  out.mkdir(parents=True, exist_ok=True)
  temporary = out / "audit.json.tmp"
  temporary.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
  os.replace(temporary, out / "audit.json")
  print(audit.text(result))
  if "claim" in result and result["claim"]["contradicted"]:
    raise ValueError(
      f"the release contradicts its claim of epsilon {_EPSILON.value:g} at"
      f" delta {_DELTA.value:g}: epsilon is at least"
      f" {result['membership']['epsilon']['lower']:.3f} with"
      f" {_CONFIDENCE.value:.0%} confidence"
    )


if __name__ == "__main__":
  cli.run(main)
