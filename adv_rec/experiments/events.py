"""Generators of event sequences: config -> experiment."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from adv_rec.data import event_codes, events
from adv_rec.data.event_codes import Coding, Sequences
from adv_rec.data.events import Log
from adv_rec.experiments import event_generator, event_measures, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.models.events import (
  Sizes,
)
from adv_rec.training.loop import Schedule
from adv_rec.types import State

_PARTS = ("train", "validation", "test")
_SPLIT_SEED = 0  # of the users of each part, whatever the run's seed


class Data(NamedTuple):
  """A log, its codes, and whose are learnt from.

  Attributes:
    log: the events of the users to learn from.
    users: the ids that there are, of all parts.
    coding: fitted on it.
    parts: "train", "validation", "test" -> codes of its users.
  """

  log: Log
  users: pa.ChunkedArray
  coding: Coding
  parts: dict[str, Sequences]


def sequences(config: Config, workdir: pathlib.Path) -> Experiment:
  """A generator of sequences of events, beside what is real and simple."""
  check(config)
  data = _prepared(config, workdir)
  sizes, length = Sizes(*data.coding.sizes), config.model.length
  train = data.parts["train"]
  model = event_generator.make_model(config, sizes)
  game = event_generator.make_game(config, model, train, data.coding.end)
  learns = config.model.kind == "recurrent"
  draw = event_generator.sampler(model, length)
  measure = event_measures.measure(
    config, data.coding, data.parts, model, draw, data.log.day
  )
  return Experiment(
    game=game,
    batches=event_generator.make_batches(config, train, data.coding.end)
    if learns
    else None,
    schedule=event_generator.make_schedule(config) if learns else Schedule(),
    evaluate=lambda state: measure(state, "validation"),
    finish=lambda state: {
      "metrics": measure(state, "validation") | measure(state, "test")
    },
    dataset=describe(config, data),
    watch="validation/auc",
    sample=tables(data, draw),
  )


def tables(
  data: Data, draw: Callable[[State, int, int], np.ndarray]
) -> Callable[[State, int, int], pa.Table]:
  """(state, sequences, seed) -> a log like that of the data.

  Args:
    data: whose coding, names, types and range of times it has.
    draw: (state, sequences, seed) -> codes.
  """

  def sample(state: State, rows: int, seed: int) -> pa.Table:
    codes = draw(state, rows, seed)
    rng = np.random.default_rng([seed, 2])
    ids = events.new_ids(data.users, len(codes))
    return event_codes.decode(codes, data.coding, data.log, ids, rng).table

  return sample


def describe(config: Config, data: Data) -> dict[str, Any]:
  """The data, for result.json."""
  counts = {part: len(x.begin) - 1 for part, x in data.parts.items()}
  return {
    "name": pathlib.Path(config.data.path).name or "completejourney events",
    "counts": {
      **{f"{part} users": count for part, count in counts.items()},
      "train events": len(data.parts["train"].codes),
      "kinds": len(data.coding.kinds),
    },
    "fingerprint": _fingerprint(data),
  }


def _prepared(config: Config, workdir: pathlib.Path) -> Data:
  def split(log: Log) -> dict[str, Log]:
    return divided(log, part_of_users(log.num_users, config.data.holdout))

  log = event_generator.kept_log(config, workdir, split)
  logs = split(log)
  coding = event_codes.fit(
    logs["train"], config.data.max_categories, config.data.bins
  )
  rng = np.random.default_rng(_SPLIT_SEED)
  parts = {
    name: event_codes.encode(own, coding, rng) for name, own in logs.items()
  }
  # Generated users have ids that no user of any part has.
  return Data(logs["train"], log.column("user"), coding, parts)


def part_of_users(users: int, share: float) -> np.ndarray:
  """0 train, 1 validation, 2 test, [U]."""
  order = np.random.default_rng([_SPLIT_SEED]).permutation(users)
  held = max(1, round(share * users))
  part = np.zeros(users, int)
  part[order[:held]], part[order[held : 2 * held]] = 1, 2
  return part


def divided(log: Log, part: np.ndarray) -> dict[str, Log]:
  """The logs of "train", "validation" and "test".

  Raises:
    ValueError: one of them would have too few users.
  """
  logs = {}
  for i, name in enumerate(_PARTS):
    keep = part[log.user] == i
    if not keep.any() or not (np.bincount(log.user[keep]) > 1).any():
      raise ValueError(
        f"{log.num_users} users are too few to keep some for {name}; give the"
        " events of more users"
      )
    logs[name] = log.take(keep)
  return logs


def _fingerprint(data: Data) -> str:
  digest = hashlib.sha256()
  for part in data.parts.values():
    digest.update(part.codes.tobytes())
  return digest.hexdigest()[:16]


def check(config: Config) -> None:
  """Refuses bad options of `sequences` before the data is read."""
  event_generator.check_generator(config)
  options.at_least(10, config, "evaluation.samples")
  options.at_least(0, config, "evaluate_every")
  options.above_zero(config, "data.holdout")
  if config.data.holdout >= 0.5:
    raise ValueError(
      f"config option data.holdout={config.data.holdout}: must be below 0.5"
    )
