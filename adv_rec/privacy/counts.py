"""Noisy counts: what is bought once of the data, before training."""

from __future__ import annotations

import math

import numpy as np

from adv_rec.privacy import secret


def noisy(
  codes: np.ndarray,
  sizes: tuple[int, ...],
  noise_multiplier: float,
  own: bytes,
) -> np.ndarray:
  """How often each cell of each block occurs, with Gaussian noise.

  A row is in one cell of each of the K blocks, so that leaving it out moves the
  counts by sqrt(K) in L2 norm: one Gaussian mechanism, of all blocks together.
  Counts below 0 become 0, and a block without any count has cells alike.

  Args:
    codes: [N, K], the cell of each row in each block.
    sizes: cells of each block; C in all.
    noise_multiplier: of `accounting.Gaussian`, above 0.
    own: the secret that the noise is drawn from.

  Returns:
    [C].
  """
  rng = secret.generator(own, b"counts")
  first = np.cumsum([0, *sizes[:-1]])
  cells = (codes + first).ravel()
  exact = np.bincount(cells, minlength=sum(sizes)).astype(np.float64)
  scale = noise_multiplier * math.sqrt(len(sizes))
  found = np.maximum(exact + scale * rng.normal(size=len(exact)), 0.0)
  block = np.repeat(np.arange(len(sizes)), sizes)
  empty = np.bincount(block, found) == 0
  return np.where(empty[block], 1.0, found)
