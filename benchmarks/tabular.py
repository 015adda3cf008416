r"""A generator of tables against CTGAN, on Adult: quality and speed.

  python -m venv /tmp/ctgan && /tmp/ctgan/bin/pip install ctgan
  python benchmarks/tabular.py --ctgan_python=/tmp/ctgan/bin/python \
    --out=runs/benchmark

Both learn from the same training part for as many epochs, CTGAN at its own
defaults, one after the other on the same cores (--cores). Measured of each:

1. Seconds to fit the transforms.
2. Rows a second in training, compilation not counted (it stands beside).
3. Rows a second in sampling, decoded into a table; the best of three.
4. The AUC on the test part of a classifier that has learnt from as many
   generated rows as there are real ones, and from the real ones.
5. Whether every category of every column is there, and nothing out of range.

Writes tabular.json to --out and prints a table. CTGAN runs in a process of
its own, which imports nothing of ours.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags

_BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_BENCHMARKS.parent / "scripts"))

import cli  # noqa: E402

_OUT = flags.DEFINE_string("out", "runs/benchmark", "Where the results go.")
_PYTHON = flags.DEFINE_string(
  "ctgan_python", "", "An interpreter that has ctgan; this one if it does."
)
_EPOCHS = flags.DEFINE_integer("epochs", 30, "Of each.", 1)
_CORES = flags.DEFINE_integer("cores", 2, "Cores that each may use.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", 0)

_SAMPLES = 100_000  # rows whose drawing is clocked
_REPEATS = 3

# The peer, as a program: arguments train.csv, fake.csv, JSON of settings.
_CTGAN = """
import json, sys, time
import numpy as np, pandas as pd, torch
import ctgan
from ctgan.synthesizers import ctgan as module

source, target, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.set_num_threads(settings["cores"])
np.random.seed(settings["seed"])
torch.manual_seed(settings["seed"])
table = pd.read_csv(source)
seconds = {"transform": 0.0}

def clocked(function):
  def call(*arguments, **named):
    start = time.perf_counter()
    try:
      return function(*arguments, **named)
    finally:
      seconds["transform"] += time.perf_counter() - start
  return call

transformer = module.DataTransformer
transformer.fit = clocked(transformer.fit)
transformer.transform = clocked(transformer.transform)
model = ctgan.CTGAN(epochs=settings["epochs"])
start = time.perf_counter()
model.fit(table, settings["categories"])
train = time.perf_counter() - start - seconds["transform"]
model.sample(len(table)).to_csv(target, index=False)
sampling = []
for _ in range(settings["repeats"]):
  start = time.perf_counter()
  model.sample(settings["samples"])
  sampling.append(time.perf_counter() - start)
