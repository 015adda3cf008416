"""IRGAN: config -> experiment."""

from __future__ import annotations

import pathlib

import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.experiments import interactions, learning, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games import irgan as games
from adv_rec.models.recommenders import padded, with_bias
from adv_rec.types import Params, Scorer


def irgan_config() -> Config:
  """The default config of IRGAN."""
  config = recommend.default_config()
  config.experiment = "adv_rec.experiments.irgan.irgan"
  config.update(
    {
      "form": "pointwise",  # or "pairwise"
      "model": {"dim": 64, "scale": 0.01},
      "samples": 128,  # items drawn for a user, for the generator's update
      "known_share": 0.2,  # of the user's own items among them
      "temperature": 1.0,  # of the generator's softmax
      "sharpening": 1.0,  # divides it when it picks for the discriminator
      "baseline": True,  # subtract the mean reward of the other draws
      "start": 0.4,  # share of the epochs before it, by likelihood
      "likelihood": {"learning_rate": 0.01, "l2": 0.065},
      "learning_rate": {"generator": 0.001, "discriminator": 0.02},
      "l2": {"generator": 0.0, "discriminator": 0.01},
      "batch_size": 256,  # users
      "epochs": 150,
      "evaluate_every": 10,  # epochs; 0: only at the end
      "checkpoint_every": 10,  # epochs
    }
  )
  return config


def irgan(config: Config, workdir: pathlib.Path) -> Experiment:
  """IRGAN, pointwise or pairwise; the generator is the recommender."""
  _check(config)
  data = interactions.open_dataset(config, workdir)
  model = recommend.make_factorization(config, data)
  indptr, items = data.history(*config.fit.split("+"))
  users = int((np.diff(indptr) > 0).sum())
  batch_size = min(config.batch_size, users)
  steps_per_epoch = max(users // batch_size, 1)
  start = round(config.start * config.epochs * steps_per_epoch)
  rates = config.likelihood.learning_rate, config.learning_rate.generator
  game = games.irgan(
    model,
    games.FORMS[config.form],
    optax.adam(config.learning_rate.discriminator),
    optax.adam(lambda step: jnp.where(step < start, *rates)),
    len(items) / users,
    samples=config.samples,
    known_share=config.known_share,
    temperature=config.temperature,
    sharpening=config.sharpening,
    baseline=config.baseline,
    discriminator_l2=config.l2.discriminator,
    generator_l2=config.l2.generator,
    likelihood_l2=config.likelihood.l2,
    start=start,
  )

  def scorer(params: Params) -> Scorer:
    return model.scorer(with_bias(params))

  return ranking_experiment(
    config,
    data,
    game,
    scorer,
    batching.stream(
      batching.histories(indptr, items, padded(data.num_items), config.seed),
      users,
      batch_size,
    ),
    learning.make_schedule(config, steps_per_epoch),
    player="generator",
  )


def _check(config: Config) -> None:
  """Refuses bad options before the data is prepared, which takes longer."""
  options.one_of(tuple(games.FORMS), config, "form")
  options.at_least(
    1, config, "model.dim", "batch_size", "epochs", "checkpoint_every"
  )
  options.at_least(2 if config.baseline else 1, config, "samples")
  options.at_least(
    0,
    config,
    "evaluate_every",
    "known_share",
    "start",
    "likelihood.l2",
    "l2.generator",
    "l2.discriminator",
  )
  options.above_zero(
    config,
    "model.scale",
    "temperature",
    "sharpening",
    "likelihood.learning_rate",
    "learning_rate.generator",
    "learning_rate.discriminator",
  )
  if config.known_share >= 1:
    raise ValueError(
      f"config option known_share={config.known_share}: a share, below 1, or"
      " nothing is drawn from the generator"
    )
  if config.start > 1:
    raise ValueError(f"config option start={config.start}: a share, at most 1")
