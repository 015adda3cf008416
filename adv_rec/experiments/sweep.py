"""A search over options of a config, by a metric of the validation part.

Trials are ordinary runs, OUT/trials/N, one after the other; the first is plain
training, with which whatever is found is compared. OUT/sweep.json has what each
came to and is replaced after each. What a trial tries is a function of those
before it (`space.propose`), so that a sweep that was killed goes on as if
nothing had happened, from the checkpoint of the run that it was at.
"""

from __future__ import annotations

import json
import logging
import math
import pathlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adv_rec.experiments import experiment, options
from adv_rec.experiments import space as spaces
from adv_rec.experiments.options import Config
from adv_rec.experiments.space import Chosen, Space

Trial = dict[str, Any]
PART = "validation/"
_DIRECTIONS = ("", "maximize", "minimize")
# Of the options, not of the machine; a full disk, say, ends the sweep.
_FAILURES = (ValueError, ArithmeticError, RuntimeError)
_logger = logging.getLogger(__name__)


def run(
  config: str,
  space: Space,
  out: pathlib.Path,
  trials: int,
  seed: int = 0,
  metric: str = "",
  direction: str = "",
  lower: Callable[[str], bool] = lambda metric: False,
) -> dict[str, Any]:
  """Runs a sweep, or goes on with it.

  Args:
    config: FILE:option=value,... as on the command line.
    space: from `space.load`.
    out: directory of the sweep.
    trials: how many in all; a finished sweep goes on with more.
    seed: of the proposals; that of the runs is the config's.
    metric: validation/NAME; "": what the experiment watches.
    direction: "maximize" or "minimize"; "": as `lower` says.
    lower: metric -> whether lower is better.

  Returns:
    What OUT/sweep.json holds: "asked", "title", "metric", "direction",
    "dataset", "best" (number of a trial), "command" (that trains it on all but
    the test part) and "trials", each with "number", "options", "state"
    ("complete" or "failed"), "value", "metrics", "seconds" and "error".

  Raises:
    ValueError: a bad option, metric or space, a directory of another sweep, or
      all trials failed.
    OSError: files are not there, or cannot be written.
  """
  _check_metric(metric)
  if direction not in _DIRECTIONS:
    raise ValueError(f"direction={direction!r}: choose maximize or minimize")
  spaces.check_installed()
  base = load(config)
  spaces.check(space, base)
  asked = {
    "config": config,
    "space": space,
    "seed": seed,
    "metric": metric,
    "direction": direction,
  }
  found = _opened(out, asked, str(base.title))
  done: list[Trial] = found["trials"]
  while len(done) < trials:
    chosen = _plain(base)
    if done:
      chosen = spaces.propose(
        space,
        [(trial["options"], trial["value"]) for trial in done],
        found["direction"] == "minimize",
        seed,
      )
    if chosen is None:
      _logger.info("all that the space allows has been tried")
      break
    trial, result = _try(
      config, chosen, _prepared(base, space, out, done), out, len(done)
    )
    if result is not None:
      if not found["metric"]:
        name = metric or result["watch"]
        less = direction == "minimize" or (not direction and lower(name))
        found["metric"] = name
        found["direction"] = "minimize" if less else "maximize"
        found["dataset"] = result["dataset"]
      _measure(trial, result, found["metric"])
    done.append(trial)
    best = _best(done, found["direction"])
    found["best"] = None if best is None else best["number"]
    found["command"] = "" if best is None else _command(config, best, base, out)
    experiment.write_json(out / "sweep.json", found)
    _logger.info("%s", line(trial, trials, found))
  if found["best"] is None:
    raise ValueError(
      f"all {len(done)} trials failed, the first of them: {done[0]['error']}"
      f" (see {out / 'sweep.json'}; remove {out} to try again)"
    )
  return found


def load(config: str, more: Mapping[str, Any] | None = None) -> Config:
  """The config of FILE:option=value,... with further options."""
  file, _, arg = _joined(config, more or {}).partition(":")
  return options.load(file, arg)


def line(trial: Trial, trials: int, found: Mapping[str, Any]) -> str:
  """A trial in one line."""
  words = ", ".join(f"{k}={v}" for k, v in trial["options"].items())
  start = f"[{trial['number'] + 1}/{trials}] {words or 'as the config is'}"
  if trial["state"] == "failed":
    return f"{start}: failed, {trial['error']}"
  best = found["trials"][found["best"]]
  return (
    f"{start}: {found['metric']} {trial['value']:.4f} after"
    f" {trial['seconds']:.0f} s (best {best['value']:.4f}, trial"
    f" {best['number'] + 1})"
  )