print(json.dumps({
  "transform_seconds": seconds["transform"],
  "train_rows_per_second": settings["epochs"] * len(table) / train,
  "sample_rows_per_second": settings["samples"] / min(sampling),
  "version": ctgan.__version__,
}))
"""


def main():
  """Measures, writes and prints."""
  python = _PYTHON.value or sys.executable
  if not _PYTHON.value and importlib.util.find_spec("ctgan") is None:
    raise ValueError(
      "ctgan is not installed here; name an interpreter that has it with"
      " --ctgan_python=PATH"
    )
  if hasattr(os, "sched_setaffinity"):  # Linux; JAX and torch heed it
    cores = sorted(os.sched_getaffinity(0))[: _CORES.value]
    os.sched_setaffinity(0, cores)
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory() as folder:
    found = _ours(pathlib.Path(folder))
    peer = _peer(python, pathlib.Path(folder))
  from adv_rec.experiments import experiment

  written = {
    "ours": found,
    "ctgan": peer,
    "targets": _targets(found, peer),
    "epochs": _EPOCHS.value,
    "cores": _CORES.value,
    "seed": _SEED.value,
    **experiment.provenance(),
  }
  experiment.write_json(out / "tabular.json", written)
  print(f"\n{_text(written)}\n\nWritten to {out / 'tabular.json'}")


def _ours(folder: pathlib.Path) -> dict[str, Any]:
  """Trains with the config as it is, and clocks its parts."""
  import pyarrow.parquet as pq

  from adv_rec.data import tabular
  from adv_rec.experiments import experiment, options
  from adv_rec.training import metrics

  config = options.load(
    _BENCHMARKS.parent / "configs" / "generate" / "adult.py",
    f"epochs={_EPOCHS.value},seed={_SEED.value}",
  )
  workdir = folder / "run"
  experiment.run(config, workdir, progress=False)
  built, state = experiment.restore(workdir)
  rows = metrics.read(workdir / "metrics.jsonl")
  # The first call is compiled.
  steps = rows[-1]["step"] - rows[0]["step"]
  seconds = rows[-1]["wall_seconds"] - rows[0]["wall_seconds"]
  train = pq.ParquetFile(workdir / "data" / "train.parquet").read()
  fake = pq.ParquetFile(workdir / "synthetic.parquet").read()
  schema = tabular.load(workdir / "data" / "schema.json")
  tabular.check(fake, schema)
  assert built.sample is not None
  sampling = []
  for _ in range(_REPEATS + 1):
    start = time.perf_counter()
    built.sample(state, _SAMPLES, _SEED.value)
    sampling.append(time.perf_counter() - start)
  return {
    "transform_seconds": _fit_seconds(train, schema),
    "compile_seconds": rows[0]["wall_seconds"],
    "train_rows_per_second": steps * config.batch_size / seconds,
    "sample_rows_per_second": _SAMPLES / min(sampling[1:]),
    **_quality(workdir, fake),
  }


def _fit_seconds(train: Any, schema: Any) -> float:
  import numpy as np

  from adv_rec.data import encoding

  start = time.perf_counter()
  transform = encoding.fit(train, schema)
  transform.encode(train, np.random.default_rng(0))
  return time.perf_counter() - start


def _peer(python: str, folder: pathlib.Path) -> dict[str, Any]:
  """CTGAN on the same rows, in the process that `python` starts."""
  import pyarrow as pa
  import pyarrow.csv
  import pyarrow.parquet as pq

  from adv_rec.data import tabular

  workdir = folder / "run"
  train = pq.ParquetFile(workdir / "data" / "train.parquet").read()
  schema = tabular.load(workdir / "data" / "schema.json")
  pa.csv.write_csv(train, folder / "train.csv")
  settings = {
    "epochs": _EPOCHS.value,
    "cores": _CORES.value,
    "seed": _SEED.value,
    "samples": _SAMPLES,
    "repeats": _REPEATS,
    "categories": [c.name for c in schema if c.kind == "category"],
  }
  names = [str(folder / name) for name in ("train.csv", "fake.csv")]
  done = subprocess.run(
    [python, "-c", _CTGAN, *names, json.dumps(settings)],
    env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    capture_output=True,
    text=True,
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise ValueError(f"ctgan: {last}")
  fake = tabular.read(folder / "fake.csv").cast(train.schema)
  return {
    **json.loads(done.stdout.strip().splitlines()[-1]),
    **_quality(workdir, fake),
  }


def _quality(workdir: pathlib.Path, fake: Any) -> dict[str, float]:
  """Of a table as large as the training part."""
  import pyarrow.parquet as pq

  from adv_rec.evaluation import tabular as measures

  train, test = (
    pq.ParquetFile(workdir / "data" / f"{part}.parquet").read()
    for part in ("train", "holdout")
  )
  means, _ = measures.quality(test, fake)
  return {
    **means,
    "coverage": measures.coverage(train, fake),
    "auc": measures.utility(fake, test, "income", _SEED.value),
    "auc_real": measures.utility(train, test, "income", _SEED.value),
  }


def _targets(ours: Any, ctgan: Any) -> list[dict[str, Any]]:
  """What was asked, and what was found. Values in range are checked before."""

  def times(name: str) -> float:
    return ours[name] / ctgan[name]

  rows = [
    ("AUC above CTGAN's by", 0.01, ours["auc"] - ctgan["auc"]),
    ("training rows/s, times CTGAN's", 5, times("train_rows_per_second")),
    ("sampling rows/s, times CTGAN's", 10, times("sample_rows_per_second")),
    ("share of the categories in the sample", 1, ours["coverage"]),
  ]
  return [
    {"target": t, "asked": asked, "found": found, "met": found >= asked}
    for t, asked, found in rows
  ]


def _text(written: dict[str, Any]) -> str:
  """The tables to print."""
  ours, ctgan = written["ours"], written["ctgan"]
  lines = [f"{'':28} {'ours':>10} {'ctgan':>10}"]
  for name in ours:
    other = ctgan.get(name)
    text = "" if other is None else f"{other:10.4g}"
    lines.append(f"{name:28} {ours[name]:10.4g} {text:>10}")
  lines += ["", f"{'target':40} {'asked':>6} {'found':>8}"]
  for row in written["targets"]:
    mark = "met" if row["met"] else "missed"
    lines.append(
      f"{row['target']:40} {row['asked']:>6} {row['found']:8.3f}  {mark}"
    )
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
