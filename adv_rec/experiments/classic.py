"""GANs of behaviour as vectors: config -> experiment."""

from __future__ import annotations

import pathlib

import numpy as np
import scipy.stats

from adv_rec.data import batching, behaviour
from adv_rec.evaluation import generation
from adv_rec.experiments import gan, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config

SOURCES = ("spending", "next_purchases", "habits", "genres", "articles")
_HELD_OUT = 0.2  # of the rows, which the generator never sees
_NEIGHBOURS = 5


def classic_config() -> Config:
  """The default config: Adam as in Radford et al. 2016 (arXiv:1511.06434)."""
  config = gan.gan_config()
  config.experiment = "adv_rec.experiments.classic.vectors"
  config.source = "spending"  # a function of data.behaviour, see SOURCES
  config.beta2 = 0.999
  config.evaluation.samples = 2_000
  return config


def vectors(config: Config, workdir: pathlib.Path) -> Experiment:
  """A GAN of one of `SOURCES`, judged beside rows it has not seen."""
  del workdir
  gan.check(config)
  options.one_of(SOURCES, config, "source")
  data = getattr(behaviour, config.source)(config.data.path or None)
  # The same rows whatever the run's seed: results over seeds are comparable.
  order = np.random.default_rng(0).permutation(len(data.rows))
  held, kept = np.split(order, [int(_HELD_OUT * len(order))])
  condition = data.condition.shape[1]

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([config.seed, epoch])
    rows = rng.permutation(kept)
    made = {"real": data.rows[rows]}
    return made | ({"condition": data.condition[rows]} if condition else {})

  def measure(draw: gan.Draw, rng: np.random.Generator) -> dict[str, float]:
    size = min(config.evaluation.samples, len(held), len(kept))
    rows = rng.choice(held, size, replace=False)
    real = data.rows[rows]
    fake = draw(size, data.condition[rows] if condition else None)
    others = data.rows[rng.choice(kept, size, replace=False)]
    # What two sets of real rows score is the most that can be asked.
    floor = compare(real, others)
    return compare(real, fake) | {
      f"real_{name}": value for name, value in floor.items()
    }

  return gan.vector_gan(
    config,
    {
      "name": data.name,
      "counts": {
        "rows": len(kept),
        "held out": len(held),
        "features": data.rows.shape[1],
        "conditions": condition,
      },
    },
    batching.stream(epoch_rows, len(kept), config.batch_size),
    data.rows.shape[1],
    measure,
    condition=condition,
    bounded=True,
  )


def compare(real: np.ndarray, other: np.ndarray) -> dict[str, float]:
  """How like two sets of vectors [N, D] are.

  Returns:
    What `generation.neighbours` says; "marginal", the Wasserstein-1 distance
    of a column, and "correlation", the absolute difference of the correlation
    of two columns, each the mean over the columns that vary in `real`.
  """
  varied = real.std(axis=0) > 1e-6
  distances = [
    scipy.stats.wasserstein_distance(a, b)
    for a, b in zip(real[:, varied].T, other[:, varied].T, strict=True)
  ]
  result = generation.neighbours(real, other, _NEIGHBOURS)
  result["marginal"] = float(np.mean(distances))
  one, two = (_correlations(x[:, varied]) for x in (real, other))
  result["correlation"] = float(np.abs(one - two).mean())
  return result


def _correlations(x: np.ndarray) -> np.ndarray:
  """[N, D] -> [D, D]; 0 for columns that do not vary."""
  x = x - x.mean(axis=0)
  norm = np.linalg.norm(x, axis=0)
  x = np.divide(x, norm, out=np.zeros_like(x), where=norm > 1e-6)
  return x.T @ x
