"""What a sweep may try, and who proposes what to try next.

A space is a file in configs/sweeps/ with a docstring and `get_space()`, which
returns for each option of a config, by its dotted name, one of

  {"choice": (value, ...)}
  {"low": number, "high": number, "log": True}

A range is of whole numbers where both ends are; "log" may be left out. With
"when": {option: (value, ...)} an option is set only where one further up has
one of these values; elsewhere the config's own value stays.

The sampler (TPE, Bergstra et al. 2011, of Optuna) is given the trials so far
and a seed of its own for each trial, so that a proposal is a function of these:
there is no state to save.
"""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adv_rec.experiments import options
from adv_rec.experiments.options import Config

Space = Mapping[str, Mapping[str, Any]]
Chosen = dict[str, Any]  # option -> value
_KEYS = ({"choice"}, {"low", "high"}, {"low", "high", "log"})
_RANDOM = 6  # trials before the sampler looks at values
_DRAWS = 100  # proposals to look at for one that is new


def load(path: str | os.PathLike[str]) -> Space:
  """The space of a file.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is no space.
  """
  made = runpy.run_path(os.fspath(path)).get("get_space")
  if made is None:
    raise ValueError(f"{path}: no get_space(); see configs/sweeps/attack.py")
  space: dict[str, dict[str, Any]] = {}
  for name, rule in made().items():
    place = f"{path}: {name}"
    if set(rule) - {"when"} not in _KEYS:
      raise ValueError(f"{place}: write a choice, or low and high")
    if "choice" in rule and not rule["choice"]:
      raise ValueError(f"{place}: a choice of nothing")
    if "low" in rule and not rule["low"] < rule["high"]:
      raise ValueError(f"{place}: low must be below high")
    if rule.get("log") and not rule["low"] > 0:
      raise ValueError(f"{place}: a logarithmic range must be above 0")
    if late := [other for other in rule.get("when", ()) if other not in space]:
      raise ValueError(f"{place}: when speaks of {late[0]}, not further up")
    space[name] = {**rule}
    if "choice" in rule:
      space[name]["choice"] = [_simple(value) for value in rule["choice"]]
  if not space:
    raise ValueError(f"{path}: an empty space")
  return json.loads(json.dumps(space))


def check(space: Space, config: Config) -> None:
  """Raises ValueError if a config lacks an option, or it has another type."""
  for name, rule in space.items():
    for value in rule.get("choice") or (rule["low"], rule["high"]):
      copy = config.copy_and_resolve_references()
      options.override(copy, {name: str(value)})


def check_installed() -> None:
  """Raises ValueError if Optuna is not there."""
  _optuna()


def propose(
  space: Space,
  tried: Sequence[tuple[Chosen, float | None]],
  minimize: bool,
  seed: int,
) -> Chosen | None:
  """What to try next; None if nothing is left that was not tried.

  Args:
    space: from `load`.
    tried: the trials so far and their values; None for one that failed, which
      the sampler is told was as bad as the worst.
    minimize: whether lower values are better.
    seed: of the whole sweep.
  """
  optuna = _optuna()
  known = [value for _, value in tried if value is not None]
  worst = (max if minimize else min)(known, default=0.0)
  told = [
    optuna.trial.create_trial(
      params=chosen,
      distributions={name: _distribution(space[name]) for name in chosen},
      value=worst if value is None else value,
    )
    for chosen, value in tried
    if known and _inside(space, chosen)
  ]
  for draw in range(_DRAWS):
    sequence = np.random.SeedSequence([seed, len(tried), draw])
    sampler = optuna.samplers.TPESampler(
      n_startup_trials=_RANDOM, seed=int(sequence.generate_state(1)[0])
    )
    study = optuna.create_study(
      direction="minimize" if minimize else "maximize", sampler=sampler
    )
    study.add_trials(told)
    chosen = _draw(space, study.ask())
    if all(chosen != other for other, _ in tried):
      return chosen
  return None


def _optuna() -> Any:
  try:
    import optuna
  except ImportError as error:
    raise ValueError(
      "a sweep needs the package optuna: pip install 'adv_rec[sweep]'"
    ) from error
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  return optuna


def _draw(space: Space, trial: Any) -> Chosen:
  chosen: Chosen = {}
  for name, rule in space.items():
    if not _active(rule, chosen):
      continue
    if "choice" in rule:
      chosen[name] = trial.suggest_categorical(name, rule["choice"])
      continue
    low, high, log = rule["low"], rule["high"], rule.get("log", False)
    if _whole(rule):
      chosen[name] = trial.suggest_int(name, low, high, log=log)
    else:
      drawn = trial.suggest_float(name, low, high, log=log)
      # Three digits are enough, and can be read and typed.
      chosen[name] = min(max(float(f"{drawn:.3g}"), low), high)
  return chosen


def _distribution(rule: Mapping[str, Any]) -> Any:
  distributions = _optuna().distributions
  if "choice" in rule:
    return distributions.CategoricalDistribution(rule["choice"])
  kind = "IntDistribution" if _whole(rule) else "FloatDistribution"
  made = getattr(distributions, kind)
  return made(rule["low"], rule["high"], log=rule.get("log", False))


def _active(rule: Mapping[str, Any], chosen: Chosen) -> bool:
  return all(
    other in chosen and chosen[other] in values
    for other, values in rule.get("when", {}).items()
  )


def _inside(space: Space, chosen: Chosen) -> bool:
  """Whether the space has these options and could have proposed them."""
  active = {name for name, rule in space.items() if _active(rule, chosen)}
  return active == chosen.keys() and all(
    value in space[name]["choice"]
    if "choice" in space[name]
    else space[name]["low"] <= value <= space[name]["high"]
    for name, value in chosen.items()
  )


def _whole(rule: Mapping[str, Any]) -> bool:
  return isinstance(rule["low"], int) and isinstance(rule["high"], int)


def _simple(value: Any) -> Any:
  """A choice as JSON and Optuna know it; a tuple as its text."""
  return value if isinstance(value, str | int | float) else str(value)
