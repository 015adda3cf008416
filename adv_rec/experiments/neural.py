"""Neural recommenders, attacked or not: config -> experiment."""

from __future__ import annotations

import functools
import pathlib

from adv_rec.data import batching
from adv_rec.experiments import interactions, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.lightgcn import lightgcn as lightgcn_game
from adv_rec.models.lightgcn import graph, propagate


def lightgcn_config() -> Config:
  """The default config of LightGCN."""
  config = recommend.matrix_factorization_config()
  config.experiment = "adv_rec.experiments.neural.lightgcn"
  config.model.layers = 3
  config.model.scale = 0.1
  config.optimizer = "adam"
  config.learning_rate = 0.005
  config.batch_size = 4096
  config.l2 = 1e-4
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
    recommend.make_optimizer(config),
    l2=config.l2,
    attack=recommend.make_attack(config.attack),
    weight=recommend.make_weight(config.attack, steps_per_epoch),
    consistency=config.attack.form == "consistency",
  )
  epoch_rows = batching.triples(
    fitted.user, fitted.item, data.num_items, config.seed
  )
  return interactions.ranking_experiment(
    config,
    data,
    game,
    lambda params: model.scorer(smooth(params)),
    batching.stream(epoch_rows, len(fitted.user), config.batch_size),
    recommend.make_schedule(config, steps_per_epoch),
    tables=("user", "item"),
  )
