"""Rows of categories through a random layer that nobody trains.

Rahimi & Recht 2007 (NIPS, "Random features for large-scale kernel machines"):
cosines of random projections, whose inner products are a Gaussian kernel of the
rows. Whoever learns a linear layer of them knows of several columns together.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.tabular import Layout

_ROWS = 8192  # by which features are made alike
_RIDGE = 0.1  # of their mean variance


def random_features(
  layout: Layout, chances: np.ndarray, num: int, scale: float
) -> Callable[[jax.Array], jax.Array]:
  """A function of rows: codes [B, K] int, or vectors [B, C] -> [B, num].

  Features have the mean 0 and are uncorrelated, of variance 1 at most, in rows
  whose columns are independent: what they show is how columns go together.

  Args:
    layout: of the rows, all of them categories.
    chances: [C], of the cells within each column.
    num: of the features.
    scale: of the projections; the greater, the more columns go together.

  Raises:
    ValueError: the rows have numbers.
  """
  if layout.numbers:
    raise ValueError("rows have numbers, and these features are of categories")
  rng = np.random.default_rng(0)
  first = np.cumsum([0, *layout.sizes[:-1]])
  project = rng.normal(size=(layout.cells, num))
  project *= scale / np.sqrt(len(layout.sizes))
  shift = rng.uniform(0, 2 * np.pi, num)
  codes = [
    rng.choice(size, _ROWS, p=p / p.sum())
    for size, p in zip(
      layout.sizes, np.split(np.asarray(chances, float), first[1:]), strict=True
    )
  ]
  drawn = np.cos(project[np.stack(codes, axis=1) + first].sum(axis=1) + shift)
  mean = drawn.mean(axis=0)
  values, vectors = np.linalg.eigh(np.cov(drawn.T))
  white = vectors / np.sqrt(values + _RIDGE * values.mean()) @ vectors.T
  project, shift, mean, white = (
    jnp.asarray(x, jnp.float32) for x in (project, shift, mean, white)
  )

  def features(rows: jax.Array) -> jax.Array:
    if jnp.issubdtype(rows.dtype, jnp.integer):  # as one-hot, much faster
      found = jnp.sum(project[rows + first], axis=1)
    else:
      found = rows @ project
    return (jnp.cos(found + shift) - mean) @ white

  return features
