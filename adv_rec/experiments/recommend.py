"""Matrix factorisation, attacked or not: config -> experiment."""

from __future__ import annotations

import pathlib

import jax
import ml_collections
import numpy as np
import optax

from adv_rec.attacks import gradients
from adv_rec.data import batching, shards
from adv_rec.data.dataset import Dataset
from adv_rec.experiments import attacks, interactions, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games import recommend as games
from adv_rec.games.supervised import Schedule as StepSchedule
from adv_rec.games.supervised import start_at
from adv_rec.models.recommenders import MatrixFactorization, padded
from adv_rec.training.loop import Schedule

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
        "name": "none",  # none, fgm, fgsm, pgd, random or vat
        "form": "loss",  # of moved inputs, or "consistency" with clean ones
        "epsilon": 0.25,
        "relative": False,  # epsilon in median row norms
        "weight": 1.0,
        "start": 0.0,  # share of the epochs before it, plain
        "whole_rows": True,  # move a row once, or each occurrence of it
        "steps": 3,  # of pgd and vat
        "norm": "l2",  # of pgd and random
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
    make_optimizer(config),
    l2=config.l2,
    attack=make_attack(config.attack),
    weight=make_weight(config.attack, config.epochs * steps_per_epoch),
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
    make_schedule(config, steps_per_epoch)._replace(dispatch=dispatch),
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
    make_optimizer(config),
    len(items) / users,
    temperature=config.temperature,
    l2=config.l2,
    attack=make_attack(config.attack),
    weight=make_weight(config.attack, config.epochs * steps_per_epoch),
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
    make_schedule(config, steps_per_epoch),
    tables=("user", "item"),
  )


def make_schedule(config: Config, steps_per_epoch: int) -> Schedule:
  """Epochs in steps; one compiled call an epoch."""
  return Schedule(
    steps=config.epochs * steps_per_epoch,
    dispatch=steps_per_epoch,
    evaluate=config.evaluate_every * steps_per_epoch,
    checkpoint=config.checkpoint_every * steps_per_epoch,
  )


def make_weight(config: Config, steps: int) -> float | StepSchedule:
  """The weight of the adversarial term: zero for a first share of the steps.

  Args:
    config: the options "attack".
    steps: of the whole run.
  """
  if config.weight and config.start:
    return start_at(round(config.start * steps), config.weight)
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
  if config.name == "vat":
    return gradients.vat(size, config.steps)
  return attacks.by_name(config.name, config.steps, config.norm)(size)


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


def check_training(config: Config) -> None:
  """Refuses bad options before the data is prepared, which takes longer."""
  options.at_least(
    1, config, "batch_size", "epochs", "checkpoint_every", "attack.steps"
  )
  options.at_least(
    0,
    config,
    "evaluate_every",
    "attack.epsilon",
    "attack.weight",
    "attack.start",
  )
  options.above_zero(config, "learning_rate")
  options.one_of(("adagrad", "adam", "sgd"), config, "optimizer")
  attack = config.attack
  options.one_of(
    ("none", "fgm", "fgsm", "pgd", "random", "vat"), config, "attack.name"
  )
  options.one_of(("l2", "linf"), config, "attack.norm")
  options.one_of(("loss", "consistency"), config, "attack.form")
  if attack.name == "vat" and attack.form == "loss":
    raise ValueError(
      "config option attack.name='vat': it climbs a divergence; set"
      " attack.form=consistency, or choose fgm"
    )
  if attack.name in ("fgm", "fgsm") and attack.form == "consistency":
    raise ValueError(
      f"config option attack.name={attack.name!r}: a divergence has no gradient"
      " at the clean inputs; with attack.form=consistency choose vat, pgd or"
      " random"
    )


def check_factorization(config: Config) -> None:
  """`check_training`, and the options of the tables."""
  check_training(config)
  options.at_least(1, config, "model.dim")
  options.at_least(0, config, "l2")
  options.above_zero(config, "model.scale")


def make_factorization(config: Config, data: Dataset) -> MatrixFactorization:
  """The two tables of a config's size."""
  return MatrixFactorization(
    data.num_users, data.num_items, config.model.dim, config.model.scale
  )