def _check_metric(metric: str) -> None:
  if metric.startswith("test/"):
    raise ValueError(
      f"--metric={metric}: nothing is chosen by the test part, or its figure"
      f" would say nothing; choose {PART}..."
    )
  if metric and not metric.startswith(PART):
    raise ValueError(f"--metric={metric}: choose a metric {PART}...")


def _opened(
  out: pathlib.Path, asked: Mapping[str, Any], title: str
) -> dict[str, Any]:
  """What is there of the sweep."""
  path = out / "sweep.json"
  if not path.exists():
    (out / "trials").mkdir(parents=True, exist_ok=True)
    new = {"asked": asked, "title": title, "metric": "", "direction": ""}
    return {**new, "dataset": {}, "best": None, "command": "", "trials": []}
  try:
    found = json.loads(path.read_text("utf-8"))
    old = found["asked"]
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(f"{path} is damaged; choose another --out") from error
  if changed := [name for name in asked if asked[name] != old.get(name)]:
    raise ValueError(
      f"{out} holds another sweep (it differs in {', '.join(changed)}); choose"
      " another --out, or remove it"
    )
  return found


def _plain(config: Config) -> Chosen:
  """Options of plain training; none where nothing is attacked anyway."""
  attack = config.get("attack") or {}
  if "name" not in attack:
    return {}
  chosen = {"attack.name": "none"}
  if attack.get("form", "loss") != "loss":
    chosen["attack.form"] = "loss"
  return chosen


def _prepared(
  config: Config, space: Space, out: pathlib.Path, done: Sequence[Trial]
) -> dict[str, str]:
  """The option that hands on the data of the first run that has some."""
  data = config.get("data") or {}
  groups = {name.partition(".")[0] for name in space}
  if data.get("prepared") != "" or groups & {"data", "dataset", "seed"}:
    return {}
  for trial in done:
    folder = _workdir(out, trial["number"]) / "data"
    if trial["state"] == "complete" and folder.is_dir():
      return {"data.prepared": str(folder)}
  return {}


def _try(
  config: str,
  chosen: Chosen,
  prepared: Mapping[str, str],
  out: pathlib.Path,
  number: int,
) -> tuple[Trial, dict[str, Any] | None]:
  """A run; its record, and its result unless it failed."""
  trial: Trial = {
    "number": number,
    "options": chosen,
    "state": "complete",
    "value": None,
    "metrics": {},
    "seconds": 0.0,
    "error": "",
  }
  more = {**prepared, **chosen}
  workdir, started = _workdir(out, number), time.monotonic()
  try:
    result = experiment.run(
      load(config, more),
      workdir,
      progress=False,
      command=_train(_joined(config, more), workdir),
    )
  except _FAILURES as error:
    trial["seconds"] = round(time.monotonic() - started, 3)
    _fail(trial, str(error) or type(error).__name__)
    return trial, None
  trial["seconds"] = result["wall_seconds"]
  return trial, result


def _measure(trial: Trial, result: Mapping[str, Any], metric: str) -> None:
  """Adds the validation metrics of a result; those of the test stay there."""
  trial["metrics"] = {
    name: value
    for name, value in result["metrics"].items()
    if name.startswith(PART)
  }
  if metric not in trial["metrics"]:
    there = ", ".join(trial["metrics"]) or "none, as with fit=train+validation"
    raise ValueError(
      f"the run has no metric {metric or 'to watch'} of the validation part;"
      f" choose another --metric (it has {there})"
    )
  value = trial["metrics"][metric]
  if math.isfinite(value):
    trial["value"] = value
  else:
    _fail(trial, f"{metric} is {value}")


def _fail(trial: Trial, error: str) -> None:
  trial.update(state="failed", error=" ".join(error.split()), metrics={})


def _best(done: Sequence[Trial], direction: str) -> Trial | None:
  """The first of the best."""
  known = [trial for trial in done if trial["state"] == "complete"]
  sign = -1 if direction == "minimize" else 1
  return max(known, key=lambda trial: sign * trial["value"], default=None)


def _command(config: str, best: Trial, base: Config, out: pathlib.Path) -> str:
  more = dict(best["options"])
  if base.get("fit") == "train":
    more["fit"] = "train+validation"
  return _train(_joined(config, more), out / "best")


def _train(config: str, workdir: pathlib.Path) -> str:
  words = ["python", "scripts/train.py", f"--config={config}"]
  return shlex.join([*words, f"--workdir={workdir}"])


def _joined(config: str, more: Mapping[str, Any]) -> str:
  file, _, arg = config.partition(":")
  words = [arg, *(f"{name}={value}" for name, value in more.items())]
  return f"{file}:{','.join(filter(None, words))}"


def _workdir(out: pathlib.Path, number: int) -> pathlib.Path:
  return out / "trials" / str(number)
