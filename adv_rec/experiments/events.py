"""Generators of event sequences: config -> experiment."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
import optax
import pyarrow as pa

from adv_rec.data import atomic, batching, event_codes, events
from adv_rec.data.event_codes import Coding, Sequences
from adv_rec.data.events import Log
from adv_rec.data.values import EVENT_ROLES
from adv_rec.experiments import event_measures, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games import sequences as games
from adv_rec.games.recommend import closed_form
from adv_rec.losses import gan as losses
from adv_rec.models import event_chains
from adv_rec.models.events import (
  Chain,
  Critic,
  Recurrent,
  Sizes,
  rollout,
  to_codes,
)
from adv_rec.training import parallel
from adv_rec.training.loop import Schedule
from adv_rec.types import Game, State

MODELS = ("recurrent", "markov", "independent")
_PARTS = ("train", "validation", "test")
_SPLIT_SEED = 0  # of the users of each part, whatever the run's seed
_CHUNK = 512  # sequences of one compiled call; part of what a seed means
_DRAWS = 16  # windows of each user that a chain is counted on


class Data(NamedTuple):
  """A log, its codes, and whose are learnt from.

  Attributes:
    log: the events of the users to learn from.
    coding: fitted on it.
    parts: "train", "validation", "test" -> codes of its users.
  """

  log: Log
  coding: Coding
  parts: dict[str, Sequences]


def events_config() -> Config:
  """The default config."""
  return ml_collections.ConfigDict(
    {
      "name": "",
      "title": "",
      "experiment": "adv_rec.experiments.events.sequences",
      "seed": 0,
      "data": {
        "path": "",  # CSV or Parquet of your own; "": The Complete Journey
        "columns": {role: role for role in EVENT_ROLES},  # of your own
        "level": "department",  # category of The Complete Journey, or
        # "product_category"
        "max_categories": 16,  # the rarest of more share one
        "bins": 16,  # of gaps and of amounts
        "holdout": 0.15,  # share of the users for validation, and for test
      },
      "model": {
        "kind": "recurrent",  # see MODELS
        "dim": 128,
        "length": 48,  # events of a sequence
      },
      "batch_size": 64,
      "learning_rate": 3e-3,  # of Adam, at first; along a half cosine to 0
      "steps": 2_000,
      "adversary": {
        "weight": 0.0,  # of the critic's opinion; 0: maximum likelihood
        "start": 1_600,  # the step from which on it counts
        "lead": 100,  # steps before that in which the critic learns already
        "learning_rate": 1e-3,  # of the critic
        "penalty": 10.0,  # weight of the gradient penalty
        "temperature": 1.0,  # of the gradient through a draw
        "dim": 64,
        "blocks": 1,
      },
      "evaluate_every": 500,
      "evaluation": {"samples": 2_000},  # sequences to generate
    }
  )


def sequences(config: Config, workdir: pathlib.Path) -> Experiment:
  """A generator of sequences of events, beside what is real and simple."""
  check(config)
  data = prepared(config, workdir)
  sizes, length = Sizes(*data.coding.sizes), config.model.length
  train = data.parts["train"]
  mean = float(np.minimum(np.diff(train.begin), length).mean())
  model = make_model(config, sizes)
  game = make_game(config, model, data, mean)
  learns = config.model.kind == "recurrent"
  draw = sampler(model, length)
  measure = event_measures.measure(
    config, data.coding, data.parts, model, draw, data.log.day
  )

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([config.seed, epoch])
    codes = train.windows(length, data.coding.end, rng)
    return {"codes": codes[rng.permutation(len(codes))]}

  def sample(state: State, rows: int, seed: int) -> pa.Table:
    codes = draw(state, rows, seed)
    rng = np.random.default_rng([seed, 2])
    return event_codes.decode(codes, data.coding, data.log, rng).table

  counts = {part: len(x.begin) - 1 for part, x in data.parts.items()}
  return Experiment(
    game=game,
    batches=batching.stream(epoch_rows, counts["train"], config.batch_size)
    if learns
    else None,
    schedule=_schedule(config) if learns else Schedule(),
    evaluate=lambda state: measure(state, "validation"),
    finish=lambda state: {
      "metrics": measure(state, "validation") | measure(state, "test")
    },
    dataset={
      "name": pathlib.Path(config.data.path).name or "completejourney events",
      "counts": {
        **{f"{part} users": count for part, count in counts.items()},
        "train events": len(train.codes),
        "kinds": sizes.kinds - 1,
      },
      "fingerprint": _fingerprint(data),
    },
    watch="validation/auc",
    sample=sample,
  )


def make_model(config: Config, sizes: Sizes) -> Any:
  """The model of a config."""
  if config.model.kind == "recurrent":
    return Recurrent(sizes, config.model.dim)
  return Chain(sizes)


def make_game(config: Config, model: Any, data: Data, mean: float) -> Game:
  """The game of a config; `mean` events of a sequence."""
  if config.model.kind != "recurrent":
    rng = np.random.default_rng([config.seed, 1])
    codes = [
      data.parts["train"].windows(config.model.length, data.coding.end, rng)
      for _ in range(_DRAWS)
    ]
    fit = getattr(event_chains, config.model.kind)
    return closed_form(lambda: fit(np.concatenate(codes), model.sizes))
  rate = optax.cosine_decay_schedule(config.learning_rate, config.steps)
  adversary = config.adversary
  return games.with_critic(
    model,
    Critic(adversary.dim, adversary.blocks),
    losses.wasserstein(),
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)),
    optax.adam(adversary.learning_rate, b1=0.5, b2=0.9),
    mean_events=mean,
    length=config.model.length,
    weight=adversary.weight,
    start=adversary.start,
    lead=adversary.lead,
    penalties={losses.gradient_penalty: adversary.penalty},
    temperature=adversary.temperature,
  )


def sampler(model: Any, length: int) -> Callable[[State, int, int], np.ndarray]:
  """(state, sequences, seed) -> codes [N, L, 3].

  Drawn in calls of one size on one device, so that the sequences do not depend
  on how many devices there are.
  """

  @jax.jit
  def chunk(params, key):
    drawn = rollout(model, params, key, _CHUNK, length)
    return to_codes(drawn, model.sizes)

  def draw(state: State, num: int, seed: int) -> np.ndarray:
    if num < 1:
      raise ValueError(f"rows is {num}: ask for at least 1 sequence")
    params = jax.device_get(next(iter(state.params.values())))
    key = jax.random.key(seed)
    made = [
      np.asarray(chunk(params, jax.random.fold_in(key, i)))
      for i in range(-(-num // _CHUNK))
    ]
    return np.concatenate(made)[:num]

  return draw


def prepared(config: Config, workdir: pathlib.Path) -> Data:
  """The data of a config, kept in the workdir."""
  folder = workdir / "data"
  options_ = config.data

  def prepare() -> None:
    if options_.path:
      log = events.read(options_.path, options_.columns.to_dict())
    else:
      log = events.complete_journey(None, options_.level)
    part = _part_of_users(log.num_users, options_.holdout)
    _parts(log, part)  # what is wrong with the data, before it is written

    def fill(place: pathlib.Path) -> None:
      events.save(place, log)

    atomic.replace(folder, fill)

  if not folder.is_dir():
    parallel.on_one_process(prepare)
  log = events.load(folder)
  logs = _parts(log, _part_of_users(log.num_users, options_.holdout))
  coding = event_codes.fit(
    logs["train"], options_.max_categories, options_.bins
  )
  rng = np.random.default_rng(_SPLIT_SEED)
  parts = {
    name: event_codes.encode(own, coding, rng) for name, own in logs.items()
  }
  # Ids that no user of any part has.
  return Data(logs["train"]._replace(table=log.table), coding, parts)


def _part_of_users(users: int, share: float) -> np.ndarray:
  """0 train, 1 validation, 2 test, [U]."""
  order = np.random.default_rng([_SPLIT_SEED]).permutation(users)
  held = max(1, round(share * users))
  part = np.zeros(users, int)
  part[order[:held]], part[order[held : 2 * held]] = 1, 2
  return part


def _parts(log: Log, part: np.ndarray) -> dict[str, Log]:
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


def _schedule(config: Config) -> Schedule:
  """Calls that end on all that must fall on the end of one."""
  ends = np.gcd(config.steps, config.evaluate_every)
  dispatch = max(n for n in range(1, 51) if ends % n == 0)
  every = config.evaluate_every or config.steps
  return Schedule(config.steps, dispatch, config.evaluate_every, every)


def _fingerprint(data: Data) -> str:
  digest = hashlib.sha256()
  for part in data.parts.values():
    digest.update(part.codes.tobytes())
  return digest.hexdigest()[:16]


def check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  options.one_of(MODELS, config, "model.kind")
  options.one_of(events.LEVELS, config, "data.level")
  options.at_least(1, config, "batch_size", "steps", "model.dim")
  options.at_least(
    2, config, "model.length", "data.max_categories", "data.bins"
  )
  options.at_least(10, config, "evaluation.samples")
  adversary = ("weight", "start", "lead", "penalty")
  options.at_least(0, config, *(f"adversary.{name}" for name in adversary))
  options.at_least(0, config, "evaluate_every")
  options.at_least(1, config, "adversary.dim", "adversary.blocks")
  options.above_zero(
    config,
    "learning_rate",
    "adversary.learning_rate",
    "adversary.temperature",
    "data.holdout",
  )
  if config.data.holdout >= 0.5:
    raise ValueError(
      f"config option data.holdout={config.data.holdout}: must be below 0.5"
    )
