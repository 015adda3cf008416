r"""A large shop from start to end: time and memory of each stage.

  python benchmarks/large.py --out=/tmp/large

Generates 100 million interactions of 5 million users with 2 million items
(`planted.catalogue`), prepares them in shards, trains BPR-MF for one epoch from
these, and evaluates 10,000 users, each stage in a process of its own with the
programs that a user would call. Writes result.json: seconds, CPU seconds, peak
memory and load of each stage. Needs 6 GB of disk.

Training ends with an evaluation of its own: the validation users twice (once
as after any epoch) and the test users; the stage evaluate repeats the last two.
Killed, the same command goes on with the stage that it was in, whose seconds
are then those since.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import app, flags, logging

from adv_rec.experiments import experiment

_OUT = flags.DEFINE_string("out", None, "Directory for everything.")
_USERS = flags.DEFINE_integer("users", 5_000_000, "Users to generate.", 1)
_ITEMS = flags.DEFINE_integer("items", 2_000_000, "Items to generate.", 32)
_ROWS = flags.DEFINE_integer(
  "interactions", 100_000_000, "Interactions to generate.", 1
)
_SHARDS = flags.DEFINE_integer("shards", 32, "Files of the train part.", 1)
_EVALUATED = flags.DEFINE_integer(
  "evaluated", 10_000, "Users to evaluate, on each of validation and test.", 1
)
_BATCH = flags.DEFINE_integer("batch_size", 8192, "Triples a step.", 1)
_MEMORY = flags.DEFINE_string(
  "memory", "", "What preparation may use before it uses disk, as 4g."
)
flags.mark_flag_as_required("out")

_ROOT = pathlib.Path(__file__).parents[1]
_GENERATE = """
from adv_rec.data import planted
planted.write_catalogue({raw!r}, {users}, {items}, {rows}, files={files})
"""


def main(argv: Sequence[str]) -> None:
  """Runs the stages that are not done, and writes result.json."""
  if len(argv) > 1:
    sys.exit(f"error: unexpected argument {argv[1]!r}; see --help")
  logging.set_verbosity(logging.WARNING)  # JAX tells of devices it looks for
  out = pathlib.Path(_OUT.value or "").absolute()
  out.mkdir(parents=True, exist_ok=True)
  sizes = {
    flag.name: flag.value
    for flag in (_USERS, _ITEMS, _ROWS, _SHARDS, _EVALUATED, _BATCH, _MEMORY)
  }
  _claim(out / "sizes.json", sizes)
  stages = {
    name: _stage(out / f"{name}.json", command)
    for name, command in _commands(out).items()
  }
  run = json.loads((out / "run" / "result.json").read_text())
  *_, last = (out / "run" / "metrics.jsonl").read_text().splitlines()
  result = {
    "sizes": sizes,
    "stages": stages,
    "dataset": run["dataset"],
    "steps": run["steps"],
    # Without the start of the program and the last evaluation.
    "training_seconds": json.loads(last)["wall_seconds"],
    "metrics": run["metrics"],
    **experiment.provenance(),
  }
  experiment.write_json(out / "result.json", result)
  print(
    f"\n{'stage':<10}{'seconds':>9}{'CPU':>8}{'peak memory':>15}{'load':>7}"
  )
  for name, stage in stages.items():
    print(
      f"{name:<10}{stage['seconds']:>9.0f}{stage['cpu_seconds']:>8.0f}"
      f"{stage['peak_gib']:>11.1f} GiB"
      f"{stage['load'][1]:>7.1f}"
    )
  print(f"\nEverything: {out / 'result.json'}")


def _commands(out: pathlib.Path) -> dict[str, list[str]]:
  raw, prepared, run = (str(out / name) for name in ("raw", "data", "run"))
  generate = _GENERATE.format(
    raw=raw,
    users=_USERS.value,
    items=_ITEMS.value,
    rows=_ROWS.value,
    files=_SHARDS.value,
  )
  # Twice as many as seem needed: some users are lost to the filters.
  per_shard = _USERS.value / _SHARDS.value
  shards = min(math.ceil(2 * _EVALUATED.value / per_shard), _SHARDS.value)
  options = {
    "dataset": "",
    "data.prepared": prepared,
    "data.shards": _SHARDS.value,
    "data.evaluate_shards": shards,
    "evaluation.users": _EVALUATED.value,
    "row_sparse": True,
    "epochs": 1,
    "evaluate_every": 0,
    "batch_size": _BATCH.value,
  }
  listed = ",".join(f"{name}={value}" for name, value in options.items())
  config = _ROOT / "configs" / "recommend" / "bpr.py"
  return {
    "generate": [sys.executable, "-c", generate],
    "prepare": _program(
      "prepare_data",
      f"--path={raw}/*.parquet",
      "--columns=user=user,item=item,time=time",
      "--k_core=5",
      f"--shards={_SHARDS.value}",
      f"--memory={_MEMORY.value}",
      f"--out={prepared}",
    ),
    "train": _program(
      "train", f"--config={config}:{listed}", f"--workdir={run}"
    ),
    "evaluate": _program("evaluate", f"--workdir={run}"),
  }


def _program(name: str, *arguments: str) -> list[str]:
  return [sys.executable, str(_ROOT / "scripts" / f"{name}.py"), *arguments]


def _claim(path: pathlib.Path, sizes: dict[str, Any]) -> None:
  if not path.exists():
    experiment.write_json(path, sizes)
  elif json.loads(path.read_text()) != sizes:
    sys.exit(f"error: {path.parent} holds other sizes; choose another --out")


def _stage(done: pathlib.Path, command: list[str]) -> dict[str, Any]:
  """Runs a stage, unless it is done; what it took."""
  if done.exists():
    return json.loads(done.read_text())
  print(f"\n{done.stem}: {shlex.join(command)}", flush=True)
  started, load = time.monotonic(), os.getloadavg()[0]
  process = subprocess.Popen(command)
  # Not resource.getrusage: that is the most of all children so far.
  _, status, usage = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    sys.exit(f"error: the stage {done.stem} failed; its own message says why")
  found = {
    "command": _anywhere(shlex.join(command), done.parent),
    "seconds": round(time.monotonic() - started, 1),
    "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
    "peak_gib": round(_gib(usage), 2),
    "load": [round(load, 2), round(os.getloadavg()[0], 2)],  # before, after
  }
  experiment.write_json(done, found)
  return found


def _anywhere(command: str, out: pathlib.Path) -> str:
  """The command without the paths of this machine."""
  command = command.replace(sys.executable, "python")
  return command.replace(f"{_ROOT}/", "").replace(str(out), "DIR")


def _gib(usage: resource.struct_rusage) -> float:
  unit = 1 if sys.platform == "darwin" else 1024
  return usage.ru_maxrss * unit / 2**30


if __name__ == "__main__":
  app.run(main)
