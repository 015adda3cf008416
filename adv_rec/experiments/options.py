"""Options of a config given on the command line: `bpr.py:seed=1,l2=.01`."""

from __future__ import annotations

import ast
import difflib
import functools
import math
import os
import re
import runpy
from collections.abc import Sequence
from typing import Any

import ml_collections

Config = Any  # an ml_collections.ConfigDict, whose fields no checker knows


def load(path: str | os.PathLike[str], arg: str = "") -> Config:
  """The config that a file's get_config(arg) returns.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: an option is unknown or of the wrong type.
  """
  return runpy.run_path(os.fspath(path))["get_config"](arg)


def parse(arg: str) -> dict[str, str]:
  """Splits "a=1,b.c=(2,3)" into {"a": "1", "b.c": "(2,3)"}.

  Raises:
    ValueError: a part has no "=".
  """
  options = {}
  for part in filter(None, re.split(r",(?![^(]*\))", arg)):
    name, equals, value = part.partition("=")
    if not equals:
      raise ValueError(
        f"config option {part!r} has no value; write option=value, as in"
        " bpr.py:dataset=movielens_100k,seed=1"
      )
    options[name.strip()] = value.strip()
  return options


def override(config: Config, options: dict[str, str]) -> Config:
  """Sets options by their dotted names, typed by the values they replace.

  Raises:
    ValueError: the config has no such option, or the value has another type.
  """
  known = dict(_leaves(config))
  for name, text in options.items():
    if name not in known:
      close = [option for option in known if option.endswith(f".{name}")]
      close = close or difflib.get_close_matches(name, known, 1)
      hint = f"did you mean {close[0]}?" if close else f"it has {sorted(known)}"
      raise ValueError(f"the config has no option {name!r}; {hint}")
    *groups, leaf = name.split(".")
    group = functools.reduce(getattr, groups, config)
    kind = group.get_type(leaf)
    old = kind() if known[name] is None else known[name]
    group[leaf] = _convert(name, text, old)
  return config


def unset(kind: type) -> Any:
  """A value for a config that is None and takes options of one type only."""
  return ml_collections.config_dict.placeholder(kind)


def check_finite(config: Config) -> None:
  """Raises ValueError if an option is infinite or not a number."""
  for name, value in _leaves(config):
    if isinstance(value, float) and not math.isfinite(value):
      raise ValueError(f"config option {name}={value}: must be finite")


def at_least(low: float, config: Config, *names: str) -> None:
  """Raises ValueError unless options, by dotted name, are >= low."""
  for name in names:
    value = _get(config, name)
    if not value >= low:
      raise ValueError(f"config option {name}={value}: must be at least {low}")


def above_zero(config: Config, *names: str) -> None:
  """Raises ValueError unless options, by dotted name, are > 0."""
  for name in names:
    value = _get(config, name)
    if not value > 0:
      raise ValueError(f"config option {name}={value}: must be above 0")


def one_of(choices: Sequence[str], config: Config, name: str) -> None:
  """Raises ValueError unless an option, by dotted name, is a choice."""
  value = _get(config, name)
  if value not in choices:
    *others, last = choices
    raise ValueError(
      f"config option {name}={value!r}: choose {', '.join(others)} or {last}"
    )


def _get(config: Config, name: str) -> Any:
  return functools.reduce(getattr, name.split("."), config)


def _leaves(config: Config, prefix: str = ""):
  for name, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      yield from _leaves(value, f"{prefix}{name}.")
    else:
      yield f"{prefix}{name}", value


def _convert(name: str, text: str, old: Any) -> Any:
  if isinstance(old, str):
    return text
  try:
    value = ast.literal_eval(
      text.title() if text in ("true", "false") else text
    )
  except (ValueError, SyntaxError):
    value = text
  if isinstance(old, tuple) and isinstance(value, int | float):
    value = (value,)
  if isinstance(old, float) and type(value) is int:
    value = float(value)
  if old is not None and type(value) is not type(old):
    raise ValueError(
      f"config option {name}={text}: expected a {type(old).__name__} like"
      f" {old!r}"
    )
  return value
