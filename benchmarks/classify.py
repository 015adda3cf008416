r"""Predictors of labels against PyTorch: samples a second, plain and attacked.

  python -m venv /tmp/deepctr && /tmp/deepctr/bin/pip install deepctr-torch
  python benchmarks/classify.py --ctr_python=/tmp/deepctr/bin/python \
    --torch_python=/tmp/deepctr/bin/python --out=runs/benchmark

Clicks: DeepFM on the training rows of Frappe, the same sizes of embeddings and
layers, batches of 4,096, Adam, one after the other on the same cores
(--cores). Ours is clocked from the second compiled call to the last, deepctr-
torch from the second epoch to the last: neither compilation nor the building
of a model counts. Ours once more with FGM on the embeddings.

Reviews: Kim's CNN on texts of 128 words, batches of 64; see `texts.py`.

Writes classify.json to --out, where what was measured before and is not asked
for again stays, and prints a table. The peer runs in a process of its own,
which imports nothing of ours.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from absl import flags

_BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_BENCHMARKS.parent / "scripts"))

import cli  # noqa: E402
import texts  # noqa: E402

_OUT = flags.DEFINE_string("out", "runs/benchmark", "Where the results go.")
_CTR_PYTHON = flags.DEFINE_string(
  "ctr_python", "", "An interpreter that has deepctr-torch; or this one."
)
_TORCH_PYTHON = flags.DEFINE_string(
  "torch_python", "", "An interpreter that has torch; or this one."
)
_EPOCHS = flags.DEFINE_integer("epochs", 4, "Of each; the first is warm-up.", 2)
_CORES = flags.DEFINE_integer("cores", 2, "Cores that each may use.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", 0)
_ONLY = flags.DEFINE_multi_enum(
  "only",
  [],
  ["clicks", "reviews"],
  "Measure this task only; may be given again.",
)

_BATCH, _DIM, _HIDDEN, _DROPOUT = 4096, 16, (256, 128), 0.0

# The peer, as a program: arguments rows.npz, JSON of settings.
_DEEPCTR = """
import json, sys, time
import numpy as np, torch
import deepctr_torch
from deepctr_torch.inputs import SparseFeat, get_feature_names
from deepctr_torch.models import DeepFM

rows, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])
torch.set_num_threads(settings["cores"])
torch.manual_seed(settings["seed"])
columns = [
  SparseFeat(name, vocabulary_size=size, embedding_dim=settings["dim"])
  for name, size in settings["sizes"].items()
]
model = DeepFM(
  columns, columns, dnn_hidden_units=settings["hidden"],
  dnn_dropout=settings["dropout"], seed=settings["seed"], device="cpu",
)
model.compile(torch.optim.Adam(model.parameters(), 0.01), "binary_crossentropy")
inputs = {name: rows[name] for name in get_feature_names(columns)}
clock = []
more = settings["epochs"] - 1
for epochs in (1, more):
  start = time.perf_counter()
  model.fit(inputs, rows["label"], settings["batch"], epochs=epochs, verbose=0)
  clock.append(time.perf_counter() - start)
print(json.dumps({
  "samples_per_second": more * len(rows["label"]) / clock[1],
  "version": deepctr_torch.__version__,
  "torch": torch.__version__,
}))
"""


def main():
  """Measures, writes and prints."""
  measured: dict[str, Callable[[pathlib.Path], dict[str, Any]]] = {
    "clicks": _clicks,
    "reviews": _reviews,
  }
  if hasattr(os, "sched_setaffinity"):  # Linux; JAX and torch heed it
    cores = sorted(os.sched_getaffinity(0))[: _CORES.value]
    os.sched_setaffinity(0, cores)
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  file = out / "classify.json"
  written = json.loads(file.read_text()) if file.exists() else {}
  from adv_rec.experiments import experiment

  for name, measure in measured.items():
    if _ONLY.value and name not in _ONLY.value:
      continue
    with tempfile.TemporaryDirectory() as folder:
      written[name] = {
        **measure(pathlib.Path(folder)),
        "cores": _CORES.value,
        "seed": _SEED.value,
        **experiment.provenance(),
      }
    experiment.write_json(file, written)
  print(f"\n{_text(written)}\n\nWritten to {file}")


def _clicks(folder: pathlib.Path) -> dict[str, Any]:
  """DeepFM, plain and with FGM, and deepctr-torch's."""
  python = _CTR_PYTHON.value or sys.executable
  if (
    not _CTR_PYTHON.value and importlib.util.find_spec("deepctr_torch") is None
  ):
    raise ValueError(
      "deepctr-torch is not installed here; name an interpreter that has it"
      " with --ctr_python=PATH"
    )
  plain = _speed("configs/ctr/deepfm.py", "", folder / "plain")
  attacked = _speed(
    "configs/ctr/deepfm.py",
    f"attack.name=fgm,data.prepared={folder / 'plain' / 'data'}",
    folder / "fgm",
  )
  peer = _deepctr(python, folder)
  ours = {"plain": plain, "fgm": attacked}
  speed = peer["samples_per_second"]
  return {
    "ours": ours,
    "deepctr_torch": peer,
    "targets": [
      _target("DeepFM, samples/s, times deepctr-torch's", 2, plain / speed, 1),
      _target("cost of FGM, times plain", 2.1, plain / attacked, -1),
    ],
    "epochs": _EPOCHS.value,
  }


