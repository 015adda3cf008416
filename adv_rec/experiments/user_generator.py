"""A generator of new users: config -> experiment."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.data.cut_histories import cut_histories
from adv_rec.experiments import interactions, learning, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.gan import OBJECTIVES
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games.user_generator import user_generator as game_of
from adv_rec.losses import gan as losses
from adv_rec.models.gan import Discriminator
from adv_rec.models.svd import Spectrum
from adv_rec.models.user_generator import UserGenerator, item_factors, scorer


def user_generator_config() -> Config:
  """The default config of a generator of new users."""
  config = recommend.matrix_factorization_config()
  config.experiment = "adv_rec.experiments.user_generator.user_generator"
  config.data.protocol = "new_users"
  config.model = {
    "dim": 64,
    "latent": 8,
    "generator": (64,),
    "discriminator": (64,),
    "dropout": 0.3,
  }
  # Of the ridge SVD that the items' rows come from.
  config.factors = {
    "user_exponent": 0.25,
    "item_exponent": 0.25,
    "l2": 100.0,
  }
  config.most = 10  # items shown in training, at most
  config.critic = {"objective": "non_saturating", "weight": 0.0}
  config.learning_rate = 0.003
  config.batch_size = 256  # users
  config.epochs = 30
  config.evaluate_every = config.checkpoint_every = 10
  config.attack.update({"name": "fgm", "epsilon": 0.0, "relative": True})
  del config.l2, config.optimizer, config.row_sparse
  del config.attack.whole_rows  # an item's row is moved where it is shown
  return config


def user_generator(config: Config, workdir: pathlib.Path) -> Experiment:
  """Learns to answer a few items of a history with all the others."""
  _check(config)
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  shape = data.num_users, data.num_items
  indptr, items = data.history(*config.fit.split("+"))
  users = int((np.diff(indptr) > config.most).sum())
  if not users:
    raise ValueError(
      f"config option most={config.most}: no user of {data.name} has more items"
      " than that to learn from; set it lower"
    )
  # Whoever is evaluated is known by its train items, as far as they go.
  history = data.history("train")
  known = batching.padded_lists(*history, data.num_items)[:, : config.most]
  spectrum = Spectrum(
    config.factors.user_exponent,
    config.factors.item_exponent,
    config.factors.l2,
  )

  def factors():
    return item_factors(
      fitted.user,
      fitted.item,
      shape,
      spectrum,
      dim=config.model.dim,
      key=jax.random.key(config.seed),
    )

  model = UserGenerator(
    config.model.dim,
    config.model.latent,
    config.model.generator,
    config.model.dropout,
    config.most,
  )
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  steps = config.epochs * steps_per_epoch
  rate = optax.cosine_decay_schedule(config.learning_rate, steps)
  game = game_of(
    model,
    factors,
    optax.adam(rate),
    attack=learning.make_attack(config.attack),
    attack_weight=learning.make_weight(config.attack, steps),
    critic=Discriminator(config.model.discriminator),
    critic_optimizer=optax.adam(rate),
    objective=getattr(losses, config.critic.objective)(),
    critic_weight=config.critic.weight,
  )
  rows = cut_histories(indptr, items, data.num_items, config.most, config.seed)
  return ranking_experiment(
    config,
    data,
    game,
    lambda params: scorer(
      model, params["base"], params["net"], jnp.asarray(known)
    ),
    batching.stream(rows, users, batch_size),
    learning.make_schedule(config, steps_per_epoch),
    player="generator",
  )


def _check(config: Config) -> None:
  """Refuses bad options before the data is prepared, which takes longer."""
  options.at_least(
    1,
    config,
    "batch_size",
    "epochs",
    "checkpoint_every",
    "model.dim",
    "most",
    "attack.steps",
  )
  options.at_least(
    0,
    config,
    "evaluate_every",
    "model.latent",
    "model.dropout",
    "factors.l2",
    "critic.weight",
    "attack.epsilon",
    "attack.weight",
    "attack.start",
  )
  options.above_zero(config, "learning_rate")
  options.one_of(OBJECTIVES, config, "critic.objective")
  options.one_of(
    ("none", "fgm", "fgsm", "pgd", "random"), config, "attack.name"
  )
  options.one_of(("l2", "linf"), config, "attack.norm")
