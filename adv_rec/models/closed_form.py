"""Recommenders that need no training: popularity and EASE."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve

from adv_rec.types import Params, Scorer


def popularity(items: np.ndarray, num_items: int) -> Params:
  """Training interactions of each item. [N] -> {"counts": [I]}."""
  return {"counts": jnp.zeros(num_items).at[jnp.asarray(items)].add(1.0)}


def popularity_scorer(params: Params) -> Scorer:
  """Every user gets the same ranking, by count."""
  return Scorer(
    jax.tree_util.Partial(lambda users: jnp.ones((users.shape[0], 1))),
    params["counts"][:, None],
  )


def ease(
  users: np.ndarray, items: np.ndarray, shape: tuple[int, int], l2: float
) -> Params:
  """The closed-form item-item model of Steck 2019 (arXiv:1905.03375).

  Eq. 8: B = I - P diag(1 / P_ii) with P = (X'X + l2 I)^-1, scores X B. With
  fewer users than items the same scores come from the smaller system: by the
  Woodbury identity P = (I - X'K X) / l2 with K = (X X' + l2 I)^-1, hence

    score_ui = x_ui - l2 (K X)_ui / d_i,   d_i = l2 P_ii = 1 - x_i' K x_i,

  so that min(U, I)^2 numbers are factorised, and B is never formed.

  Args:
    users: [N] user of each interaction.
    items: [N] item of each interaction.
    shape: (U, I).
    l2: the ridge penalty.

  Returns:
    {"queries": [U, D], "keys": [I, D]} in float32 with D = 2U or I.

  Raises:
    ValueError: l2 is not positive.
  """
  if l2 <= 0:
    raise ValueError(f"ease needs l2 > 0, got {l2}; try 100 to 2000")
  history = np.zeros(shape, np.float32)
  history[users, items] = 1.0
  solve = _ease_by_users if shape[0] < shape[1] else _ease_by_items
  queries, keys = solve(jnp.asarray(history), l2)
  return {"queries": queries, "keys": keys}


def ease_scorer(params: Params) -> Scorer:
  """Scores of the users the model was fitted on."""
  return Scorer(
    jax.tree_util.Partial(lambda q, users: q[users], params["queries"]),
    params["keys"],
  )


@functools.partial(jax.jit, static_argnums=1)
def _ease_by_users(x: jax.Array, l2: float) -> tuple[jax.Array, jax.Array]:
  """Queries [U, 2U] and keys [I, 2U] by the U x U system."""
  eye = jnp.eye(x.shape[0])
  k = cho_solve(cho_factor(x @ x.T + l2 * eye, lower=True), eye)
  d = 1.0 - jnp.sum(x * (k @ x), axis=0)
  return (
    jnp.concatenate([-l2 * k, eye], axis=1),
    jnp.concatenate([x / d, x], axis=0).T,
  )


@functools.partial(jax.jit, static_argnums=1)
def _ease_by_items(x: jax.Array, l2: float) -> tuple[jax.Array, jax.Array]:
  """Queries [U, I] and keys B' [I, I] by the I x I system."""
  eye = jnp.eye(x.shape[1])
  p = cho_solve(cho_factor(x.T @ x + l2 * eye, lower=True), eye)
  b = eye - p / jnp.diagonal(p)
  return x, (b * (1.0 - eye)).T