def _reviews(folder: pathlib.Path) -> dict[str, Any]:
  """The text CNN, plain and with FGM, and the same in torch."""
  del folder
  python = _TORCH_PYTHON.value or sys.executable
  if not _TORCH_PYTHON.value and importlib.util.find_spec("torch") is None:
    raise ValueError(
      "torch is not installed here; name an interpreter that has it with"
      " --torch_python=PATH"
    )
  found = texts.measure(python, _CORES.value, _SEED.value)
  plain, attacked = found["ours"]["plain"], found["ours"]["fgm"]
  ratio = plain / found["torch"]["samples_per_second"]
  return {
    **found,
    "targets": [
      _target("text CNN, samples/s, times torch's", 2, ratio, 1),
      _target("cost of FGM, times plain", 2.1, plain / attacked, -1),
    ],
  }


def _speed(config: str, arg: str, workdir: pathlib.Path) -> float:
  """Samples a second of a run, but for its first compiled call."""
  from adv_rec.experiments import experiment, options
  from adv_rec.training import metrics

  never = 10 * _EPOCHS.value
  given = [
    f"epochs={_EPOCHS.value},seed={_SEED.value},batch_size={_BATCH}",
    f"evaluate_every=0,checkpoint_every={never}",
    f"model.dim={_DIM},model.hidden={_HIDDEN},model.dropout={_DROPOUT}",
  ]
  loaded = options.load(
    _BENCHMARKS.parent / config, ",".join(filter(None, [*given, arg]))
  )
  experiment.run(loaded, workdir, progress=False)
  rows = metrics.read(workdir / "metrics.jsonl")
  steps = rows[-1]["step"] - rows[0]["step"]
  seconds = rows[-1]["wall_seconds"] - rows[0]["wall_seconds"]
  return steps * loaded.batch_size / seconds


def _deepctr(python: str, folder: pathlib.Path) -> dict[str, Any]:
  """DeepFM of deepctr-torch on the same rows, in a process of its own."""
  import numpy as np
  import pyarrow.parquet as pq

  from adv_rec.data import examples, fields

  data = folder / "plain" / "data"
  table = pq.ParquetFile(data / "examples.parquet").read()
  known = fields.load(data / "fields.json")
  train = examples.rows(table, "train")
  rows = fields.encode(train, known)["rows"]
  codes = {
    field.column.name: rows[:, n] - field.first for n, field in enumerate(known)
  }
  arrays: dict[str, Any] = {
    "label": train[examples.LABEL].to_numpy().astype(np.float32),
    **codes,
  }
  np.savez(folder / "rows.npz", **arrays)
  settings = {
    "sizes": {field.column.name: field.rows for field in known},
    "dim": _DIM,
    "hidden": _HIDDEN,
    "dropout": _DROPOUT,
    "batch": _BATCH,
    "epochs": _EPOCHS.value,
    "cores": _CORES.value,
    "seed": _SEED.value,
  }
  arguments = [str(folder / "rows.npz"), json.dumps(settings)]
  return _run_peer(python, _DEEPCTR, arguments, "deepctr-torch")


def _run_peer(
  python: str, program: str, arguments: list[str], name: str
) -> dict[str, Any]:
  """The JSON that a program prints last.

  Raises:
    ValueError: it fails; with the last line it printed.
  """
  done = subprocess.run(
    [python, "-c", program, *arguments],
    env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    capture_output=True,
    text=True,
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise ValueError(f"{name}: {last}")
  return json.loads(done.stdout.strip().splitlines()[-1])


def _target(
  text: str, asked: float, found: float, better: int
) -> dict[str, Any]:
  """What was asked, and what was found; better: +1 where higher is."""
  met = better * found >= better * asked
  return {"target": text, "asked": asked, "found": found, "met": met}


def _text(written: dict[str, Any]) -> str:
  """The tables to print."""
  lines = []
  for name, found in written.items():
    lines.append(f"{name}: samples a second")
    for kind, speed in found["ours"].items():
      lines.append(f"  ours, {kind:34} {speed:10,.0f}")
    for peer in found.keys() - {"ours"}:
      if isinstance(found[peer], dict) and "samples_per_second" in found[peer]:
        speed = found[peer]["samples_per_second"]
        lines.append(f"  {peer:40} {speed:10,.0f}")
    for row in found["targets"]:
      mark = "met" if row["met"] else "missed"
      text = f"{row['target']}, asked {row['asked']:g}"
      lines.append(f"  {text:60} {row['found']:8.2f}  {mark}")
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
