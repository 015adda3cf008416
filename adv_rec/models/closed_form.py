"""Recommenders that need no training: popularities and EASE."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve

from adv_rec.models.sparse import SparseRows, product, sparse_rows
from adv_rec.types import Params, Scorer


def popularity(items: np.ndarray, num_items: int) -> Params:
  """Training interactions of each item. [N] -> {"counts": [I]}."""
  return {"counts": jnp.zeros(num_items).at[jnp.asarray(items)].add(1.0)}


def popularity_scorer(params: Params) -> Scorer:
  """Every user gets the same ranking, by count."""
  return Scorer(
    jax.tree_util.Partial(
      lambda counts, users: jnp.broadcast_to(
        counts, (users.shape[0], len(counts))
      ),
      params["counts"],
    ),
    None,
  )


def personal_popularity(
  users: np.ndarray, items: np.ndarray, shape: tuple[int, int]
) -> Params:
  """What the user has most often, then what everybody has.

  GP-TopFreq of Li et al. 2023, "A Next Basket Recommendation Reality Check"
  (arXiv:2109.14233): hard to beat where purchases repeat.

  Args:
    users: [N] user of each interaction, repeated ones included.
    items: [N] item of each interaction.
    shape: (U, I).

  Returns:
    {"scores": [I, U]}: counts of the user's own, and as a fraction below 1
    those of everybody.
  """
  everybody = jnp.zeros(shape[1]).at[jnp.asarray(items)].add(1.0)
  own = jnp.zeros(shape[::-1]).at[jnp.asarray(items), jnp.asarray(users)]
  share = everybody / (1.0 + jnp.max(everybody))
  return {"scores": own.add(1.0) + share[:, None]}


def segment_popularity(
  users: np.ndarray,
  items: np.ndarray,
  shape: tuple[int, int],
  segment: np.ndarray,
) -> Params:
  """The most bought items of the users of one's own segment.

  Args:
    users: [N] user of each interaction.
    items: [N] item of each interaction.
    shape: (U, I).
    segment: [U] code of each user's, -1 where unknown: then of everybody.

  Returns:
    {"shares": [S + 1, I] of a segment's interactions, with a little of
    everybody's where its own are alike, "segment": [U]}; the last row is of
    everybody.
  """
  everybody = jnp.zeros(shape[1]).at[jnp.asarray(items)].add(1.0)
  everybody /= jnp.sum(everybody)
  size = int(segment.max(initial=-1)) + 1
  place = np.where(segment < 0, size, segment)
  counts = jnp.zeros((size + 1, shape[1]))
  counts = counts.at[jnp.asarray(place[users]), jnp.asarray(items)].add(1.0)
  shares = counts / jnp.maximum(jnp.sum(counts, axis=1, keepdims=True), 1.0)
  shares = shares.at[size].set(everybody) + 1e-3 * everybody
  return {"shares": shares, "segment": jnp.asarray(place)}


def segment_popularity_scorer(params: Params) -> Scorer:
  """The ranking of the user's segment."""
  return Scorer(
    jax.tree_util.Partial(
      lambda shares, segment, users: shares[segment[users]],
      params["shares"],
      params["segment"],
    ),
    None,
  )


def ease(
  users: np.ndarray, items: np.ndarray, shape: tuple[int, int], l2: float
) -> Params:
  """The closed-form item-item model of Steck 2019 (arXiv:1905.03375).

  Eq. 8: B = I - P diag(1 / P_ii) with P = (X'X + l2 I)^-1, scores X B. With
  fewer users than items the same scores come from the smaller system: by the
  Woodbury identity P = (I - X'K X) / l2 with K = (X X' + l2 I)^-1, hence

    score_ui = x_ui - l2 (K X)_ui / d_i,   d_i = l2 P_ii = 1 - x_i' K x_i,

  so that min(U, I)^2 numbers are factorised, and B is never formed. Memory:
  beside the scores about as much again, and three such squares.

  Args:
    users: [N] user of each interaction.
    items: [N] item of each interaction.
    shape: (U, I).
    l2: the ridge penalty.

  Returns:
    {"scores": [I, U]} in float32: all of them, since that is fewer numbers
    than whatever they could be computed from.

  Raises:
    ValueError: l2 is not positive.
  """
  if l2 <= 0:
    raise ValueError(f"ease needs l2 > 0, got {l2}; try 100 to 2000")
  solve = _ease_by_users if shape[0] < shape[1] else _ease_by_items
  by_user = sparse_rows(users, items, shape, min(shape))
  by_item = sparse_rows(items, users, (shape[1], shape[0]), min(shape))
  return {"scores": solve(by_user, by_item, shape, l2)}


def fitted_scorer(params: Params) -> Scorer:
  """Scores [I, U] that are known: users must have been fitted on."""
  return Scorer(
    jax.tree_util.Partial(
      lambda scores, users: scores[:, users].T, params["scores"]
    ),
    None,
  )


@functools.partial(jax.jit, static_argnames=("shape", "l2"))
def _ease_by_users(by_user, by_item, shape, l2):
  """Scores [I, U] by the U x U system."""
  x = _dense(by_item, shape)
  k = _inverse(product(by_user, x, shape[0]), l2)
  kx = product(by_item, k, shape[1])
  d = 1.0 - jnp.sum(x * kx, axis=1, keepdims=True)
  return x - l2 * kx / d


@functools.partial(jax.jit, static_argnames=("shape", "l2"))
def _ease_by_items(by_user, by_item, shape, l2):
  """Scores [I, U] by the I x I system."""
  x = _dense(by_user, shape[::-1])
  p = _inverse(product(by_item, x, shape[1]), l2)
  b = (jnp.eye(len(p)) - p / jnp.diagonal(p)) * (1.0 - jnp.eye(len(p)))
  return product(by_user, b, shape[0]).T


def _dense(matrix: SparseRows, shape: tuple[int, int]) -> jax.Array:
  """The matrix [I, U] whose rows, of the shape's second size, are given."""
  rows = jnp.take_along_axis(
    jnp.pad(matrix.rows, ((0, 0), (0, 1)), constant_values=shape[1]),
    matrix.owner,
    axis=1,
  )
  ones = jnp.zeros(shape[::-1]).at[rows[..., None], matrix.columns]
  return ones.set(1.0, mode="drop")


def _inverse(gram: jax.Array, l2: float) -> jax.Array:
  """(gram + l2 I)^-1."""
  eye = jnp.eye(len(gram))
  return cho_solve(cho_factor(gram + l2 * eye, lower=True), eye)
