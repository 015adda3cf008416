r"""The main job end to end: real shopping data -> attacked recommenders.

  python scripts/quickstart.py --out=runs/quickstart

Prepares The Complete Journey (1.47 million grocery transactions), fits
popularity, EASE, BPR-MF and BPR-MF with adversarial training (APR), measures
accuracy, diversity and robustness, and writes result.json and report.html.
About 5 minutes on 2 CPU cores. Killed, the same command goes on.

The same on your own log, CSV or Parquet:

  python scripts/quickstart.py --path=sales.csv \
    --columns=user=customer,item=sku,time=day --out=runs/mine
"""

import json
import pathlib
import shlex
import sys

import cli
from absl import flags

from adv_rec.experiments import experiment, interactions, options, recommend
from adv_rec.report import page, table

_OUT = flags.DEFINE_string("out", "runs/quickstart", "Where everything goes.")
_DATASET = flags.DEFINE_string(
  "dataset", "completejourney", "A dataset by name (prepare_data.py --help)."
)
_PATH = flags.DEFINE_string(
  "path", "", "Your own log instead: a CSV or Parquet file, or a glob."
)
_COLUMNS = flags.DEFINE_string(
  "columns", "user=user,item=item,time=time", "Its columns, as role=name,..."
)
_K_CORE = flags.DEFINE_integer(
  "k_core", None, "Interactions that every user and item of it must have."
)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Training epochs.", 2)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", 0)

_ROOT = pathlib.Path(__file__).parents[1]
_METHODS = ("popularity", "ease", "bpr", "apr")
_TRAINED = ("bpr", "apr")
_SIZES = (0.1, 0.25, 0.5, 0.75, 1.0)
_NOTES = (
  "Every model is fitted on the training and validation parts and measured"
  " once on the test part. The learning curves come from runs of the same"
  " configs on the training part alone, watched on the validation part.",
  "BPR-MF and APR take the same number of updates; APR is BPR-MF for the first"
  " half of them. Popularity and EASE have no embeddings to attack.",
)


def main():
  out = pathlib.Path(_OUT.value)
  interactions.open_dataset(_data_config(), out)
  runs = [_run(name, out / name, "train+validation") for name in _METHODS]
  curves = [_run(name, out / "validation" / name, "train") for name in _TRAINED]
  results = [json.loads((run / "result.json").read_text()) for run in runs]
  experiment.write_json(
    out / "result.json", {"dataset": results[0]["dataset"], "runs": results}
  )
  report = out / "report.html"
  page.write(
    report, "Recommenders under attack", runs, curves=curves, notes=_NOTES
  )
  print(f"\n{table.comparison(results)}\n\nThe whole report: {report}")


def _data_config() -> options.Config:
  config = recommend.default_config()
  config.dataset = "" if _PATH.value else _DATASET.value
  config.data.path = _PATH.value
  config.data.columns = _COLUMNS.value
  config.data.k_core = _K_CORE.value
  return config


def _run(name: str, workdir: pathlib.Path, fit: str) -> pathlib.Path:
  """Trains one config as scripts/train.py would; returns its directory."""
  given = [
    f"dataset={'' if _PATH.value else _DATASET.value}",
    f"data.prepared={pathlib.Path(_OUT.value) / 'data'}",
    f"fit={fit}",
    f"seed={_SEED.value}",
  ]
  if name in _TRAINED and _EPOCHS.value:
    given.append(f"epochs={_EPOCHS.value}")
  if name in _TRAINED and fit == "train+validation":
    given.append(f"evaluation.robustness={_SIZES}")
  path = f"configs/recommend/{name}.py"
  arg = ",".join(given).replace(" ", "")
  command = ["python", "scripts/train.py", f"--config={path}:{arg}"]
  command.append(f"--workdir={workdir}")
  config = options.load(_ROOT / path, arg)
  print(f"\n{config.title}, fitted on {fit}", file=sys.stderr)
  experiment.run(config, workdir, command=shlex.join(command))
  return workdir


if __name__ == "__main__":
  cli.run(main)
