r"""How training grows with the data, the catalogue and the devices.

  pip install '.[benchmark]'
  python benchmarks/scaling.py --out=runs/scaling

On generated logs (adv_rec/data/planted.py):

1. Seconds of a BPR epoch as users, items and interactions grow together by 10
   and 100: the slope of log seconds in log interactions, asked at most 1.1.
2. Seconds of a row-sparse step while only the catalogue grows, by 10 and 100,
   with the batch as it is; beside it the dense step, which must grow.
3. The same training on 1, 2, 4 and 8 devices, with tables split by rows over
   all of them: losses and parameters must agree within the tolerance of sums
   in another order. Devices are emulated on the CPU, each count in a process
   of its own (benchmarks/sharding.py), so this says nothing of speed.

Writes scaling.json, with the device and every number, and scaling.svg, and
prints a table. Under 10 minutes on 2 cores; --quick takes one.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from absl import flags

_BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_BENCHMARKS.parent / "scripts"))

import cli  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from adv_rec.data import batching, planted  # noqa: E402
from adv_rec.experiments import experiment  # noqa: E402
from adv_rec.games import recommend as games  # noqa: E402
from adv_rec.models.recommenders import (  # noqa: E402
  MatrixFactorization,
  padded,
)
from adv_rec.training import loop  # noqa: E402

_OUT = flags.DEFINE_string("out", "runs/scaling", "Where the results go.")
_QUICK = flags.DEFINE_bool(
  "quick", False, "A tenth of the data, growth by 10 only."
)

GROWTH = (1, 10, 100)
DEVICES = (1, 2, 4, 8)
SLOPE, STEP_GROWTH = 1.1, 1.25  # asked at most
_DIM, _BATCH = 64, 4096


def main():
  """Measures, writes, draws and prints."""
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  started = time.monotonic()
  small = 10 if _QUICK.value else 1
  growth = GROWTH[:2] if _QUICK.value else GROWTH
  size = (2_000 // small, 1_000 // small, 200_000 // small)
  result: dict[str, Any] = {
    "epoch": growing_data(size, growth),
    "step": growing_catalogue(20_000, growth, 30 // small),
    "devices": growing_devices(DEVICES, 1 << (10 if _QUICK.value else 17)),
  }
  result["targets"] = verdicts(result)
  result["quick"] = _QUICK.value
  result["wall_seconds"] = round(time.monotonic() - started, 1)
  result |= experiment.provenance()
  experiment.write_json(out / "scaling.json", result)
  draw(result, out / "scaling.svg")
  print(f"\n{_text(result)}\n\nWritten to {out}/scaling.json and scaling.svg")


def growing_data(
  size: tuple[int, int, int], growth: Sequence[int], epochs: int = 4
) -> dict[str, Any]:
  """Seconds of an epoch as everything grows.

  Args:
    size: users, items and interactions at growth 1.
    growth: factors of all three.
    epochs: of each run; the first, which compiles, is not counted.

  Returns:
    "rows": {"users", "items", "interactions", "seconds"} of the median epoch;
    "slope" of log seconds in log interactions, by least squares.
  """
  rows = []
  for factor in growth:
    users, items, interactions = (n * factor for n in size)
    pairs = _log(users, items, interactions)
    seconds = _epoch_seconds(users, items, *pairs, epochs, row_sparse=True)
    rows.append(
      {
        "users": users,
        "items": items,
        "interactions": interactions,
        "seconds": seconds,
      }
    )
    print(f"  {interactions:>12,} interactions: {seconds:.3f} s", flush=True)
  return {"rows": rows, "slope": slope(rows, "interactions")}


def growing_catalogue(
  items: int, growth: Sequence[int], steps: int
) -> dict[str, Any]:
  """Seconds of a step as the item table grows, sparse and dense.

  Args:
    items: of the catalogue at growth 1.
    growth: its factors.
    steps: of an epoch, of which several are clocked.

  Returns:
    "rows": {"items", "sparse", "dense"}, seconds of a step; "growth": of the
    sparse step from the smallest to the largest catalogue.
  """
  users, interactions = 10_000, steps * _BATCH
  rows = []
  for factor in growth:
    row: dict[str, Any] = {"items": items * factor}
    pairs = _log(users, items * factor, interactions)
    for name, sparse in (("sparse", True), ("dense", False)):
      row[name] = (
        _epoch_seconds(users, items * factor, *pairs, 3, row_sparse=sparse)
        / steps
      )
    rows.append(row)
    print(
      f"  {row['items']:>12,} items: a step takes {1e3 * row['sparse']:.2f} ms"
      f" sparse, {1e3 * row['dense']:.2f} ms dense",
      flush=True,
    )
  return {"rows": rows, "growth": rows[-1]["sparse"] / rows[0]["sparse"]}


def growing_devices(devices: Sequence[int], rows: int) -> dict[str, Any]:
  """The largest differences from one device; see sharding.py.

  Args:
    devices: counts, the first 1.
    rows: of each table.

  Returns:
    "rows": {"devices", "rows_a_device", "loss", "params"}, the last two the
    largest differences from one device, relative to the tolerance of
    `numpy.allclose` (at most 1 where they agree); "worst" of all.
  """
  rows_out, first = [], {}
  with tempfile.TemporaryDirectory() as folder:
    for count in devices:
      path = pathlib.Path(folder, f"{count}.npz")
      found = dict(_sharded(count, rows, path))
      local = int(found.pop("rows_a_device"))
      first = first or found
      row: dict[str, Any] = {"devices": count, "rows_a_device": local}
      for kind in ("loss", "params"):
        names = [name for name in found if name.startswith(kind)]
        row[kind] = max(excess(found[n], first[n]) for n in names)
      rows_out.append(row)
      print(
        f"  {count} devices, {local:,} rows each: differences of"
        f" {row['loss']:.3f} and {row['params']:.3f} tolerances",
        flush=True,
      )
  worst = max(max(row["loss"], row["params"]) for row in rows_out)
  return {"rows": rows_out, "worst": worst}


def excess(
  found: np.ndarray,
  expected: np.ndarray,
  rtol: float = 1e-4,
  atol: float = 1e-6,
) -> float:
  """The largest |found - expected| / (atol + rtol |expected|)."""
  allowed = atol + rtol * np.abs(expected)
  return float(np.max(np.abs(found - expected) / allowed))


def slope(rows: Sequence[dict[str, Any]], against: str) -> float:
  """The slope of log seconds in the log of a column, by least squares."""
  x, y = (np.log([row[name] for row in rows]) for name in (against, "seconds"))
  return float(np.polyfit(x, y, 1)[0])


def verdicts(result: dict[str, Any]) -> list[dict[str, Any]]:
  """The targets, what was found, and whether it is met."""
  found = (
    ("slope of epoch time in interactions", SLOPE, result["epoch"]["slope"]),
    (
      "times a row-sparse step grows with the catalogue",
      STEP_GROWTH,
      result["step"]["growth"],
    ),
    (
      "differences between devices, in tolerances",
      1.0,
      result["devices"]["worst"],
    ),
  )
  return [
    {"target": name, "asked": most, "found": value, "met": bool(value <= most)}
    for name, most, value in found
  ]


def _log(
  users: int, items: int, interactions: int
) -> tuple[np.ndarray, np.ndarray]:
  tables = list(planted.catalogue(users, items, interactions))
  user, item = (
    np.concatenate([table[name].to_numpy() for table in tables]).astype(
      np.int32
    )
    for name in ("user", "item")
  )
  return user, item


def _epoch_seconds(
  users: int,
  items: int,
  user: np.ndarray,
  item: np.ndarray,
  epochs: int,
  *,
  row_sparse: bool,
) -> float:
  """The median epoch of a run of the training loop, but for the first."""
  batch = min(_BATCH, len(user))
  steps = len(user) // batch
  dispatch = min(steps, 64)  # as when training from shards: little memory
  batches = batching.stream(
    batching.triples(user, item, items, 0), len(user), batch
  )
  if row_sparse:
    tables = {
      "user": (("user",), padded(users)),
      "item": (("positive", "negative"), padded(items)),
    }
    batches = batching.with_local_rows(batches, tables)
  game = games.matrix_factorization(
    MatrixFactorization(users, items, _DIM),
    optax.adagrad(0.03, 1e-8, eps=1e-14),
    row_sparse=row_sparse,
  )
  steps -= steps % dispatch
  schedule = loop.Schedule(epochs * steps, dispatch, 0, epochs * steps)
  with tempfile.TemporaryDirectory() as folder:
    workdir = pathlib.Path(folder)
    loop.train(game, batches, schedule, workdir, 0, progress=False)
    lines = map(json.loads, (workdir / "metrics.jsonl").open())
    ends = [line["wall_seconds"] for line in lines if line["step"] % steps == 0]
  return float(np.median(np.diff(ends))) * len(user) / (steps * batch)


def _sharded(devices: int, rows: int, path: pathlib.Path):
  """What sharding.py says with so many devices."""
  command = [sys.executable, str(_BENCHMARKS / "sharding.py")]
  flag = f"--xla_force_host_platform_device_count={devices}"
  done = subprocess.run(
    [*command, str(devices), str(rows), str(path)],
    env={**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
  )
  if done.returncode:
    raise ValueError(f"{devices} devices: {done.stderr.strip()[-300:]}")
  return np.load(path)


def draw(result: dict[str, Any], path: pathlib.Path) -> None:
  """Both kinds of growth as one picture, on logarithmic axes.

  Raises:
    ValueError: matplotlib is not installed.
  """
  try:
    import matplotlib.pyplot as plt
  except ImportError:
    raise ValueError(
      "no picture without matplotlib: pip install '.[benchmark]'"
    ) from None
  figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
  rows = result["epoch"]["rows"]
  x = [row["interactions"] for row in rows]
  left.loglog(x, [row["seconds"] for row in rows], "o-", label="measured")
  line = [rows[0]["seconds"] * value / x[0] for value in x]
  left.loglog(x, line, ":", color="grey", label="proportional")
  left.set(
    xlabel="interactions",
    ylabel="seconds an epoch",
    title=f"Slope {result['epoch']['slope']:.2f}",
  )
  rows = result["step"]["rows"]
  for name, style in (("sparse", "o-"), ("dense", "s--")):
    milliseconds = [1e3 * row[name] for row in rows]
    right.loglog(
      [row["items"] for row in rows], milliseconds, style, label=name
    )
  right.set(
    xlabel="items in the catalogue",
    ylabel="milliseconds a step",
    title=f"Step of {_BATCH:,} triples",
  )
  for axis in (left, right):
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
  figure.tight_layout()
  figure.savefig(path, metadata={"Date": None})
  plt.close(figure)


def _text(result: dict[str, Any]) -> str:
  device = result["device"]
  lines = [
    f"{device['platform']} {device['kind']}, {jax.device_count()} device"
  ]
  lines += ["", f"{'target':50} {'at most':>8} {'found':>8}"]
  for row in result["targets"]:
    mark = "met" if row["met"] else "missed"
    lines.append(
      f"{row['target']:50} {row['asked']:8} {row['found']:8.3f}  {mark}"
    )
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
