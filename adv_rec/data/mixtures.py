"""Mixtures of Gaussians whose modes are known: what a GAN may fail to cover."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Mixture(NamedTuple):
  """Equally likely Gaussians, alike in all directions.

  Attributes:
    centers: [K, D] float32.
    std: standard deviation of each coordinate about a center.
  """

  centers: np.ndarray
  std: float


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
  """Gaussians on a square grid about the origin, by default 25 of them.

  The 2D-grid of Srivastava et al. 2017 (arXiv:1705.07761) and Lin et al. 2018
  (arXiv:1712.04086): centers at -4, -2, 0, 2, 4 in both coordinates.

  Args:
    side: K = side^2.
    spacing: between neighbours.
    std: of each Gaussian.
  """
  ticks = spacing * (np.arange(side) - (side - 1) / 2)
  x, y = np.meshgrid(ticks, ticks, indexing="ij")
  centers = np.stack([x.ravel(), y.ravel()], axis=1)
  return Mixture(centers.astype(np.float32), std)


def sample(mixture: Mixture, num: int, rng: np.random.Generator) -> np.ndarray:
  """Independent draws. -> [num, D] float32."""
  mode = rng.integers(len(mixture.centers), size=num)
  shape = (num, mixture.centers.shape[1])
  noise = rng.standard_normal(shape, dtype=np.float32)
  return mixture.centers[mode] + np.float32(mixture.std) * noise
