r"""Recommenders against implicit and cornac: seconds to quality, speed, memory.

  pip install '.[benchmark]'
  python benchmarks/recommend.py --out=runs/benchmark

On the same prepared data and the same cores (--cores), each contender in a
process of its own:

1. Every peer, with settings chosen on the validation part (peers.py), is
   trained to its own best validation nDCG@10. Its time is that of one
   uninterrupted fit of so many epochs. Then our methods are trained to that
   quality and clocked alike: the first fit of a process, compilation included,
   and the later ones. All are evaluated by our evaluator.
2. Seconds of a BPR epoch at 64 dimensions, and triples a second.
3. The most memory each process has held before its evaluation.
4. Seconds to rank the test users, from random tables: no quality on the test
   part is looked at.

Writes recommend.json to --out, with the device, all settings and every number,
and prints a table. On a GPU ours runs there, the peers on the CPU. About 20
minutes on 2 quiet cores; --datasets=ml100k_random takes 5.
"""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

from absl import flags

_BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_BENCHMARKS.parent / "scripts"))

import cli  # noqa: E402
import race  # noqa: E402

_OUT = flags.DEFINE_string("out", "runs/benchmark", "Where the results go.")
_DATASETS = flags.DEFINE_list(
  "datasets", ["completejourney", "ml100k_random"], "Which data."
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir", "", "Prepared data, DATA_DIR/NAME, made if absent; OUT/data."
)
_CORES = flags.DEFINE_integer("cores", 2, "Cores that each may use.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Fits that are clocked.", 2)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", 0)

_DIM = 64
_EPOCHS = 10  # of each clocked run of BPR


def main():
  """Measures, writes and prints."""
  _check_peers()
  # JAX starts here only after all contenders have: the first process on a GPU
  # keeps its memory from the others.
  started, out = time.monotonic(), pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  result = {}
  for name in _DATASETS.value:
    directory = pathlib.Path(_DATA_DIR.value or out / "data") / name
    print(f"{name}:", flush=True)
    _prepare(name, directory)
    result[name] = _measure(name, directory)
  written = {
    "datasets": result,
    "targets": race.verdicts(result),
    "cores": _CORES.value,
    "repeats": _REPEATS.value,
    "seed": _SEED.value,
    "wall_seconds": round(time.monotonic() - started, 1),
    **_provenance(),
  }
  from adv_rec.experiments import experiment

  experiment.write_json(out / "recommend.json", written)
  print(f"\n{_text(written)}\n\nWritten to {out / 'recommend.json'}")


def _measure(name: str, directory: pathlib.Path) -> dict[str, Any]:
  """All that is measured on one dataset."""
  import ours
  import peers

  def run(job: race.Job) -> dict[str, Any]:
    common = {"data": str(directory), "cores": _CORES.value}
    return _process(job | common | {"seed": _SEED.value})

  others = [
    race.Entry(method, settings, *peers.LOOKS[method])
    for method, settings in peers.SETTINGS[name].items()
  ]
  own = [
    race.Entry(
      method, settings, *ours.LOOKS[method], ours.RIVALS.get(method, ())
    )
    for method, settings in ours.SETTINGS[name].items()
  ]
  raced = race.race(others, own, run, _REPEATS.value, _say)
  _say("a BPR epoch at 64 dimensions")
  entries = {
    "implicit BPR": peers.SETTINGS[name]["implicit BPR"] | {"factors": _DIM},
    "cornac BPR": peers.SETTINGS[name]["cornac BPR"] | {"k": _DIM},
    "BPR": f"{ours.SETTINGS[name]['BPR']},model.dim={_DIM}",
  }
  rows = json.loads((directory / "dataset.json").read_text())["counts"]["train"]
  epoch = race.epochs_side_by_side(entries, "BPR", rows, run, 3, _EPOCHS, _say)
  ranked = run({"task": "evaluate", "repeats": _REPEATS.value})
  _say(f"test users ranked in {ranked['warm_seconds']:.3f} s")
  return {"race": raced, "epoch": epoch, "evaluation": ranked}


