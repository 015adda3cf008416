"""Baselines that need no gradient: config -> experiment."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import jax
import numpy as np

from adv_rec.experiments import interactions, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import codes, ranking_experiment
from adv_rec.games import recommend as games
from adv_rec.models import closed_form
from adv_rec.models import ials as als
from adv_rec.models import item_knn as knn
from adv_rec.models import svd as decomposition
from adv_rec.models.recommenders import MatrixFactorization
from adv_rec.types import Params, Scorer

# (users [N], items [N], (U, I)) -> parameters, traceable by JAX.
_Fit = Callable[[np.ndarray, np.ndarray, tuple[int, int]], Params]


def popularity(config: Config, workdir: pathlib.Path) -> Experiment:
  """The most bought items for everybody."""
  return _experiment(
    config,
    workdir,
    lambda users, items, shape: closed_form.popularity(items, shape[1]),
    closed_form.popularity_scorer,
  )


def segment_popularity(config: Config, workdir: pathlib.Path) -> Experiment:
  """The most bought items of the user's segment, config.segment."""
  data = interactions.open_dataset(config, workdir)
  features = [name for name in data.users if name != "id"]
  if config.segment not in features:
    raise ValueError(
      f"config option segment={config.segment!r}: the users of {data.name} have"
      f" {', '.join(features) or 'no features'}"
    )
  segment = codes(data.users[config.segment])
  fitted = interactions.fitted(data, config.fit)
  shape = data.num_users, data.num_items
  game = games.closed_form(
    lambda: closed_form.segment_popularity(*fitted, shape, segment)
  )
  return ranking_experiment(
    config, data, game, closed_form.segment_popularity_scorer
  )


def personal_popularity(config: Config, workdir: pathlib.Path) -> Experiment:
  """What the user has most often, then what everybody has."""
  return _experiment(
    config,
    workdir,
    closed_form.personal_popularity,
    closed_form.fitted_scorer,
  )


def ease(config: Config, workdir: pathlib.Path) -> Experiment:
  """EASE; config.l2 is its only hyperparameter."""
  options.above_zero(config, "l2")
  return _experiment(
    config,
    workdir,
    lambda users, items, shape: closed_form.ease(
      users, items, shape, config.l2
    ),
    closed_form.fitted_scorer,
  )


def item_knn(config: Config, workdir: pathlib.Path) -> Experiment:
  """Nearest neighbours of items: config.neighbours and config.shrink."""
  options.at_least(1, config, "neighbours")
  options.at_least(0, config, "shrink")

  def fit(users, items, shape) -> Params:
    return knn.item_knn(
      users,
      items,
      shape,
      neighbours=config.neighbours,
      shrink=config.shrink,
    )

  return _experiment(config, workdir, fit, knn.item_knn_scorer)


def svd(config: Config, workdir: pathlib.Path) -> Experiment:
  """A truncated SVD with config.model.dim factors: PureSVD, or its kin."""
  options.at_least(1, config, "model.dim", "sketch", "passes")
  options.at_least(0, config, "l2")
  spectrum = decomposition.Spectrum(
    config.user_exponent, config.item_exponent, config.l2
  )

  def fit(users, items, shape) -> Params:
    return decomposition.svd(
      users,
      items,
      shape,
      spectrum,
      dim=config.model.dim,
      key=jax.random.key(config.seed),
      sketch=config.sketch,
      passes=config.passes,
    )

  return _experiment(config, workdir, fit, _factor_scorer)


def ials(config: Config, workdir: pathlib.Path) -> Experiment:
  """Implicit alternating least squares."""
  options.at_least(1, config, "model.dim", "epochs")
  options.above_zero(config, "unobserved_weight", "l2")
  objective = als.Objective(
    config.unobserved_weight, config.l2, config.exponent
  )

  def fit(users, items, shape) -> Params:
    return als.ials(
      users,
      items,
      shape,
      objective,
      dim=config.model.dim,
      epochs=config.epochs,
      key=jax.random.key(config.seed),
    )

  return _experiment(config, workdir, fit, _factor_scorer)


def _experiment(
  config: Config,
  workdir: pathlib.Path,
  fit: _Fit,
  scorer: Callable[[Params], Scorer],
) -> Experiment:
  """A model that is known without playing."""
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  shape = data.num_users, data.num_items
  game = games.closed_form(lambda: fit(fitted.user, fitted.item, shape))
  return ranking_experiment(config, data, game, scorer)


def _factor_scorer(params: Params) -> Scorer:
  """Scores of tables "user" and "item", whoever made them."""
  users, items = (len(params[name]) for name in ("user", "item"))
  return MatrixFactorization(users, items).scorer(params)
