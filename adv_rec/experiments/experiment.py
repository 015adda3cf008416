"""One way to run an experiment, whatever the task.

A config names a builder, "package.module.function"; the builder makes an
Experiment from the config; `run` trains it and leaves a workdir behind:

  config.json     the config; another one is refused
  data/           the prepared data, with the raw ids
  metrics.jsonl, tensorboard/, checkpoints/
  result.json     written last
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import ml_collections

import adv_rec
from adv_rec.experiments.options import Config
from adv_rec.training import loop, parallel
from adv_rec.types import Game, State

_logger = logging.getLogger(__name__)


class Experiment(NamedTuple):
  """What a builder makes of a config.

  Attributes:
    game: the players.
    batches: (start, stop) -> global batches; None if there is no step.
    schedule: how long to train.
    evaluate: state -> metrics, while training; None for none.
    finish: state -> entries of result.json, "metrics" among them.
    dataset: description of the data for result.json.
    watch: the metric to show while training.
  """

  game: Game
  batches: Callable[[int, int], Mapping[str, Any]] | None
  schedule: loop.Schedule
  evaluate: loop.Evaluate | None
  finish: Callable[[State], Mapping[str, Any]]
  dataset: Mapping[str, Any]
  watch: str = ""


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
    ValueError: bad config, or a workdir of another config.
  """
  workdir = pathlib.Path(workdir)
  mesh = parallel.make_mesh(model_parallel)
  _claim(workdir, config)
  result_path = workdir / "result.json"
  if result_path.exists():
    _logger.info("%s is there: nothing to do", result_path)
    return json.loads(result_path.read_text())
  experiment = build(config, workdir)
  started = time.monotonic()
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
  result = {
    "name": config.name,
    "title": config.title,
    "command": command,
    "config": config.to_dict(),
    "dataset": dict(experiment.dataset),
    "seed": config.seed,
    "steps": int(state.step),
    **experiment.finish(state),
    "wall_seconds": round(time.monotonic() - started, 3),
    **provenance(),
  }
  if jax.process_index() == 0:
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
  """
  workdir = pathlib.Path(workdir)
  config = workdir / "config.json"
  if not config.is_file():
    raise FileNotFoundError(f"{config}: no such file; is this a workdir?")
  read: Config = ml_collections.ConfigDict(json.loads(config.read_text()))
  read.evaluation.update(evaluation)
  experiment = build(read, workdir)
  return experiment, loop.restore(experiment.game, workdir, read.seed)


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


def _claim(workdir: pathlib.Path, config: Config) -> None:
  """Makes the workdir this config's own, or refuses."""
  path = workdir / "config.json"
  new = json.loads(config.to_json())
  if not path.exists():
    if workdir.is_dir() and any(workdir.iterdir()):
      raise ValueError(
        f"workdir {workdir} holds other files and no config.json; choose an"
        " empty or new directory"
      )
    if jax.process_index() == 0:
      workdir.mkdir(parents=True, exist_ok=True)
      write_json(path, new)
    return
  old = json.loads(path.read_text())
  if old != new:
    changed = sorted(_differences(old, new))
    raise ValueError(
      f"workdir {workdir} holds a run of another config (it differs in"
      f" {', '.join(changed)}); choose another workdir, or remove it"
    )


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
