"""Recommenders of cold items that play no step: config -> experiment."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp

from adv_rec.experiments import cold, options
from adv_rec.experiments.cold import Setting
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.recommend import closed_form
from adv_rec.models import content as models
from adv_rec.models import ials
from adv_rec.models.content import ContentModel
from adv_rec.types import Params

TARGETS = ("interactions", "embeddings")


def random(config: Config, workdir: pathlib.Path) -> Experiment:
  """Scores without sense: the floor."""
  return _experiment(
    config,
    workdir,
    lambda setting: models.noise(
      setting.shape[0], setting.encoder.size, jax.random.key(config.seed)
    ),
    models.linear,
  )


def segment(config: Config, workdir: pathlib.Path) -> Experiment:
  """Popularity of the items of the same value of one column."""
  name = config.segment
  if not name:
    raise ValueError(
      "config option segment: name the column whose values are segments, as in"
      " segment=category"
    )
  config = config.copy_and_resolve_references()
  config.content.update({"columns": name, "pairs": "", "at_least": 1})

  def fit(setting: Setting) -> Params:
    return models.segment_popularity(
      jnp.asarray(setting.chosen(), jnp.float32),
      jnp.asarray(setting.content[setting.warm]),
      setting.encoder.size,
      config.personal,
    )

  return _experiment(config, workdir, fit, models.linear)


def knn(config: Config, workdir: pathlib.Path) -> Experiment:
  """Similarity of content to what the user has."""
  options.above_zero(config, "power")

  def fit(setting: Setting) -> Params:
    return models.neighbours(
      jnp.asarray(setting.chosen(), jnp.float32),
      setting.content[setting.warm],
      setting.encoder.size,
    )

  return _experiment(config, workdir, fit, models.content_knn(config.power))


def ridge(config: Config, workdir: pathlib.Path) -> Experiment:
  """A linear map from content to interactions, or to embeddings."""
  options.one_of(TARGETS, config, "targets")
  options.above_zero(config, "l2")

  def fit(setting: Setting) -> Params:
    if config.targets == "interactions":
      targets = jnp.asarray(setting.chosen(), jnp.float32)
      user = jnp.eye(setting.shape[0])
    else:
      user, item = base_model(config, setting)
      targets = item[setting.warm]
    content = setting.content[setting.warm]
    weights = models.ridge(content, setting.encoder.size, targets, config.l2)
    return {"weights": weights, "user": user}

  return _experiment(config, workdir, fit, models.linear)


def base_config(dim: int = 128) -> dict[str, float]:
  """The options "base": iALS on the warm items, and its settings."""
  return {
    "dim": dim,
    "unobserved_weight": 2.0,
    "l2": 0.043,
    "exponent": 0.5,
    "epochs": 12,
  }


def base_model(config: Config, setting: Setting) -> tuple[jax.Array, jax.Array]:
  """Embeddings of users and warm items by iALS: [U, D], [I, D].

  Rows of cold items are zero.
  """
  options.at_least(1, config, "base.dim", "base.epochs")
  options.above_zero(config, "base.unobserved_weight", "base.l2")
  base, train = config.base, setting.cold.data.train
  tables = ials.ials(
    train.user,
    train.item,
    setting.shape,
    ials.Objective(base.unobserved_weight, base.l2, base.exponent),
    dim=base.dim,
    epochs=base.epochs,
    key=jax.random.key(config.seed),
  )
  return tables["user"], tables["item"]


def _experiment(
  config: Config,
  workdir: pathlib.Path,
  fit: Callable[[Setting], Params],
  model: ContentModel,
) -> Experiment:
  setting = cold.prepare(config, workdir)
  game = closed_form(lambda: fit(setting))
  return cold.cold_experiment(
    config, setting, game, lambda state: (model, state.params["model"])
  )
