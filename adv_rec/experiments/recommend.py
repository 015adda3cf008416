"""Recommenders: config -> experiment. A config names one of the builders."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import optax

from adv_rec.attacks import gradients
from adv_rec.data import batching
from adv_rec.data.dataset import Dataset
from adv_rec.evaluation import robustness
from adv_rec.experiments import interactions
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games import recommend as games
from adv_rec.games.supervised import start_at
from adv_rec.models import closed_form
from adv_rec.models.recommenders import MatrixFactorization, padded
from adv_rec.training.loop import Schedule
from adv_rec.types import Game, Params, Scorer, State


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


def popularity(config: Config, workdir: pathlib.Path) -> Experiment:
  """The most bought items for everybody."""
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  game = games.closed_form(
    lambda: closed_form.popularity(fitted.item, data.num_items)
  )
  return _experiment(config, data, game, closed_form.popularity_scorer)


def ease(config: Config, workdir: pathlib.Path) -> Experiment:
  """EASE; config.l2 is its only hyperparameter."""
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  shape = (data.num_users, data.num_items)
  game = games.closed_form(
    lambda: closed_form.ease(fitted.user, fitted.item, shape, config.l2)
  )
  return _experiment(config, data, game, closed_form.ease_scorer)


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
  model = MatrixFactorization(
    data.num_users, data.num_items, config.model.dim, config.model.scale
  )
  steps_per_epoch = max(len(fitted.user) // config.batch_size, 1)
  attack = config.attack
  weight = attack.weight
  if weight and attack.start_epoch:
    weight = start_at(round(attack.start_epoch * steps_per_epoch), weight)
  game = games.matrix_factorization(
    model,
    make_optimizer(config),
    l2=config.l2,
    attack=make_attack(attack),
    weight=weight,
    whole_rows=attack.whole_rows,
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
  schedule = Schedule(
    steps=config.epochs * steps_per_epoch,
    dispatch=steps_per_epoch,
    evaluate=config.evaluate_every * steps_per_epoch,
    checkpoint=config.checkpoint_every * steps_per_epoch,
  )
  finish = None
  if config.evaluation.robustness:
    triples = epoch_rows(config.epochs)  # an epoch that training never saw
    finish = _robustness(config, data, model, triples)
  return _experiment(
    config, data, game, model.scorer, batches, schedule, finish
  )


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


def _experiment(
  config: Config,
  data: Dataset,
  game: Game,
  scorer: Callable[[Params], Scorer],
  batches: batching.Batches | None = None,
  schedule: Schedule | None = None,
  finish: Callable[[State], dict[str, Any]] | None = None,
) -> Experiment:
  """An experiment of one player, "model", that ends in a scorer."""
  parts = [
    part
    for part, watched in (
      ("validation", config.fit == "train"),
      ("test", True),
    )
    if watched and len(getattr(data, part).user)
  ]
  evaluators = {
    part: interactions.Evaluator(data, config.evaluation, part, config.fit)
    for part in parts
  }

  def evaluate(state: State) -> dict[str, float]:
    values = evaluators["validation"].accuracy(scorer(state.params["model"]))
    return {f"validation/{name}": value for name, value in values.items()}

  def finish_all(state: State) -> dict[str, Any]:
    metrics: dict[str, float] = {}
    for evaluator in evaluators.values():
      metrics |= evaluator.all(scorer(state.params["model"]))
    return {"metrics": metrics, **(finish(state) if finish else {})}

  return Experiment(
    game=game,
    batches=batches,
    schedule=schedule or Schedule(),
    evaluate=evaluate if "validation" in evaluators else None,
    finish=finish_all,
    dataset=interactions.description(data, config.fit),
    watch="validation/ndcg@10",
  )


def _robustness(config, data, model, triples):
  """State -> {"robustness": curve}: nDCG@10 on test under attack."""
  evaluator = interactions.Evaluator(
    data, config.evaluation, "test", config.fit
  )
  game = games.matrix_factorization(model, optax.identity())
  key = jax.random.key(config.seed)

  def finish(state: State) -> dict[str, Any]:
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
