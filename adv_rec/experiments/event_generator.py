"""What experiments on event sequences share: config, log, generator, draws."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
import optax

from adv_rec.data import atomic, batching, events
from adv_rec.data.event_codes import Sequences
from adv_rec.data.events import Log
from adv_rec.data.values import EVENT_ROLES
from adv_rec.experiments import options
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
from adv_rec.types import Game, Params, State

MODELS = ("recurrent", "markov", "independent")
_CHUNK = 512  # sequences of one compiled call; part of what a seed means
_DRAWS = 16  # windows of each user that a chain is counted on


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
        "dim": 96,
        "length": 48,  # events of a sequence
      },
      "batch_size": 64,
      "learning_rate": 3e-3,  # of Adam, at first; along a half cosine to 0
      "steps": 1_200,
      "adversary": {
        "weight": 0.1,  # of the critic's opinion; 0: maximum likelihood
        "start": 1_000,  # the step from which on it counts
        "lead": 100,  # steps before that in which the critic learns already
        "learning_rate": 1e-3,  # of the critic
        "penalty": 10.0,  # weight of the gradient penalty
        "temperature": 1.0,  # of the gradient through a draw
        "dim": 64,
        "blocks": 1,
      },
      "evaluate_every": 400,
      "evaluation": {"samples": 2_000},  # sequences to generate
    }
  )


def make_model(config: Config, sizes: Sizes) -> Any:
  """The model of a config."""
  if config.model.kind == "recurrent":
    return Recurrent(sizes, config.model.dim)
  return Chain(sizes)


def make_game(config: Config, model: Any, train: Sequences, end: int) -> Game:
  """The game of a config.

  Args:
    config: of the experiment.
    model: from `make_model`.
    train: what is learnt from.
    end: the kind that ends a sequence.
  """
  length = config.model.length
  if config.model.kind != "recurrent":
    rng = np.random.default_rng([config.seed, 1])
    codes = [train.windows(length, end, rng) for _ in range(_DRAWS)]
    fit = getattr(event_chains, config.model.kind)
    known = closed_form(lambda: fit(np.concatenate(codes), model.sizes))
    return {"generator": known["model"]}
  rate = optax.cosine_decay_schedule(config.learning_rate, config.steps)
  adversary = config.adversary
  return games.with_critic(
    model,
    Critic(adversary.dim, adversary.blocks),
    losses.wasserstein(),
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)),
    optax.adam(adversary.learning_rate, b1=0.5, b2=0.9),
    mean_events=float(np.minimum(np.diff(train.begin), length).mean()),
    length=length,
    weight=adversary.weight if adversary.start < config.steps else 0.0,
    start=adversary.start,
    lead=adversary.lead,
    penalties={losses.gradient_penalty: adversary.penalty},
    temperature=adversary.temperature,
  )


def make_batches(
  config: Config, train: Sequences, end: int
) -> batching.Batches:
  """Epochs of one window of each user, another in each epoch."""

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([config.seed, epoch])
    codes = train.windows(config.model.length, end, rng)
    return {"codes": codes[rng.permutation(len(codes))]}

  users = len(train.begin) - 1
  return batching.stream(epoch_rows, users, config.batch_size)


def sampler(model: Any, length: int) -> Callable[[State, int, int], np.ndarray]:
  """(state, sequences, seed) -> codes [N, L, 3].

  Drawn in calls of one size on one device, so that the sequences do not depend
  on how many devices there are.
  """

  def draw(state: State, num: int, seed: int) -> np.ndarray:
    if num < 1:
      raise ValueError(f"rows is {num}: ask for at least 1 sequence")
    params = jax.device_get(state.params["generator"])
    key = jax.random.key(seed)
    made = [
      np.asarray(_chunk(model, params, jax.random.fold_in(key, i), length))
      for i in range(-(-num // _CHUNK))
    ]
    return np.concatenate(made)[:num]

  return draw


@functools.partial(jax.jit, static_argnames=("model", "length"))
def _chunk(model: Any, params: Params, key: jax.Array, length: int):
  """Compiled once for all experiments of one model."""
  return to_codes(rollout(model, params, key, _CHUNK, length), model.sizes)


def kept_log(
  config: Config, workdir: pathlib.Path, accept: Callable[[Log], Any]
) -> Log:
  """The log of a config, kept in the workdir.

  Args:
    config: of the experiment.
    workdir: of the run.
    accept: raises ValueError if the log will not do, before it is written.
  """
  folder, data = workdir / "data", config.data

  def prepare() -> None:
    if data.path:
      log = events.read(data.path, data.columns.to_dict())
    else:
      level = data.get("level", events.LEVELS[0])
      log = events.complete_journey(None, level)
    accept(log)
    atomic.replace(folder, lambda place: events.save(place, log))

  if not folder.is_dir():
    parallel.on_one_process(prepare)
  return events.load(folder)


def make_schedule(config: Config) -> Schedule:
  """Calls that end on all that must fall on the end of one."""
  every = config.get("evaluate_every", 0)
  ends = np.gcd(config.steps, every)
  dispatch = max(n for n in range(1, 51) if ends % n == 0)
  return Schedule(config.steps, dispatch, every, every or config.steps)


def check_generator(config: Config) -> None:
  """Refuses bad options of the data, the model and its training."""
  check_model(config)
  options.one_of(events.LEVELS, config, "data.level")
  options.at_least(2, config, "data.max_categories", "data.bins")
  adversary = ("weight", "start", "lead", "penalty")
  options.at_least(0, config, *(f"adversary.{name}" for name in adversary))
  options.at_least(1, config, "adversary.blocks")
  options.above_zero(config, "adversary.learning_rate", "adversary.temperature")
  if config.adversary.dim < 2 or config.adversary.dim % 2:
    raise ValueError(
      f"config option adversary.dim={config.adversary.dim}: must be even, for"
      " two heads"
    )


def check_model(config: Config) -> None:
  """Refuses bad options of the model and of its steps."""
  options.one_of(MODELS, config, "model.kind")
  options.at_least(1, config, "batch_size", "steps", "model.dim")
  options.at_least(2, config, "model.length")
  options.above_zero(config, "learning_rate")