def _process(job: race.Job) -> dict[str, Any]:
  """Runs a job of contender.py on the cores it may use.

  Raises:
    ValueError: it failed; with the end of what it said.
  """
  command = [sys.executable, str(_BENCHMARKS / "contender.py"), json.dumps(job)]
  # implicit asks for this: its own threads would fight with those of BLAS.
  environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
  environment["OMP_NUM_THREADS"] = str(job["cores"])
  done = subprocess.run(
    command,
    env=environment,
    preexec_fn=lambda: _keep_cores(job["cores"]),
    capture_output=True,
    text=True,
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise ValueError(f"{job['method']}, {job['task']}: {last}")
  return json.loads(done.stdout.strip().splitlines()[-1])


def _keep_cores(cores: int) -> None:
  if hasattr(os, "sched_setaffinity"):  # Linux; JAX and OpenMP heed it
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _prepare(name: str, directory: pathlib.Path) -> None:
  if (directory / "dataset.json").exists():
    return
  script = _BENCHMARKS.parent / "scripts" / "prepare_data.py"
  done = subprocess.run(
    [sys.executable, str(script), f"--dataset={name}", f"--out={directory}"],
    capture_output=True,
    text=True,
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise ValueError(last.removeprefix("error: "))


def _check_peers() -> None:
  import peers

  for package in ("implicit", "cornac"):
    try:
      importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      raise ValueError(peers.MISSING) from None
  for name in _DATASETS.value:
    if name not in peers.SETTINGS:
      raise ValueError(
        f"--datasets={name}: the peers' settings are known for"
        f" {' and '.join(peers.SETTINGS)} only"
      )


def _provenance() -> dict[str, Any]:
  from adv_rec.experiments import experiment

  found = experiment.provenance()
  for package in ("implicit", "cornac", "scipy"):
    found["versions"][package] = importlib.metadata.version(package)
  found["device"]["cpu"] = _cpu()
  return found


def _cpu() -> str:
  """The name of the processor, as far as the system tells."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    return ""
  names = [
    line.split(":")[1] for line in lines if line.startswith("model name")
  ]
  return names[0].strip() if names else ""


def _text(written: dict[str, Any]) -> str:
  """The tables to print."""
  device = written["device"]
  lines = [
    f"{device['platform']} {device['kind']}, {device['cpu']},"
    f" {written['cores']} cores"
  ]
  for name, part in written["datasets"].items():
    lines += ["", f"{name}, validation nDCG@10", _HEAD]
    for row in part["race"]["peers"] + part["race"]["ours"]:
      lines.append(_line(row))
    for method, epoch in part["epoch"]["methods"].items():
      rate = epoch["triples_per_second"]
      lines.append(f"{method:14} {rate / 1e6:6.2f} M triples/s")
  lines += ["", f"{'target':64} {'asked':>6} {'found':>8}"]
  for row in written["targets"]:
    found = "never" if row["found"] is None else f"{row['found']:.2f}"
    mark = "met" if row["met"] else "missed"
    lines.append(f"{row['target']:64} {row['asked']:>6} {found:>8}  {mark}")
  return "\n".join(lines)


_HEAD = (
  f"{'':14} {'target':>7} {'epochs':>7} {'first s':>8} {'warm s':>8}"
  f" {'times faster':>15} {'MB':>6}"
)


def _line(row: dict[str, Any]) -> str:
  if not row["reached"]:
    return f"{row['method']:14} {row['target']:7.4f}   best {row['best']:.4f}"
  times = row.get("ratios")
  times = f"{times['first']:.2f} / {times['warm']:.2f}" if times else ""
  return (
    f"{row['method']:14} {row['target']:7.4f} {row['epochs']:7}"
    f" {row['first_seconds']:8.3f} {row['warm_seconds']:8.3f} {times:>15}"
    f" {row['peak_mb']:6.0f}"
  )


def _say(line: str) -> None:
  print(f"  {line.strip()}", flush=True)


if __name__ == "__main__":
  cli.run(main)
