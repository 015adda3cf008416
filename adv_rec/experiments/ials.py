"""Adversarial iALS: config -> experiment."""

from __future__ import annotations

import math
import pathlib

import jax.numpy as jnp
import numpy as np

from adv_rec.data import batching
from adv_rec.experiments import interactions, learning, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games.ials import adversarial_ials as game_of
from adv_rec.models.ials import Objective, ials
from adv_rec.models.recommenders import MatrixFactorization, padded


def adversarial_ials_config() -> Config:
  """The default config of adversarial iALS."""
  config = recommend.matrix_factorization_config()
  config.experiment = "adv_rec.experiments.ials.adversarial_ials"
  config.optimizer = "adam"
  config.learning_rate = 0.003
  config.batch_size = 4096  # users; all of them where there are fewer
  config.unobserved_weight = 0.3
  config.l2 = 0.35
  config.exponent = 0.5
  config.alternations = 16  # of iALS, before the epochs with the adversary
  config.epochs = 120
  config.evaluate_every = config.checkpoint_every = 30
  config.attack.update({"name": "fgm", "epsilon": 0.2, "relative": True})
  del config.model.scale, config.row_sparse  # the start is iALS; rows all move
  del config.attack.whole_rows  # a step moves them all
  return config


def adversarial_ials(config: Config, workdir: pathlib.Path) -> Experiment:
  """iALS in closed form, then the same objective with an attack on its rows."""
  learning.check_training(config)
  options.at_least(1, config, "model.dim", "alternations")
  options.above_zero(config, "unobserved_weight", "l2")
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  shape = data.num_users, data.num_items
  objective = Objective(config.unobserved_weight, config.l2, config.exponent)

  def start(key):
    return ials(
      fitted.user,
      fitted.item,
      shape,
      objective,
      dim=config.model.dim,
      epochs=config.alternations,
      key=key,
    )

  indptr, items = data.history(*config.fit.split("+"))
  users = int((np.diff(indptr) > 0).sum())
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  model = MatrixFactorization(*shape, config.model.dim)
  game = game_of(
    model,
    learning.make_optimizer(config),
    objective,
    start,
    jnp.asarray(np.bincount(items, minlength=data.num_items)),
    len(items),
    attack=learning.make_attack(config.attack),
    weight=learning.make_weight(config.attack, config.epochs * steps_per_epoch),
    consistency=config.attack.form == "consistency",
  )
  epoch_rows = batching.histories(
    indptr, items, padded(data.num_items), config.seed
  )
  schedule = learning.make_schedule(config, steps_per_epoch)
  return ranking_experiment(
    config,
    data,
    game,
    model.scorer,
    batching.stream(epoch_rows, users, batch_size),
    # Where an epoch is one step, a call is as many as may be.
    schedule._replace(
      dispatch=math.gcd(schedule.evaluate, schedule.checkpoint)
    ),
    tables=("user", "item"),
  )
