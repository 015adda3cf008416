"""Implicit alternating least squares: matrix factorisation, one side at a time.

Hu, Koren & Volinsky 2008, "Collaborative Filtering for Implicit Feedback
Datasets", in the form of Rendle et al. 2022, "Revisiting the Performance of
iALS on Item Recommendation Benchmarks" (arXiv:2110.14037):

  L(W, H) = sum over observed (u, i) of (w_u . h_i - 1)^2
    + alpha0 * sum over all u, i of (w_u . h_i)^2
    + l2 * sum_u (n_u + alpha0 I)^nu |w_u|^2
    + l2 * sum_i (n_i + alpha0 U)^nu |h_i|^2

with n_u and n_i the observed cells of a row and of a column. For fixed H each
w_u is the solution of a D x D system, and the other way round.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from adv_rec.models.sparse import SparseRows, sparse_rows, sum_by_row
from adv_rec.types import Params


class Objective(NamedTuple):
  """The constants of L.

  Attributes:
    unobserved_weight: alpha0 > 0.
    l2: the strength of the penalty, > 0.
    exponent: nu; 0 penalises all rows alike, 1 in proportion to their weight.
  """

  unobserved_weight: float
  l2: float
  exponent: float = 1.0


def ials(
  users: np.ndarray,
  items: np.ndarray,
  shape: tuple[int, int],
  objective: Objective,
  *,
  dim: int,
  epochs: int,
  key: jax.Array,
) -> Params:
  """Minimises L by turns over users and items, exactly in each turn.

  A cell met several times counts once. Users and items without interactions
  get zero rows. Beside tables and data, memory holds the systems of one block
  of rows, a few arrays of 4 MiB or of n D^2 / 8 bytes, n the longest history.

  Args:
    users: [N] user of each interaction.
    items: [N] item of each interaction.
    shape: (U, I).
    objective: the constants of L.
    dim: D, the number of factors.
    epochs: turns of each side.
    key: draws the first item table, normal with deviation 0.1 / sqrt(D).

  Returns:
    {"user": [U, D], "item": [I, D]} in float32, as of matrix factorisation.

  Raises:
    ValueError: unobserved_weight or l2 is not positive, or dim or epochs is
      less than 1.
  """
  for name in ("unobserved_weight", "l2"):
    if (value := getattr(objective, name)) <= 0:
      raise ValueError(f"ials needs {name} > 0, got {value}; try 0.1")
  for name, number in (("dim", dim), ("epochs", epochs)):
    if number < 1:
      raise ValueError(f"ials needs {name} >= 1, got {number}; try 32")
  user, item = _alternate(
    sparse_rows(users, items, shape, dim * dim),
    sparse_rows(items, users, (shape[1], shape[0]), dim * dim),
    0.1 / dim**0.5 * jax.random.normal(key, (shape[1], dim)),
    shape[0],
    epochs,
    objective,
  )
  return {"user": user, "item": item}


@functools.partial(jax.jit, static_argnames="n_rows")
def solve(
  fixed: jax.Array, observed: SparseRows, n_rows: int, objective: Objective
) -> jax.Array:
  """The rows that minimise L while the other side is fixed.

  For a row with observed columns J, w = A^-1 sum_J h_j where
  A = sum_J h_j h_j' + alpha0 H'H + l2 (|J| + alpha0 M)^nu I.

  Args:
    fixed: [M, D] table H of the other side.
    observed: the cells of this side, from `sparse_rows`.
    n_rows: rows of this side.
    objective: the constants of L.

  Returns:
    [n_rows, D].
  """
  size, dim = fixed.shape
  weight, l2, exponent = objective
  # TensorFloat-32 products, the default on some GPUs, would spoil the systems.
  with jax.default_matmul_precision("highest"):
    everywhere = weight * fixed.T @ fixed
    padded = jnp.concatenate([fixed, jnp.zeros((1, dim), fixed.dtype)])

    # `lax.map` runs one block after the other. It must: batched Cholesky
    # factorisations that run at the same time can wait for each other for ever
    # on the CPU, as each holds a thread of the pool it needs (jaxlib 0.10.2).
    def solve_block(block):
      rows, columns, owner = block
      known = padded[columns]

      def by_row(x):
        return sum_by_row(x, owner, len(rows))

      count = by_row(jnp.sum(columns < size, axis=1))
      ridge = l2 * (count + weight * size) ** exponent
      system = by_row(jnp.einsum("pld,ple->pde", known, known)) + everywhere
      system += ridge[:, None, None] * jnp.eye(dim)
      factor = jnp.linalg.cholesky(system)
      right = by_row(jnp.sum(known, axis=1))
      return cho_solve((factor, True), right[..., None])[..., 0]

    solved = jax.lax.map(solve_block, observed)
    table = jnp.zeros((n_rows, dim), fixed.dtype)
    return table.at[observed.rows].set(solved, mode="drop")


@functools.partial(jax.jit, static_argnames=("n_users", "epochs"))
def _alternate(by_user, by_item, item, n_users, epochs, objective):
  """Epochs of `solve` for users, then items, from an item table [I, D]."""

  def epoch(_, tables):
    user = solve(tables[1], by_user, n_users, objective)
    return user, solve(user, by_item, len(item), objective)

  user = jnp.zeros((n_users, item.shape[1]))
  return jax.lax.fori_loop(0, epochs, epoch, (user, item))
