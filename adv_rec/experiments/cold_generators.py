"""Generators of the keys of cold items: config -> experiment."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.experiments import cold, cold_baselines, learning, options
from adv_rec.experiments.cold import Setting
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.gan import OBJECTIVES
from adv_rec.experiments.options import Config
from adv_rec.games import cold as games
from adv_rec.games.ensemble import ensemble
from adv_rec.losses import gan as losses
from adv_rec.models.content import ContentModel, ridge_left_out
from adv_rec.models.item_generator import (
  ItemGenerator,
  PairCritic,
  generated_items,
)
from adv_rec.types import Game, Params, State

T = TypeVar("T")


def shared_config(arg: str) -> Config:
  """What all generators share."""
  config = cold.default_config(arg)
  config.update(
    {
      "model": {
        "dim": 64,
        "hidden": 256,
        "layers": 0,
        "latent": 0,  # width of the noise
        "feature_dropout": 0.3,
        "dropout": 0.3,
      },
      "draws": 1,  # of the noise, averaged
      "batch_size": 1024,  # items
      "epochs": 10,
      "evaluate_every": 5,  # epochs; 0: only at the end
      "checkpoint_every": 5,  # epochs
    }
  )
  return config


def generator_config(arg: str = "") -> Config:
  """The default config of the generator with a ranking loss."""
  config = shared_config(arg)
  config.experiment = "adv_rec.experiments.cold_generators.generator"
  # Less makes better lists of one draw of cold items, and worse of the next.
  config.model.feature_dropout = 0.6
  config.model.dropout = 0.5
  config.update(
    {
      "learning_rate": 0.003,  # falls to 0 along a cosine
      "members": 2,  # generators, whose scores are averaged
      "average": 0.0,  # decay of the average generator; 0: none
      "critic": {
        "weight": 0.0,  # of the GAN in the generator's loss; 0: no critic
        "objective": "non_saturating",  # see gan.OBJECTIVES
        "hidden": (128, 128),
        "learning_rate": 0.001,
      },
      "attack": {
        "name": "none",  # none, fgm, fgsm, pgd or random
        "epsilon": 1.0,
        "relative": True,  # epsilon in median norms of the generated keys
        "weight": 1.0,
        "steps": 3,  # of pgd
        "norm": "l2",  # of pgd and random
      },
      "base": cold_baselines.base_config(64),  # whose keys the critic sees
      "ridge": {
        "scale": 5.0,  # of its scores, at first; 0: without
        "l2": 30.0,
        "share": 0.25,  # of what the generator adds
      },
    }
  )
  return config


def generator(config: Config, workdir: pathlib.Path) -> Experiment:
  """Keys of content and noise by a ranking loss, with adversaries or none."""
  check_network(config)
  options.at_least(
    0,
    config,
    "average",
    "critic.weight",
    "attack.epsilon",
    "ridge.scale",
    "ridge.share",
  )
  options.above_zero(
    config, "learning_rate", "critic.learning_rate", "ridge.l2"
  )
  options.one_of(OBJECTIVES, config, "critic.objective")
  options.at_least(1, config, "members")
  setting = cold.prepare(config, workdir)
  num_users = setting.shape[0]
  with_critic = config.critic.weight > 0
  dim = config.base.dim if with_critic else config.model.dim
  base = once(lambda: cold_baselines.base_model(config, setting))
  network = network_of(config, setting, dim + 1)
  steps = _steps_per_epoch(config, setting)

  def first_users(key: jax.Array) -> jax.Array:
    # In the space of the keys that the critic takes for real.
    if with_critic:
      return base()[0]
    return 0.1 * jax.random.normal(key, (num_users, dim))

  game = games.item_generator(
    network,
    first_users,
    optax.adam(
      optax.cosine_decay_schedule(config.learning_rate, config.epochs * steps)
    ),
    attack=learning.make_attack(config.attack),
    attack_weight=config.attack.weight,
    critic=PairCritic(setting.encoder.size, config.critic.hidden),
    critic_optimizer=optax.adam(config.critic.learning_rate, b1=0.5),
    objective=getattr(losses, config.critic.objective)(),
    critic_weight=config.critic.weight,
    scale=config.ridge.scale,
    average=config.average or None,
  )
  game = ensemble(game, config.members)
  ridge = once(lambda: _ridge(config, setting))
  model = generated_items(
    network,
    config.draws,
    (lambda: ridge()[0]) if config.ridge.scale else None,
    config.ridge.share,
  )

  def made(state: State) -> tuple[ContentModel, Params]:
    name = "generator"
    return model, state.average.get(name, state.params[name])

  return generator_experiment(
    config,
    setting,
    game,
    made,
    (lambda: base()[1]) if with_critic else None,
    (lambda: ridge()[1]) if config.ridge.scale else None,
  )


def _ridge(config: Config, setting: Setting) -> tuple[jax.Array, np.ndarray]:
  """Content ridge: weights [F, U]; scores of warm items [W, U] without each."""
  weights, left_out = ridge_left_out(
    setting.content[setting.warm],
    setting.encoder.size,
    jnp.asarray(setting.chosen(), jnp.float32),
    config.ridge.l2,
  )
  return weights, np.asarray(left_out)


def generator_experiment(
  config: Config,
  setting: Setting,
  game: Game,
  model: Callable[[State], tuple[ContentModel, Params]],
  base: Callable[[], jax.Array] | None = None,
  offset: Callable[[], np.ndarray] | None = None,
) -> Experiment:
  """An experiment that is trained on warm items, by the users who have them.

  Args:
    config: from `shared_config`.
    setting: from `cold.prepare`.
    game: the players.
    model: state -> the recommender and its parameters.
    base: () -> [I, D], the batch entry "base", or None.
    offset: () -> [W, U], the batch entry "offset", or None.
  """
  steps = _steps_per_epoch(config, setting)
  return cold.cold_experiment(
    config,
    setting,
    game,
    model,
    _batches(config, setting, base, offset),
    learning.make_schedule(config, steps),
  )


def once(make: Callable[[], T]) -> Callable[[], T]:
  """Makes something when it is first asked for.

  That may be while JAX traces: what is made is numbers all the same.
  """

  @functools.cache
  def made() -> T:
    with jax.ensure_compile_time_eval():
      return make()

  return made


def network_of(config: Config, setting: Setting, width: int) -> ItemGenerator:
  """The network of a config, of keys [B, width]."""
  model = config.model
  return ItemGenerator(
    setting.encoder.size,
    width,
    model.get("latent", 0),
    model.hidden,
    model.layers,
    model.feature_dropout,
    model.dropout,
  )


def _steps_per_epoch(config: Config, setting: Setting) -> int:
  items = len(_sold(setting))
  return max(items // min(config.batch_size, items), 1)


def _sold(setting: Setting) -> np.ndarray:
  """Codes of the warm items that somebody has."""
  return np.unique(setting.cold.data.train.item)


def _batches(
  config: Config,
  setting: Setting,
  base: Callable[[], jax.Array] | None,
  offset: Callable[[], np.ndarray] | None,
) -> batching.Batches:
  """Warm items with their content, who has them, base keys, ridge scores."""
  items = _sold(setting)
  place = np.searchsorted(setting.warm, items)
  chosen = setting.chosen()[place]

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(len(items))
    rows = {
      "content": setting.content[items[order]],
      "chosen": chosen[order],
    }
    if base:
      rows["base"] = np.asarray(base())[items[order]]
    if offset:
      rows["offset"] = offset()[place[order]]
    return rows

  size = min(config.batch_size, len(items))
  return batching.stream(epoch_rows, len(items), size)


def check_network(config: Config) -> None:
  """Refuses bad options before the data is prepared, which takes longer."""
  options.at_least(
    1, config, "model.hidden", "batch_size", "epochs", "checkpoint_every"
  )
  options.at_least(0, config, "model.layers", "evaluate_every")
  for name in ("feature_dropout", "dropout"):
    if not 0 <= config.model[name] < 1:
      raise ValueError(
        f"config option model.{name}={config.model[name]}: a share, below 1"
      )
  if "draws" in config:
    options.at_least(1, config, "draws")
    options.at_least(0, config, "model.latent")
