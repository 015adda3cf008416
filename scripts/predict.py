r"""Predicts labels of new rows with a trained classifier.

  python scripts/predict.py --workdir=/tmp/deepfm --path=rows.csv
  python scripts/predict.py --workdir=/tmp/cnn --path=reviews.csv \
    --out=answers.parquet

The rows, CSV or Parquet, have the columns that the run was trained on; a text
may be empty or long, and words, ids and categories that training never saw are
taken as unknown. Each row comes back with the predicted class and the chance
of every class: as CSV on the screen, or in --out (.csv or .parquet).
"""

import pathlib
import sys

import cli
import pyarrow.csv
import pyarrow.parquet as pq
from absl import flags

from adv_rec.data import tabular
from adv_rec.experiments import predict

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_PATH = flags.DEFINE_string("path", "", "Rows to predict, CSV or Parquet.")
_OUT = flags.DEFINE_string("out", "", "File to write: .csv or .parquet.")


def main():
  if not (_WORKDIR.value and _PATH.value):
    raise ValueError(
      "--workdir=DIR and --path=FILE: which run, and which rows?"
    )
  out = pathlib.Path(_OUT.value)
  if _OUT.value and (
    out.suffix not in (".csv", ".parquet") or not out.parent.is_dir()
  ):
    raise ValueError(
      f"--out={out}: expected FILE.csv or FILE.parquet in a directory"
    )
  rows = tabular.read(_PATH.value)
  made = predict.predict(pathlib.Path(_WORKDIR.value), rows)
  if out.suffix == ".parquet":
    pq.write_table(made, out)
  elif out.suffix == ".csv":
    pyarrow.csv.write_csv(made, out)
  else:
    pyarrow.csv.write_csv(made, sys.stdout.buffer)


if __name__ == "__main__":
  cli.run(main)
