"""GANs on data whose modes are known, to see what collapses and what not."""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import numpy as np

from adv_rec.data import batching, images, mixtures
from adv_rec.evaluation import extractors, generation
from adv_rec.experiments import gan
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config

_NEIGHBOURS = 5
_COMPONENTS = 64  # of the pictures, in which distances are taken


def gaussians(config: Config, workdir: pathlib.Path) -> Experiment:
  """The grid of 25 Gaussians, the distances of which say all."""
  del workdir
  gan.check(config)
  mixture = mixtures.grid()

  def measure(draw: gan.Draw, rng: np.random.Generator) -> dict[str, float]:
    fake = draw(config.evaluation.samples, None)
    real = mixtures.sample(mixture, len(fake), rng)
    return {
      **generation.modes(fake, mixture.centers, mixture.std),
      **generation.neighbours(real, fake, _NEIGHBOURS),
    }

  return gan.vector_gan(
    config,
    _described("gaussians_25", len(mixture.centers), 2, config),
    batching.fresh(
      functools.partial(mixtures.sample, mixture),
      config.batch_size,
      config.seed,
    ),
    mixture.centers.shape[1],
    measure,
  )


def stacked_images(config: Config, workdir: pathlib.Path) -> Experiment:
  """Stacks of three articles, 1,000 modes, told apart by a classifier."""
  del workdir
  gan.check(config)
  train, test = images.fashion_mnist(config.data.path or None)

  @functools.cache
  def classifier():  # seconds, and not needed to train
    return extractors.image_classifier(images.scaled(train), train.labels)

  width = 3 * train.pixels[0].size

  def measure(draw: gan.Draw, rng: np.random.Generator) -> dict[str, float]:
    fake = draw(config.evaluation.samples, None)
    real = images.stack(test, len(fake), rng)
    reduced = extractors.principal_components(real, _COMPONENTS)

    def found(stacks: np.ndarray) -> dict[str, float]:
      triples = classifier()(stacks.reshape(3 * len(stacks), -1))
      return generation.label_modes(triples.reshape(-1, 3), images.CATEGORIES)

    return {
      **found(fake),
      **generation.neighbours(reduced(real), reduced(fake), _NEIGHBOURS),
      # As many real stacks do not meet each mode alike often either.
      **{f"real_{name}": value for name, value in found(real).items()},
    }

  return gan.vector_gan(
    config,
    _described("stacked_fashion_mnist", images.CATEGORIES**3, width, config),
    batching.fresh(
      functools.partial(images.stack, train), config.batch_size, config.seed
    ),
    width,
    measure,
    bounded=True,
  )


def _described(
  name: str, modes: int, features: int, config: Config
) -> dict[str, Any]:
  """The data, for result.json."""
  samples = config.evaluation.samples
  counts = {"modes": modes, "features": features, "samples": samples}
  return {"name": name, "counts": counts}
