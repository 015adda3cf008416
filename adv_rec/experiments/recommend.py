"""Matrix factorisation, attacked or not: config -> experiment."""

from __future__ import annotations

import pathlib

import jax
import ml_collections
import numpy as np

from adv_rec.data import batching, shards
from adv_rec.data.dataset import Dataset
from adv_rec.experiments import interactions, learning, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games import recommend as games
from adv_rec.models.recommenders import MatrixFactorization, padded

_STREAMED_STEPS = 256  # of one call, when training from shards


def default_config() -> Config:
  """What all recommenders share: data, fit and evaluation."""
  return ml_collections.ConfigDict(
    {
      "name": "",
      "title": "",
      "experiment": "",
      "seed": 0,
      "dataset": "completejourney",
      "data": interactions.data_config(),
      "fit": "train",  # or "train+validation", to report on test
      "evaluation": {
        "ks": (5, 10, 20),
        "user_block": 256,
        "users": 0,  # a fixed sample of so many, where there are more; 0: all
        "robustness": (),  # sizes in median row norms; empty: no curve
      },
    }
  )


def matrix_factorization_config() -> Config:
  """The default config of BPR-MF and APR."""
  config = default_config()
  config.experiment = "adv_rec.experiments.recommend.matrix_factorization"
  config.update(
    {
      "model": {"dim": 64, "scale": 0.01},
      "l2": 0.0,
      "optimizer": "adagrad",  # adagrad, adam or sgd
      "learning_rate": 0.03,
      "batch_size": 4096,
      "epochs": 40,
      "evaluate_every": 5,  # epochs; 0: only at the end
      "checkpoint_every": 5,  # epochs
      "row_sparse": False,  # for tables too large for dense gradients
      "attack": {
        **learning.attack_config(),
        "whole_rows": True,  # move a row once, or each occurrence of it
      },
    }
  )
  return config


def matrix_factorization(config: Config, workdir: pathlib.Path) -> Experiment:
  """BPR-MF, and APR where the config has an attack."""
  check_factorization(config)
  data = interactions.open_dataset(config, workdir, streams=True)
  batches, rows = _triples(config, data, workdir)
  model = make_factorization(config, data)
  steps_per_epoch = max(rows // config.batch_size, 1)
  dispatch = steps_per_epoch
  if config.data.shards:  # an epoch of batches is too much for memory
    dispatch = min(dispatch, _STREAMED_STEPS)
    steps_per_epoch -= steps_per_epoch % dispatch
  game = games.matrix_factorization(
    model,
    learning.make_optimizer(config),
    l2=config.l2,
    attack=learning.make_attack(config.attack),
    weight=learning.make_weight(config.attack, config.epochs * steps_per_epoch),
    whole_rows=config.attack.whole_rows,
    row_sparse=config.row_sparse,
    consistency=config.attack.form == "consistency",
  )
  # Of several processes that stream shards, none knows all ids of a batch.
  if config.row_sparse and (jax.process_count() == 1 or not config.data.shards):
    batches = batching.with_local_rows(
      batches,
      {
        "user": (("user",), padded(data.num_users)),
        "item": (("positive", "negative"), padded(data.num_items)),
      },
    )
  return ranking_experiment(
    config,
    data,
    game,
    model.scorer,
    batches,
    learning.make_schedule(config, steps_per_epoch)._replace(dispatch=dispatch),
    tables=("user", "item"),
  )


def _triples(
  config: Config, data: Dataset, workdir: pathlib.Path
) -> tuple[batching.Batches, int]:
  """Batches for BPR, from memory or from shards; and the rows of an epoch."""
  if config.data.shards:
    opened = shards.open_shards(workdir / "data", config.fit.split("+"))
    lanes = min(config.data.lanes, len(opened.rows))
    batches = shards.triples(
      opened, data.num_items, config.batch_size, config.seed, lanes
    )
    return batches, sum(opened.rows)
  fitted = interactions.fitted(data, config.fit)
  epoch_rows = batching.triples(
    fitted.user, fitted.item, data.num_items, config.seed
  )
  rows = len(fitted.user)
  return batching.stream(epoch_rows, rows, config.batch_size), rows


def full_softmax_config() -> Config:
  """The default config of matrix factorisation with a full softmax."""
  config = matrix_factorization_config()
  config.experiment = "adv_rec.experiments.recommend.full_softmax"
  config.optimizer = "adam"
  config.learning_rate = 0.003
  config.batch_size = 256  # users
  config.temperature = 1.0
  del config.row_sparse  # every step needs every item
  return config


def full_softmax(config: Config, workdir: pathlib.Path) -> Experiment:
  """MF trained by the likelihood of whole histories, attacked or not."""
  check_factorization(config)
  options.above_zero(config, "temperature")
  data = interactions.open_dataset(config, workdir)
  model = make_factorization(config, data)
  indptr, items = data.history(*config.fit.split("+"))
  users = int((np.diff(indptr) > 0).sum())
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  game = games.full_softmax(
    model,
    learning.make_optimizer(config),
    len(items) / users,
    temperature=config.temperature,
    l2=config.l2,
    attack=learning.make_attack(config.attack),
    weight=learning.make_weight(config.attack, config.epochs * steps_per_epoch),
    consistency=config.attack.form == "consistency",
  )
  epoch_rows = batching.histories(
    indptr, items, padded(data.num_items), config.seed
  )
  return ranking_experiment(
    config,
    data,
    game,
    model.scorer,
    batching.stream(epoch_rows, users, batch_size),
    learning.make_schedule(config, steps_per_epoch),
    tables=("user", "item"),
  )


def check_factorization(config: Config) -> None:
  """`learning.check_training`, and the options of the tables."""
  learning.check_training(config)
  options.at_least(1, config, "model.dim")
  options.at_least(0, config, "l2")
  options.above_zero(config, "model.scale")


def make_factorization(config: Config, data: Dataset) -> MatrixFactorization:
  """The two tables of a config's size."""
  return MatrixFactorization(
    data.num_users, data.num_items, config.model.dim, config.model.scale
  )
