r"""Generates a table or event sequences from a trained run's workdir alone.

  python scripts/generate.py --workdir=/tmp/adult --rows=10000 --seed=1 \
    --out=more.parquet

The same seed and number of rows give the same table. Of a run that generates
event sequences --rows counts sequences, each of one user of its own and a row
for each of its events.
"""

import pathlib

import cli
from absl import flags

from adv_rec.experiments import tabular

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_ROWS = flags.DEFINE_integer("rows", 10_000, "How many rows, or sequences.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draw.", 0)
_OUT = flags.DEFINE_string("out", "", "The Parquet file to write.")


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  out = pathlib.Path(_OUT.value)
  if out.suffix != ".parquet":
    raise ValueError(f"--out={out}: name a file that ends in .parquet")
  if not out.parent.is_dir():
    raise FileNotFoundError(f"--out={out}: {out.parent} is no directory")
  made = tabular.generate(
    pathlib.Path(_WORKDIR.value), _ROWS.value, _SEED.value
  )
  tabular.write(out, made)
  print(f"{made.num_rows} rows of {made.num_columns} columns in {out}")


if __name__ == "__main__":
  cli.run(main)
