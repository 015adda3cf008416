"""Published networks for cold items: DropoutNet, GAR, LARA -> experiments."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import optax

from adv_rec.experiments import cold, cold_baselines, options
from adv_rec.experiments.cold_generators import (
  check_network,
  generator_experiment,
  network_of,
  once,
  shared_config,
)
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.gan import OBJECTIVES
from adv_rec.experiments.options import Config
from adv_rec.games import cold as games
from adv_rec.games import item_adversaries
from adv_rec.losses import gan as losses
from adv_rec.models.content import ContentModel
from adv_rec.models.item_generator import PairCritic, averaged
from adv_rec.types import Params


def dropoutnet_config(arg: str = "") -> Config:
  """The default config of DropoutNet."""
  config = shared_config(arg)
  config.experiment = "adv_rec.experiments.cold_published.dropoutnet"
  config.learning_rate = 0.003
  config.epochs = 30
  config.item_dropout = 0.5  # share of the items whose key is left out
  config.base = cold_baselines.base_config()
  del config.model.dim, config.model.latent, config.draws  # of the base
  return config


def dropoutnet(config: Config, workdir: pathlib.Path) -> Experiment:
  """A network of content that learns the scores of a base model."""
  check_network(config)
  options.above_zero(config, "learning_rate")
  if not 0 < config.item_dropout <= 1:
    raise ValueError(
      f"config option item_dropout={config.item_dropout}: above 0, or nothing"
      " is learned for cold items, and at most 1"
    )
  setting = cold.prepare(config, workdir)
  base = once(lambda: cold_baselines.base_model(config, setting))
  network = network_of(config, setting, config.base.dim)
  game = games.dropoutnet(
    network,
    lambda: base()[0],
    optax.adam(config.learning_rate),
    config.item_dropout,
  )
  model = ContentModel(
    lambda params, content: averaged(network, params["net"], content, 1),
    lambda params: params["user"] @ params["map"],
  )
  return generator_experiment(
    config,
    setting,
    game,
    lambda state: (model, state.params["model"]),
    lambda: base()[1],
  )


def gar_config(arg: str = "") -> Config:
  """The default config of GAR."""
  config = shared_config(arg)
  config.experiment = "adv_rec.experiments.cold_published.gar"
  config.objective = "non_saturating"  # see gan.OBJECTIVES
  config.adversarial_weight = 0.1
  config.similarity = 1.0
  config.learning_rate = {"generator": 0.003, "recommender": 0.001}
  config.base = cold_baselines.base_config()
  config.epochs = 40
  config.evaluate_every = config.checkpoint_every = 20
  del config.model.dim
  return config


def gar(config: Config, workdir: pathlib.Path) -> Experiment:
  """GAR: embeddings of content against a recommender."""
  check_network(config)
  options.at_least(0, config, "adversarial_weight", "similarity")
  options.above_zero(
    config, "learning_rate.generator", "learning_rate.recommender"
  )
  options.one_of(OBJECTIVES, config, "objective")
  setting = cold.prepare(config, workdir)
  tables = once(lambda: cold_baselines.base_model(config, setting))
  # Perceptrons want inputs of size 1; scores are what they were, to a factor.
  base = once(lambda: [x / jnp.std(x) for x in tables()])
  network = network_of(config, setting, config.base.dim)
  recommender = item_adversaries.TwoTowers(config.base.dim)
  game = item_adversaries.gar(
    network,
    recommender,
    lambda: base()[0],
    getattr(losses, config.objective)(),
    optax.adam(config.learning_rate.recommender),
    optax.adam(config.learning_rate.generator),
    adversarial_weight=config.adversarial_weight,
    similarity=config.similarity,
  )

  def tower(params: Params, rows: jax.Array, side: str) -> jax.Array:
    method = getattr(item_adversaries.TwoTowers, side)
    made = recommender.apply({"params": params}, rows, method=method)
    return jnp.asarray(made)

  model = ContentModel(
    lambda params, content: tower(
      params["recommender"],
      averaged(network, params["generator"], content, config.draws),
      "items",
    ),
    lambda params: tower(params["recommender"], base()[0], "users"),
  )
  return generator_experiment(
    config,
    setting,
    game,
    lambda state: (model, state.params),
    lambda: base()[1],
  )


def lara_config(arg: str = "") -> Config:
  """The default config of LARA."""
  config = shared_config(arg)
  config.experiment = "adv_rec.experiments.cold_published.lara"
  config.critic = (128, 128)  # hidden widths
  config.learning_rate = {"generator": 0.003, "discriminator": 0.001}
  config.base = cold_baselines.base_config()
  config.epochs = 40
  config.evaluate_every = config.checkpoint_every = 20
  del config.model.dim
  return config


def lara(config: Config, workdir: pathlib.Path) -> Experiment:
  """LARA: profiles of users from the attributes of an item."""
  check_network(config)
  options.above_zero(
    config, "learning_rate.generator", "learning_rate.discriminator"
  )
  setting = cold.prepare(config, workdir)
  tables = once(lambda: cold_baselines.base_model(config, setting))

  def users() -> jax.Array:
    # What all users share says nothing of who would like an item.
    rows = tables()[0] - jnp.mean(tables()[0], axis=0)
    norm = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return rows / jnp.where(norm > 0, norm, 1.0)

  users = once(users)
  network = network_of(config, setting, config.base.dim)
  game = item_adversaries.lara(
    network,
    PairCritic(setting.encoder.size, config.critic),
    users,
    optax.adam(config.learning_rate.discriminator, b1=0.5),
    optax.adam(config.learning_rate.generator, b1=0.5),
  )

  def keys(params: Params, content: jax.Array) -> jax.Array:
    made = averaged(network, params, content, config.draws)
    return made / jnp.linalg.norm(made, axis=1, keepdims=True)

  model = ContentModel(keys, lambda params: users())
  return generator_experiment(
    config, setting, game, lambda state: (model, state.params["generator"])
  )
