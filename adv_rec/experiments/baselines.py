"""Baselines that need no gradient: config -> experiment."""

from __future__ import annotations

import pathlib

from adv_rec.experiments import interactions, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games import recommend as games
from adv_rec.models import closed_form


def popularity(config: Config, workdir: pathlib.Path) -> Experiment:
  """The most bought items for everybody."""
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  game = games.closed_form(
    lambda: closed_form.popularity(fitted.item, data.num_items)
  )
  return interactions.ranking_experiment(
    config, data, game, closed_form.popularity_scorer
  )


def ease(config: Config, workdir: pathlib.Path) -> Experiment:
  """EASE; config.l2 is its only hyperparameter."""
  options.above_zero(config, "l2")
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  shape = (data.num_users, data.num_items)
  game = games.closed_form(
    lambda: closed_form.ease(fitted.user, fitted.item, shape, config.l2)
  )
  return interactions.ranking_experiment(
    config, data, game, closed_form.ease_scorer
  )
