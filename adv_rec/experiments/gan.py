"""What experiments on GANs of vectors share: networks, samples, result."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import ml_collections
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.experiments import options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games import gan as games
from adv_rec.losses import gan as losses
from adv_rec.models.gan import (
  Discriminator,
  Gaussian,
  Generator,
  leaky_relu,
  sample,
)
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
ACTIVATIONS = {
  "relu": nn.relu,
  "leaky_relu": leaky_relu,
  "tanh": nn.tanh,
  "sigmoid": nn.sigmoid,
}

# (number of examples, their conditions [N, C] or None) -> examples [N, D].
Draw = Callable[[int, np.ndarray | None], np.ndarray]
# Draws, judges, and names what it found.
Measure = Callable[[Draw, np.random.Generator], Mapping[str, float]]


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
        "gaussian": False,  # a generator mu + sigma z in place of layers
        "generator": (128, 128),
        "discriminator": (128, 128),
        "spectral": False,  # spectral norm 1 in each layer of the latter
        "dropout": 0.0,  # of the latter
        "activation": "relu",  # of the generator, see ACTIVATIONS
        "discriminator_activation": "leaky_relu",
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
      "watch": "coverage",  # the measure to show while training
    }
  )


def vector_gan(
  config: Config,
  dataset: Mapping[str, Any],
  batches: batching.Batches,
  width: int,
  measure: Measure,
  *,
  condition: int = 0,
  bounded: bool = False,
) -> Experiment:
  """A GAN of vectors as an experiment.

  Args:
    config: from `gan_config`, checked by `check`.
    dataset: "name" and "counts" of what it learns from.
    batches: of "real" [B, D], and "condition" [B, C].
    width: D.
    measure: what examples of the (averaged) generator are worth; with another
      stream of draws for validation than for test.
    condition: C, 0 for none.
    bounded: whether examples lie between -1 and 1.
  """
  model = config.model
  generator = (
    Gaussian(width)
    if model.gaussian
    else Generator(
      width,
      model.latent,
      model.generator,
      bounded,
      ACTIVATIONS[model.activation],
    )
  )
  game = games.gan(
    generator,
    discriminator(config),
    getattr(losses, config.objective)(),
    optimizer(config, config.learning_rate.discriminator, config.steps),
    optimizer(config, config.learning_rate.generator, config.steps),
    penalties=penalties(config),
    condition=condition,
    pack=config.pack,
    updates=config.updates,
    average=config.average or None,
  )
  drawn = jax.jit(functools.partial(sample, generator), static_argnames="num")

  def metrics(state: State, part: str, stream: int) -> dict[str, float]:
    params = state.average.get("generator", state.params["generator"])
    key = jax.random.fold_in(state.key, stream)

    def draw(num: int, given: np.ndarray | None = None) -> np.ndarray:
      return np.asarray(drawn(params, key, num=num, condition=given))

    values = measure(draw, np.random.default_rng([stream, config.seed]))
    return {f"{part}/{name}": value for name, value in values.items()}

  text = repr(sorted(dataset.items()))
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
      **dataset,
      "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:16],
    },
    watch=f"validation/{config.watch}",
  )


def optimizer(
  config: Config, rate: float, steps: int
) -> optax.GradientTransformation:
  """Adam with the rate and moments of a config.

  Args:
    config: from `gan_config`.
    rate: of learning, at first.
    steps: over which it decays, if config.decay.
  """
  schedule = optax.cosine_decay_schedule(rate, steps) if config.decay else rate
  return optax.adam(schedule, b1=config.beta1, b2=config.beta2)


def penalties(config: Config) -> dict[losses.Penalty, float]:
  """The penalties of a config and their weights."""
  weight = config.penalty
  return {
    losses.gradient_penalty: weight.gradient,
    losses.r1: weight.r1,
    losses.r2: weight.r2,
  }


def discriminator(config: Config) -> Discriminator:
  """The discriminator of a config."""
  model = config.model
  return Discriminator(
    model.discriminator,
    model.dropout,
    model.spectral,
    ACTIVATIONS[model.discriminator_activation],
  )


def _dispatch(config: Config) -> int:
  """Steps of one compiled call: a divisor of all that must fall on its end."""
  ends = np.gcd.reduce(
    [config.steps, config.evaluate_every, config.checkpoint_every]
  )
  return max(n for n in range(1, 201) if ends % n == 0)


def check(config: Config) -> None:
  """Refuses bad options of `vector_gan` before anything is read."""
  check_players(config)
  options.at_least(1, config, "steps", "checkpoint_every")
  options.at_least(0, config, "evaluate_every")
  options.at_least(10, config, "evaluation.samples")


def check_players(config: Config) -> None:
  """Refuses bad options of the networks and of their training."""
  options.one_of(OBJECTIVES, config, "objective")
  options.at_least(1, config, "batch_size", "pack", "updates", "model.latent")
  options.at_least(0, config, "average")
  options.at_least(0, config, *(f"penalty.{name}" for name in config.penalty))
  options.above_zero(
    config, "learning_rate.generator", "learning_rate.discriminator"
  )
  for name in ("activation", "discriminator_activation"):
    options.one_of(tuple(ACTIVATIONS), config, f"model.{name}")
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
