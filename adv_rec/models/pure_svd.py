"""PureSVD: the truncated singular value decomposition as a recommender."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.sparse import PIECE, product, sparse_rows
from adv_rec.types import Params

_MARGIN = 10  # columns sketched beyond twice the factors
_PASSES = 10  # power iterations


def pure_svd(
  users: np.ndarray,
  items: np.ndarray,
  shape: tuple[int, int],
  *,
  dim: int,
  key: jax.Array,
) -> Params:
  """Scores X V V', with V the first D right singular vectors of X.

  Cremonesi, Koren & Turrin 2010, "Performance of recommender algorithms on
  top-n recommendation tasks", for a binary matrix X: a cell met several times
  counts once.

  V comes from a randomised subspace iteration (Halko, Martinsson & Tropp
  2011, arXiv:0909.4061, algorithm 4.4) with twice as many columns as
  factors: a pass shrinks the error of the last factor by about
  (sigma_2D / sigma_D)^2. X is never dense: memory holds a few arrays
  of 2D floats a user and an item.

  Args:
    users: [N] user of each interaction.
    items: [N] item of each interaction.
    shape: (U, I).
    dim: D, the number of factors.
    key: draws the first subspace.

  Returns:
    {"user": X V [U, D], "item": V [I, D]} in float32, as of matrix
    factorisation.

  Raises:
    ValueError: dim is not between 1 and min(U, I).
  """
  if not 1 <= dim <= min(shape):
    raise ValueError(
      f"pure_svd needs dim between 1 and {min(shape)}, the smaller number of"
      f" users and items; got {dim}"
    )
  sketch = min(2 * dim + _MARGIN, min(shape))
  start = jax.random.normal(key, (shape[1], sketch))
  user, item = _decompose(
    sparse_rows(users, items, shape, PIECE * sketch),
    sparse_rows(items, users, (shape[1], shape[0]), PIECE * sketch),
    start,
    shape[0],
    dim,
  )
  return {"user": user, "item": item}


@functools.partial(jax.jit, static_argnames=("n_users", "dim"))
def _decompose(by_user, by_item, start, n_users, dim):
  """(X V [U, D], V [I, D]) from a random [I, S], S >= D."""

  def better(_, basis):
    forth = product(by_user, basis, n_users)
    return jnp.linalg.qr(product(by_item, forth, len(start)))[0]

  with jax.default_matmul_precision("highest"):
    basis = jax.lax.fori_loop(0, _PASSES, better, jnp.linalg.qr(start)[0])
    # X restricted to the subspace is Q R; R is small, S x S.
    _, small = jnp.linalg.qr(product(by_user, basis, n_users))
    right = jnp.linalg.svd(small)[2]
    item = basis @ right[:dim].T
    return product(by_user, item, n_users), item
