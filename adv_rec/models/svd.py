"""Truncated singular value decompositions as recommenders."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.sparse import (
  PIECE,
  SparseRows,
  product,
  sparse_rows,
  sum_by_row,
)
from adv_rec.types import Params

_MARGIN = 10  # columns sketched beyond the factors, at least


class Spectrum(NamedTuple):
  """How `svd` weighs cells and factors; PureSVD as it stands.

  Attributes:
    user_exponent: a: cells are divided by (items of their user)^a.
    item_exponent: b: and by (users of their item)^b.
    l2: shrinks a factor of singular value s by s^2 / (s^2 + l2).
  """

  user_exponent: float = 0.0
  item_exponent: float = 0.0
  l2: float = 0.0


def svd(
  users: np.ndarray,
  items: np.ndarray,
  shape: tuple[int, int],
  spectrum: Spectrum = Spectrum(),  # noqa: B008, a tuple of constants
  *,
  dim: int,
  key: jax.Array,
  sketch: float = 2.0,
  passes: int = 10,
) -> Params:
  """The best approximation of X of rank D, in a norm that spares the popular.

  With n_u and n_i the cells of rows and columns of the binary matrix X,
  Y = diag(n_u^-a) X diag(n_i^-b) and its largest singular triplets U, s, V,
  the scores are

    diag(n_u^a) U diag(s^3 / (s^2 + l2)) V' diag(n_i^b).

  - a = b = l2 = 0 is PureSVD (Cremonesi, Koren & Turrin 2010, "Performance of
    recommender algorithms on top-n recommendation tasks"), X V V'.
  - l2 > 0 is the ridge regression of Y on itself in D factors (Jin et al.
    2021, "Towards a better understanding of linear models for recommendation",
    arXiv:2105.12937), a low-rank EASE with a free diagonal.
  - a = b = 1/2 is the ideal low-pass filter of the graph of users and items
    (Shen et al. 2021, "How powerful is graph convolution for
    recommendation?", arXiv:2108.07567).

  V comes from a randomised subspace iteration (Halko, Martinsson & Tropp
  2011, arXiv:0909.4061, algorithm 4.4): a pass shrinks the error of the last
  factor by about (s_S / s_D)^2, S the columns of the sketch. X is never dense:
  memory holds a few arrays of S floats a user and an item.

  Args:
    users: [N] user of each interaction; a cell met several times counts once.
    items: [N] item of each interaction.
    shape: (U, I).
    spectrum: a, b and l2.
    dim: D, the number of factors.
    key: draws the first subspace.
    sketch: columns of the sketch beyond ten, in units of D.
    passes: products with X'X that refine the subspace.

  Returns:
    {"user": [U, D], "item": [I, D]} in float32, as of matrix factorisation.

  Raises:
    ValueError: dim is not between 1 and min(U, I), l2 is negative, sketch or
      passes is less than 1.
  """
  if not 1 <= dim <= min(shape):
    raise ValueError(
      f"svd needs dim between 1 and {min(shape)}, the smaller number of"
      f" users and items; got {dim}"
    )
  if spectrum.l2 < 0:
    raise ValueError(f"svd needs l2 >= 0, got {spectrum.l2}")
  for name, number in (("sketch", sketch), ("passes", passes)):
    if number < 1:
      raise ValueError(f"svd needs {name} >= 1, got {number}")
  columns = min(int(sketch * dim) + _MARGIN, min(shape))
  by_user = sparse_rows(users, items, shape, PIECE * columns)
  by_item = sparse_rows(items, users, (shape[1], shape[0]), PIECE * columns)
  # The iteration orthogonalises the basis of the fewer rows: that is quicker.
  flip = -1 if shape[0] < shape[1] else 1
  left, values, right = _triplets(
    (by_user, by_item)[::flip],
    (spectrum.user_exponent, spectrum.item_exponent)[::flip],
    shape[::flip],
    jax.random.normal(key, (min(shape), columns)),
    passes,
  )
  u, v = (left, right)[::flip]
  u, v, s = u[:, :dim], v[:, :dim], values[:dim]
  kept = jnp.square(s) / jnp.where(s > 0, jnp.square(s) + spectrum.l2, 1.0)
  return {"user": u * s, "item": v * kept}


@functools.partial(jax.jit, static_argnames=("shape", "passes"))
def _triplets(matrices, exponents, shape, start, passes):
  """Scaled singular vectors and values of Y [M, N]; N is not the larger.

  Args:
    matrices: X and X'.
    exponents: of the sizes of the rows and the columns of X.
    shape: (M, N).
    start: [N, S] random.
    passes: of the iteration.

  Returns:
    (diag(n^a) U [M, S], s [S], diag(n^b) V [N, S]).
  """
  rows, columns = (
    _sizes(matrix, *size) ** exponent
    for matrix, size, exponent in zip(
      matrices, (shape, shape[::-1]), exponents, strict=True
    )
  )

  def forth(basis):
    return product(matrices[0], basis / columns, shape[0]) / rows

  def better(_, basis):
    back = product(matrices[1], forth(basis) / rows, shape[1]) / columns
    return jnp.linalg.qr(back)[0]

  with jax.default_matmul_precision("highest"):
    basis = jax.lax.fori_loop(0, passes, better, jnp.linalg.qr(start)[0])
    # Y restricted to the subspace is Q R; R is small, S x S.
    q, r = jnp.linalg.qr(forth(basis))
    left, values, right = jnp.linalg.svd(r)
    return q @ left * rows, values, basis @ right.T * columns


def _sizes(matrix: SparseRows, n_rows: int, n_columns: int) -> jax.Array:
  """Cells of each row, at least 1. -> [n_rows, 1]."""

  def of_block(rows, columns, owner):
    return sum_by_row(jnp.sum(columns < n_columns, axis=1), owner, len(rows))

  counts = jax.vmap(of_block)(*matrix)
  sizes = jnp.ones(n_rows).at[matrix.rows].set(counts, mode="drop")
  return jnp.maximum(sizes, 1.0)[:, None]
