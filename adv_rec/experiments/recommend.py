"""Matrix factorisation, attacked or not: config -> experiment."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
import optax

from adv_rec.attacks import gradients
from adv_rec.data import batching
from adv_rec.data.dataset import Dataset
from adv_rec.evaluation import robustness
from adv_rec.experiments import interactions
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games import recommend as games
from adv_rec.games.supervised import Schedule as StepSchedule
from adv_rec.games.supervised import start_at
from adv_rec.models.recommenders import MatrixFactorization, padded
from adv_rec.training.loop import Schedule
from adv_rec.types import State


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
        "ks": (5, 10, 20, 50),
        "user_block": 256,
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
      "evaluate_every": 5,  # epochs
      "checkpoint_every": 5,  # epochs
      "row_sparse": False,  # for tables too large for dense gradients
      "attack": {
        "name": "none",  # none, fgm, fgsm, pgd or random
        "epsilon": 0.25,
        "relative": False,  # epsilon in median row norms
        "weight": 1.0,
        "start_epoch": 0.0,  # plain BPR before
        "whole_rows": True,  # move a row once, or each occurrence of it
        "steps": 3,  # of pgd
        "norm": "l2",  # of pgd and random
      },
    }
  )
  return config


def matrix_factorization(config: Config, workdir: pathlib.Path) -> Experiment:
  """BPR-MF, and APR where the config has an attack."""
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  model = _model(config, data)
  steps_per_epoch = max(len(fitted.user) // config.batch_size, 1)
  game = games.matrix_factorization(
    model,
    make_optimizer(config),
    l2=config.l2,
    attack=make_attack(config.attack),
    weight=make_weight(config.attack, steps_per_epoch),
    whole_rows=config.attack.whole_rows,
    row_sparse=config.row_sparse,
  )
  epoch_rows = batching.triples(
    fitted.user, fitted.item, data.num_items, config.seed
  )
  batches = batching.stream(epoch_rows, len(fitted.user), config.batch_size)
  if config.row_sparse:
    batches = batching.with_local_rows(
      batches,
      {
        "user": (("user",), padded(data.num_users)),
        "item": (("positive", "negative"), padded(data.num_items)),
      },
    )
  return interactions.ranking_experiment(
    config,
    data,
    game,
    model.scorer,
    batches,
    make_schedule(config, steps_per_epoch),
    _robustness(config, data, model),
  )


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
  data = interactions.open_dataset(config, workdir)
  model = _model(config, data)
  indptr, items = data.history(*config.fit.split("+"))
  users = int((np.diff(indptr) > 0).sum())
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  game = games.full_softmax(
    model,
    make_optimizer(config),
    len(items) / users,
    temperature=config.temperature,
    l2=config.l2,
    attack=make_attack(config.attack),
    weight=make_weight(config.attack, steps_per_epoch),
  )
  epoch_rows = batching.histories(
    indptr, items, padded(data.num_items), config.seed
  )
  return interactions.ranking_experiment(
    config,
    data,
    game,
    model.scorer,
    batching.stream(epoch_rows, users, batch_size),
    make_schedule(config, steps_per_epoch),
    _robustness(config, data, model),
  )


def make_schedule(config: Config, steps_per_epoch: int) -> Schedule:
  """Epochs in steps; one compiled call an epoch.

  Raises:
    ValueError: fewer than one epoch.
  """
  for name in ("epochs", "evaluate_every", "checkpoint_every"):
    if config[name] < 1:
      raise ValueError(f"config option {name}={config[name]}: at least 1")
  return Schedule(
    steps=config.epochs * steps_per_epoch,
    dispatch=steps_per_epoch,
    evaluate=config.evaluate_every * steps_per_epoch,
    checkpoint=config.checkpoint_every * steps_per_epoch,
  )


def make_weight(config: Config, steps_per_epoch: int) -> float | StepSchedule:
  """The weight of the adversarial term, from start_epoch on."""
  if config.weight and config.start_epoch:
    return start_at(round(config.start_epoch * steps_per_epoch), config.weight)
  return config.weight


def make_attack(config: Config) -> gradients.Attack | None:
  """The attack of a config; None where its size is zero.

  Raises:
    ValueError: unknown name.
  """
  if config.name == "none" or config.epsilon == 0:
    return None
  size = config.epsilon
  if config.relative:
    size = gradients.relative(size)
  if config.name == "fgm":
    return gradients.fgm(size)
  if config.name == "fgsm":
    return gradients.fgsm(size)
  if config.name == "pgd":
    return gradients.pgd(size, config.steps, norm=config.norm)
  if config.name == "random":
    return gradients.random(size, norm=config.norm)
  raise ValueError(
    f"config option attack.name={config.name!r}: choose none, fgm, fgsm, pgd"
    " or random"
  )


def make_optimizer(
  config: Config,
) -> optax.GradientTransformation:
  """The optimizer of a config.

  Raises:
    ValueError: unknown name.
  """
  rate = config.learning_rate
  if config.optimizer == "adagrad":
    # Losses are means, so gradients are 1 / batch_size of the sums that
    # Adagrad's usual start of 0.1 is meant for.
    start = 0.1 / config.batch_size**2
    return optax.adagrad(rate, start, eps=start * 1e-6)
  if config.optimizer == "adam":
    return optax.adam(rate)
  if config.optimizer == "sgd":
    return optax.sgd(rate)
  raise ValueError(
    f"config option optimizer={config.optimizer!r}: choose adagrad, adam or sgd"
  )


def _model(config: Config, data: Dataset) -> MatrixFactorization:
  return MatrixFactorization(
    data.num_users, data.num_items, config.model.dim, config.model.scale
  )


def _robustness(
  config: Config, data: Dataset, model: MatrixFactorization
) -> Callable[[State], dict[str, Any]] | None:
  """State -> {"robustness": curve}: test metrics under attack.

  The attacker raises the BPR loss of the fitted interactions, with negatives
  of its own, whatever the model was trained by.
  """
  if not config.evaluation.robustness:
    return None
  fitted = interactions.fitted(data, config.fit)
  evaluator = interactions.Evaluator(
    data, config.evaluation, "test", config.fit
  )
  game = games.matrix_factorization(model, optax.identity())
  key = jax.random.key(config.seed)

  def finish(state: State) -> dict[str, Any]:
    triples = batching.triples(
      fitted.user, fitted.item, data.num_items, config.seed
    )(-1 % 2**32)  # an epoch that training never sees
    tables = {name: state.params["model"][name] for name in ("user", "item")}
    objective = robustness.mean_over(
      lambda inputs, batch: game["model"].loss(inputs, {}, batch, key)[0],
      triples,
    )
    return {
      "robustness": robustness.curve(
        {"fgm": gradients.fgm, "random": gradients.random},
        gradients.relative,
        config.evaluation.robustness,
        objective,
        tables,
        lambda inputs: evaluator.accuracy(model.scorer(inputs)),
        key,
      )
    }

  return finish
