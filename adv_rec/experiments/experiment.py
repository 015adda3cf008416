"""One way to run an experiment, whatever the task.

A config names a builder, "package.module.function"; the builder makes an
Experiment from the config; `run` trains it and leaves a workdir behind:

  config.json     the config; another one is refused
  data/           the prepared data, with the raw ids
  metrics.jsonl, tensorboard/, checkpoints/
  per_user.npz    test metrics of each user, for paired comparisons
  result.json     written last
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

import adv_rec
from adv_rec.data import atomic
from adv_rec.experiments import options
from adv_rec.experiments.options import Config
from adv_rec.training import loop, parallel
from adv_rec.types import Game, Probe, Scorer, State

_logger = logging.getLogger(__name__)


class Experiment(NamedTuple):
  """What a builder makes of a config.

  Attributes:
    game: the players.
    batches: (start, stop, part) -> batches, see `data.batching`; None if there
      is no step.
    schedule: how long to train.
    evaluate: state -> metrics, while training; None for none.
    finish: state -> entries of result.json, "metrics" among them; and, not
      for that file, "per_user": "user" and metric names -> arrays [U].
    dataset: description of the data for result.json.
    watch: the metric to show while training.
    scorer: state -> scorer, of a recommender.
    attack: (state, attacks, sizes, part) -> robustness curves, where there
      are embeddings to move; see `attacks.on_embeddings`.
    sample: (state, rows, seed) -> a generated table (Arrow), of a generator
      of tables.
    new_items: (state, content) -> scorer of items that are known by their
      content alone, see `data.content`; of a recommender that can.
  """

  game: Game
  batches: Callable[..., Mapping[str, Any]] | None
  schedule: loop.Schedule
  evaluate: loop.Evaluate | None
  finish: Callable[[State], Mapping[str, Any]]
  dataset: Mapping[str, Any]
  watch: str = ""
  scorer: Callable[[State], Scorer] | None = None
  attack: Callable[..., list[dict[str, Any]]] | None = None
  sample: Callable[[State, int, int], Any] | None = None
  new_items: Callable[[State, Mapping[str, Any]], Scorer] | None = None
  probes: Mapping[str, Probe] | None = None
  task: Any = None


def build(config: Config, workdir: pathlib.Path) -> Experiment:
  """Calls the builder that the config names.

  Raises:
    ValueError: there is no such builder.
  """
  module, _, function = config.experiment.rpartition(".")
  try:
    builder = getattr(importlib.import_module(module), function)
  except (ImportError, AttributeError, ValueError) as error:
    raise ValueError(
      f"config option experiment={config.experiment!r} names no builder"
      f" ({error}); write package.module.function"
    ) from error
  return builder(config, workdir)


def run(
  config: Config,
  workdir: str | os.PathLike[str],
  mode: str = "jit",
  model_parallel: int = 1,
  progress: bool = True,
  command: str = "",
) -> dict[str, Any]:
  """Trains an experiment, or goes on with it, and returns its result.

  Args:
    config: from a file in configs/.
    workdir: where everything goes; see the top of this file.
    mode: "jit" or "pmap".
    model_parallel: devices along the mesh's "model" axis.
    progress: whether to show a progress bar.
    command: what to record as the command of the run.

  Raises:
    ValueError: bad config or data, and a new workdir is left as it was; or a
      workdir of another config.
  """
  workdir = pathlib.Path(workdir)
  mesh = parallel.make_mesh(model_parallel)
  options.check_finite(config)
  absent = [path for path in (workdir, *workdir.parents) if not path.exists()]
  new = parallel.on_one_process(lambda: _claim(workdir, config))
  result_path = workdir / "result.json"
  if result_path.exists():
    result = _read_json(result_path)
    _logger.info("%s is there: nothing to do", result_path)
    return result
  started = time.monotonic()
  try:
    experiment = build(config, workdir)
    state = loop.train(
      experiment.game,
      experiment.batches,
      experiment.schedule,
      workdir,
      config.seed,
      experiment.evaluate,
      mesh=mesh,
      mode=mode,
      progress=progress,
      watch=experiment.watch,
    )
  except (ValueError, OSError):
    if new:
      _release(workdir, absent)
    raise
  finished = dict(experiment.finish(state))
  per_user = finished.pop("per_user", None)
  result = {
    "name": config.name,
    "title": config.title,
    "command": command,
    "config": config.to_dict(),
    "dataset": dict(experiment.dataset),
    "seed": config.seed,
    "watch": experiment.watch,
    "steps": int(state.step),
    **finished,
    "wall_seconds": round(time.monotonic() - started, 3),
    **provenance(),
  }
  if jax.process_index() == 0:
    if per_user is not None:
      _write_arrays(workdir / "per_user.npz", per_user)
    write_json(result_path, result)
  return result


def restore(
  workdir: str | os.PathLike[str], **evaluation: Any
) -> tuple[Experiment, State]:
  """The experiment and the newest state of a workdir.

  Args:
    workdir: of a run.
    **evaluation: options of config.evaluation to change, such as ks=(1, 5).

  Raises:
    FileNotFoundError: the workdir holds no run, or no checkpoint yet.
    ValueError: one of its files is damaged.
  """
  workdir = pathlib.Path(workdir)
  read = read_config(workdir)
  if not (workdir / "checkpoints").is_dir():
    raise FileNotFoundError(f"{workdir} has no checkpoint yet; train first")
  read.evaluation.update(evaluation)
  experiment = build(read, workdir)
  return experiment, loop.restore(experiment.game, workdir, read.seed)


def read_config(workdir: pathlib.Path) -> Config:
  """The config of a workdir.

  Raises:
    FileNotFoundError: the workdir holds no run.
    ValueError: its file is damaged.
  """
  path = workdir / "config.json"
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file; is this a workdir?")
  return ml_collections.ConfigDict(_read_json(path))


def provenance() -> dict[str, Any]:
  """Device, commit and versions, as result.json records them."""
  device = jax.devices()[0]
  name = device.device_kind if device.platform != "cpu" else platform.machine()
  packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
  return {
    "device": {
      "platform": device.platform,
      "kind": name,
      "count": jax.device_count(),
      "cpu_cores": os.cpu_count(),
    },
    "commit": _commit(),
    "versions": {
      "adv_rec": adv_rec.__version__,
      "python": platform.python_version(),
      **{name: importlib.metadata.version(name) for name in packages},
    },
  }


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a file that is whole at any moment."""
  temporary = path.with_name(path.name + ".tmp")
  temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
  os.replace(temporary, path)


