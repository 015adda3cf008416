"""GANs on data whose modes are known, to see what collapses and what not."""

from __future__ import annotations

import functools
import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import ml_collections
import numpy as np
import optax

from adv_rec.data import batching, images, mixtures
from adv_rec.evaluation import extractors, generation
from adv_rec.experiments import options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games import gan as games
from adv_rec.losses import gan as losses
from adv_rec.models.gan import Discriminator, Generator, sample
from adv_rec.training.loop import Schedule
from adv_rec.types import State

OBJECTIVES = (
  "minimax",
  "non_saturating",
  "least_squares",
  "wasserstein",
  "hinge",
  "relativistic",
)
_NEIGHBOURS = 5
_COMPONENTS = 64  # of the pictures, in which distances are taken


def gan_config() -> Config:
  """What all GANs share."""
  return ml_collections.ConfigDict(
    {
      "name": "",
      "title": "",
      "experiment": "",
      "seed": 0,
      "data": {"path": ""},  # folder of the files, where there are files
      "objective": "non_saturating",  # see OBJECTIVES
      # Weights of penalties on the discriminator; 0: none.
      "penalty": {"gradient": 0.0, "r1": 0.0, "r2": 0.0},
      "model": {
        "latent": 16,
        "generator": (128, 128),
        "discriminator": (128, 128),
        "spectral": False,  # spectral norm 1 in each layer of the latter
        "dropout": 0.0,  # of the latter
      },
      "pack": 1,  # examples that the discriminator judges at once
      "updates": 1,  # of the discriminator for one of the generator
      "average": 0.0,  # decay of the average generator; 0: none
      "batch_size": 256,
      "learning_rate": {"generator": 2e-4, "discriminator": 2e-4},
      "decay": False,  # of both rates, along a half cosine to 0
      "beta1": 0.5,  # of Adam
      "beta2": 0.9,
      "steps": 10_000,
      "evaluate_every": 2_000,
      "checkpoint_every": 2_000,
      "evaluation": {"samples": 5_000},
    }
  )


def gaussians(config: Config, workdir: pathlib.Path) -> Experiment:
  """The grid of 25 Gaussians, the distances of which say all."""
  del workdir
  _check(config)
  mixture = mixtures.grid()

  def measure(fake: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    real = mixtures.sample(mixture, len(fake), rng)
    return {
      **generation.modes(fake, mixture.centers, mixture.std),
      **generation.neighbours(real, fake, _NEIGHBOURS),
    }

  return _experiment(
    config,
    {"name": "gaussians_25", "modes": len(mixture.centers)},
    mixtures.batches(mixture, config.batch_size, config.seed),
    mixture.centers.shape[1],
    measure,
  )


def stacked_images(config: Config, workdir: pathlib.Path) -> Experiment:
  """Stacks of three articles, 1,000 modes, told apart by a classifier."""
  del workdir
  _check(config)
  train, test = images.fashion_mnist(config.data.path or None)
  classify = extractors.image_classifier(images.scaled(train), train.labels)
  width = 3 * train.pixels[0].size

  def measure(fake: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    real = images.stack(test, len(fake), rng)
    triples = classify(fake.reshape(3 * len(fake), -1)).reshape(-1, 3)
    reduced = extractors.principal_components(real, _COMPONENTS)
    return {
      **generation.label_modes(triples, images.CATEGORIES),
      **generation.neighbours(reduced(real), reduced(fake), _NEIGHBOURS),
    }

  return _experiment(
    config,
    {"name": "stacked_fashion_mnist", "modes": images.CATEGORIES**3},
    images.batches(train, config.batch_size, config.seed),
    width,
    measure,
    bounded=True,
  )


def _experiment(
  config: Config,
  dataset: Mapping[str, Any],
  batches: batching.Batches,
  width: int,
  measure: Callable[[np.ndarray, np.random.Generator], dict[str, float]],
  bounded: bool = False,
) -> Experiment:
  """A GAN of vectors, measured against other draws than those it learns from.

  Args:
    config: from `gan_config`.
    dataset: what it learns from.
    batches: of "real".
    width: of an example.
    measure: (generated [N, D], generator of the real ones) -> metrics.
    bounded: whether examples lie between -1 and 1.
  """
  generator = Generator(
    width, config.model.latent, config.model.generator, bounded
  )
  discriminator = Discriminator(
    config.model.discriminator, config.model.dropout, config.model.spectral
  )
  penalty = config.penalty
  game = games.gan(
    generator,
    discriminator,
    getattr(losses, config.objective)(),
    _optimizer(config, config.learning_rate.discriminator),
    _optimizer(config, config.learning_rate.generator),
    penalties={
      losses.gradient_penalty: penalty.gradient,
      losses.r1: penalty.r1,
      losses.r2: penalty.r2,
    },
    pack=config.pack,
    updates=config.updates,
    average=config.average or None,
  )
  draw = jax.jit(functools.partial(sample, generator), static_argnames="num")

  def metrics(state: State, part: str, stream: int) -> dict[str, float]:
    params = state.average.get("generator", state.params["generator"])
    key = jax.random.fold_in(state.key, stream)
    fake = np.asarray(draw(params, key, num=config.evaluation.samples))
    values = measure(fake, np.random.default_rng([stream, config.seed]))
    return {f"{part}/{name}": value for name, value in values.items()}

  described = {
    **dataset,
    "counts": {
      "modes": dataset["modes"],
      "features": width,
      "samples": config.evaluation.samples,
    },
  }
  text = repr(sorted(described.items()))
  return Experiment(
    game=game,
    batches=batches,
    schedule=Schedule(
      steps=config.steps,
      dispatch=_dispatch(config),
      evaluate=config.evaluate_every,
      checkpoint=config.checkpoint_every,
    ),
    evaluate=lambda state: metrics(state, "validation", 1),
    finish=lambda state: {"metrics": metrics(state, "test", 2)},
    dataset={
      **described,
      "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:16],
    },
    watch="validation/modes",
  )


def _optimizer(config: Config, rate: float) -> optax.GradientTransformation:
  schedule = (
    optax.cosine_decay_schedule(rate, config.steps) if config.decay else rate
  )
  return optax.adam(schedule, b1=config.beta1, b2=config.beta2)


def _dispatch(config: Config) -> int:
  """Steps of one compiled call: a divisor of all that must fall on its end."""
  ends = np.gcd.reduce(
    [config.steps, config.evaluate_every, config.checkpoint_every]
  )
  return max(n for n in range(1, 201) if ends % n == 0)


def _check(config: Config) -> None:
  """Refuses bad options before anything is read."""
  options.one_of(OBJECTIVES, config, "objective")
  options.at_least(
    1,
    config,
    "batch_size",
    "pack",
    "updates",
    "steps",
    "checkpoint_every",
    "model.latent",
  )
  options.at_least(0, config, "evaluate_every", "average")
  options.at_least(0, config, *(f"penalty.{name}" for name in config.penalty))
  options.above_zero(
    config, "learning_rate.generator", "learning_rate.discriminator"
  )
  options.at_least(_NEIGHBOURS + 1, config, "evaluation.samples")
  if config.average >= 1 or not 0 <= config.model.dropout < 1:
    raise ValueError(
      f"config options average={config.average}, model.dropout="
      f"{config.model.dropout}: must be at least 0 and below 1"
    )
  if config.batch_size % (config.pack * config.updates):
    raise ValueError(
      f"config option batch_size={config.batch_size}: must be a multiple of"
      f" pack x updates = {config.pack * config.updates}"
    )
