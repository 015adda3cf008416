"""Neural recommenders, attacked or not: config -> experiment."""

from __future__ import annotations

import functools
import pathlib

import numpy as np

from adv_rec.data import batching
from adv_rec.experiments import interactions, learning, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games.lightgcn import lightgcn as lightgcn_game
from adv_rec.games.mult_vae import anneal
from adv_rec.games.mult_vae import mult_vae as mult_vae_game
from adv_rec.games.sasrec import sasrec as sasrec_game
from adv_rec.models.lightgcn import graph, propagate
from adv_rec.models.mult_vae import MultVAE
from adv_rec.models.recommenders import padded
from adv_rec.models.sasrec import SASRec


def lightgcn_config() -> Config:
  """The default config of LightGCN."""
  config = recommend.matrix_factorization_config()
  config.experiment = "adv_rec.experiments.neural.lightgcn"
  config.model.layers = 2
  config.model.scale = 0.1
  config.optimizer = "adam"
  config.learning_rate = 0.02
  config.l2 = 1e-3
  config.epochs = 60
  config.evaluate_every = config.checkpoint_every = 10
  del config.row_sparse  # the graph reaches every row
  del config.attack.whole_rows  # a row is moved once, before the propagation
  return config


def lightgcn(config: Config, workdir: pathlib.Path) -> Experiment:
  """LightGCN: BPR on embeddings propagated over the fitted interactions."""
  recommend.check_factorization(config)
  options.at_least(0, config, "model.layers")
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  model = recommend.make_factorization(config, data)
  smooth = functools.partial(
    propagate, graph(fitted.user, fitted.item), layers=config.model.layers
  )
  steps_per_epoch = max(len(fitted.user) // config.batch_size, 1)
  game = lightgcn_game(
    model,
    smooth,
    learning.make_optimizer(config),
    l2=config.l2,
    attack=learning.make_attack(config.attack),
    weight=learning.make_weight(config.attack, config.epochs * steps_per_epoch),
    consistency=config.attack.form == "consistency",
  )
  epoch_rows = batching.triples(
    fitted.user, fitted.item, data.num_items, config.seed
  )
  return ranking_experiment(
    config,
    data,
    game,
    lambda params: model.scorer(smooth(params)),
    batching.stream(epoch_rows, len(fitted.user), config.batch_size),
    learning.make_schedule(config, steps_per_epoch),
    tables=("user", "item"),
  )


def mult_vae_config() -> Config:
  """The default config of Mult-VAE."""
  config = recommend.matrix_factorization_config()
  config.experiment = "adv_rec.experiments.neural.mult_vae"
  config.model = {"hidden": 600, "latent": 200, "dropout": 0.5}
  config.kl = {"weight": 0.2, "epochs": 50.0}  # up to the weight, in a line
  config.optimizer = "adam"
  config.learning_rate = 0.001
  config.batch_size = 128  # users
  config.epochs = 60
  config.evaluate_every = config.checkpoint_every = 10
  del config.l2, config.row_sparse, config.attack.whole_rows
  return config


def mult_vae(config: Config, workdir: pathlib.Path) -> Experiment:
  """Mult-VAE: each user's fitted history explains itself."""
  learning.check_training(config)
  options.at_least(1, config, "model.hidden", "model.latent")
  options.at_least(0, config, "kl.weight", "kl.epochs")
  _check_dropout(config)
  data = interactions.open_dataset(config, workdir)
  model = MultVAE(data.num_items, **config.model)
  indptr, items = data.history(*config.fit.split("+"))
  users = int((np.diff(indptr) > 0).sum())
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  game = mult_vae_game(
    model,
    learning.make_optimizer(config),
    beta=anneal(config.kl.weight, round(config.kl.epochs * steps_per_epoch)),
    attack=learning.make_attack(config.attack),
    weight=learning.make_weight(config.attack, config.epochs * steps_per_epoch),
    consistency=config.attack.form == "consistency",
  )
  pad = padded(data.num_items)
  histories = batching.padded_lists(indptr, items, pad)
  epoch_rows = batching.histories(indptr, items, pad, config.seed)
  return ranking_experiment(
    config,
    data,
    game,
    lambda params: model.scorer(params, histories),
    batching.stream(epoch_rows, users, batch_size),
    learning.make_schedule(config, steps_per_epoch),
    tables=("item",),
  )


def sasrec_config() -> Config:
  """The default config of SASRec."""
  config = recommend.matrix_factorization_config()
  config.experiment = "adv_rec.experiments.neural.sasrec"
  config.model = {
    "length": 50,  # newest items of a user
    "dim": 64,
    "blocks": 2,
    "heads": 1,
    "dropout": 0.2,
    "scale": 0.02,
  }
  config.optimizer = "adam"
  config.learning_rate = 0.001
  config.batch_size = 128  # users
  config.epochs = 60
  config.evaluate_every = config.checkpoint_every = 10
  del config.l2, config.row_sparse
  return config


def sasrec(config: Config, workdir: pathlib.Path) -> Experiment:
  """SASRec: the next item of each user, from the order of its newest ones.

  The order is that of the data's parts, by time. Where the split is random
  the fitted history has gaps that a split by time has not; where the log has
  no times the order says nothing.

  Raises:
    ValueError: no user has two fitted items.
  """
  learning.check_training(config)
  options.at_least(
    1, config, "model.length", "model.dim", "model.blocks", "model.heads"
  )
  options.above_zero(config, "model.scale")
  _check_dropout(config)
  if config.model.dim % config.model.heads:
    raise ValueError(
      f"config option model.heads={config.model.heads}: must divide"
      f" model.dim={config.model.dim}"
    )
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  model = SASRec(data.num_items, **config.model)
  pad = padded(data.num_items)
  rows = batching.newest(
    fitted.user, fitted.item, data.num_users, config.model.length + 1, pad
  )
  lengths = np.maximum((rows != pad).sum(axis=1), 1) - 1
  users = int((lengths > 0).sum())
  if not users:
    raise ValueError(
      f"fit={config.fit}: no user has two items, so nothing comes next"
    )
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  game = sasrec_game(
    model,
    learning.make_optimizer(config),
    float(lengths.sum() / users),
    attack=learning.make_attack(config.attack),
    weight=learning.make_weight(config.attack, config.epochs * steps_per_epoch),
    whole_rows=config.attack.whole_rows,
    consistency=config.attack.form == "consistency",
  )
  epoch_rows = batching.sequences(rows, pad, config.seed)
  return ranking_experiment(
    config,
    data,
    game,
    lambda params: model.scorer(params, rows[:, 1:]),
    batching.stream(epoch_rows, users, batch_size),
    learning.make_schedule(config, steps_per_epoch),
    tables=("item",),
  )


def _check_dropout(config: Config) -> None:
  if not 0 <= config.model.dropout < 1:
    raise ValueError(
      f"config option model.dropout={config.model.dropout}: must be at least 0"
      " and below 1"
    )