def _write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
  """Like `write_json`; float32 is plenty for what is compared."""
  temporary = path.with_name(path.name + ".tmp")
  with temporary.open("wb") as file:
    np.savez_compressed(
      file,
      **{
        name: x.astype(np.float32 if x.dtype.kind == "f" else np.int32)
        for name, x in arrays.items()
      },
    )
  os.replace(temporary, path)


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  try:
    return dict(json.loads(path.read_text("utf-8")))
  except (ValueError, TypeError) as error:
    raise ValueError(
      f"{path} is damaged: {error}; remove this workdir or choose another"
    ) from error


def _claim(workdir: pathlib.Path, config: Config) -> bool:
  """Makes the workdir this config's own, or refuses; whether it is new."""
  path = workdir / "config.json"
  new = json.loads(config.to_json())
  if not path.exists():
    atomic.check_place(workdir)
    there = {p.name for p in workdir.iterdir()} if workdir.is_dir() else set()
    if there - {path.name + ".tmp"}:  # left by a process that was killed
      raise ValueError(
        f"workdir {workdir} holds other files and no config.json; choose an"
        " empty or new directory"
      )
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(path, new)
    return True
  old = _read_json(path)
  if old != new:
    changed = sorted(_differences(old, new))
    raise ValueError(
      f"workdir {workdir} holds a run of another config (it differs in"
      f" {', '.join(changed)}); choose another workdir, or remove it"
    )
  return False


def _release(workdir: pathlib.Path, absent: Sequence[pathlib.Path]) -> None:
  """Takes back what a run wrote that failed before its first checkpoint.

  Otherwise the corrected command would be refused as another config.

  Args:
    workdir: of the run.
    absent: the workdir and its parents, innermost first, where the run made
      them.
  """
  if any((workdir / "checkpoints").glob("[0-9]*")):
    return
  for name in ("data", "tensorboard", "checkpoints"):
    shutil.rmtree(workdir / name, ignore_errors=True)
  for name in ("metrics.jsonl", "config.json"):
    (workdir / name).unlink(missing_ok=True)
  with contextlib.suppress(OSError):
    for path in absent:
      path.rmdir()


def _differences(old: Any, new: Any, prefix: str = ""):
  for name in {*old, *new}:
    a, b = old.get(name), new.get(name)
    if isinstance(a, dict) and isinstance(b, dict):
      yield from _differences(a, b, f"{prefix}{name}.")
    elif a != b:
      yield prefix + name


def _commit() -> str:
  """The commit of the checkout this code runs from, "" outside of one."""
  folder = pathlib.Path(adv_rec.__file__).parent
  try:
    found = subprocess.run(
      ["git", "describe", "--always", "--dirty", "--abbrev=12"],
      cwd=folder,
      capture_output=True,
      text=True,
      check=True,
    )
  except (OSError, subprocess.CalledProcessError):
    return ""
  return found.stdout.strip()
