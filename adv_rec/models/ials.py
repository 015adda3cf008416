"""Implicit alternating least squares: matrix factorisation, one side at a time.

Hu, Koren & Volinsky 2008, "Collaborative Filtering for Implicit Feedback
Datasets", in the form of Rendle et al. 2022, "Revisiting the Performance of
iALS on Item Recommendation Benchmarks" (arXiv:2110.14037), eq. 3:

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

from adv_rec.types import Params

_FLOATS_AT_ONCE = 1 << 22  # of the largest temporary array, 16 MiB
_SHORTEST = 16  # histories below it are filled up: fewer shapes to compile


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


class Block(NamedTuple):
  """Rows whose histories have similar lengths, B of them solved at once.

  Attributes:
    rows: [N, B] int32 row ids; past the last row where there is none.
    columns: [N, B, L] int32 observed columns; past the last where they end.
  """

  rows: np.ndarray
  columns: np.ndarray


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

  A cell met several times counts once. Beside tables and data, memory holds
  16 MiB arrays (one D x D system, or one history of D floats an item, where
  that is more). Users and items without interactions get zero rows.

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
    blocks(users, items, shape, dim),
    blocks(items, users, shape[::-1], dim),
    0.1 / dim**0.5 * jax.random.normal(key, (shape[1], dim)),
    shape[0],
    epochs,
    objective,
  )
  return {"user": user, "item": item}


def blocks(
  rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], dim: int
) -> list[Block]:
  """Sorts the rows that have observed cells by length, on the host.

  Lengths are rounded up to powers of two, so that a matrix has a dozen shapes
  and less than half of the work is filling.

  Args:
    rows: [N] row of each observed cell.
    columns: [N] column of each observed cell.
    shape: (number of rows, number of columns).
    dim: D; a block makes arrays [B, L, D] and [B, D, D].
  """
  cells = np.unique(np.asarray(rows, np.int64) * shape[1] + columns)
  rows, columns = np.divmod(cells, shape[1])
  lengths = np.bincount(rows, minlength=shape[0])
  starts = np.cumsum(lengths) - lengths
  place = np.arange(len(rows)) - starts[rows]
  capacity = np.maximum(_SHORTEST, 2 ** np.ceil(np.log2(lengths.clip(1))))
  capacity = capacity.astype(np.int64) * (lengths > 0)
  result = []
  for length in np.unique(capacity[capacity > 0]):
    length = int(length)
    members = np.flatnonzero(capacity == length)
    at_once = max(_FLOATS_AT_ONCE // (max(length, dim) * dim), 1)
    n = -(-len(members) // at_once)
    size = -(-len(members) // n)
    ids = np.full(n * size, shape[0], np.int32)
    ids[: len(members)] = members
    slots = np.zeros(shape[0], np.int64)
    slots[members] = np.arange(len(members))
    inside = capacity[rows] == length
    filled = np.full((n * size, length), shape[1], np.int32)
    filled[slots[rows[inside]], place[inside]] = columns[inside]
    result.append(
      Block(ids.reshape(n, size), filled.reshape(n, size, length))
    )
  return result


@functools.partial(jax.jit, static_argnames="n_rows")
def solve(
  fixed: jax.Array, observed: list[Block], n_rows: int, objective: Objective
) -> jax.Array:
  """The rows that minimise L while the other side is fixed.

  For a row with observed columns J, w = A^-1 sum_J h_j where
  A = sum_J h_j h_j' + alpha0 H'H + l2 (|J| + alpha0 M)^nu I.

  Args:
    fixed: [M, D] table H of the other side.
    observed: of this side, from `blocks`.
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

    def solve_block(columns):
      known = padded[columns]
      count = jnp.sum(columns < size, axis=1)
      ridge = l2 * (count + weight * size) ** exponent
      system = jnp.einsum("bld,ble->bde", known, known) + everywhere
      system += ridge[:, None, None] * jnp.eye(dim)
      factor = jnp.linalg.cholesky(system)
      right = jnp.sum(known, axis=1)
      return cho_solve((factor, True), right[..., None])[..., 0]

    table = jnp.zeros((n_rows, dim), fixed.dtype)
    for block in observed:
      solved = jax.lax.map(solve_block, jnp.asarray(block.columns))
      table = table.at[block.rows].set(solved, mode="drop")
  return table


@functools.partial(jax.jit, static_argnames=("n_users", "epochs"))
def _alternate(by_user, by_item, item, n_users, epochs, objective):
  """Epochs of `solve` for users, then items, from an item table [I, D]."""

  def epoch(_, tables):
    user = solve(tables[1], by_user, n_users, objective)
    return user, solve(user, by_item, len(item), objective)

  user = jnp.zeros((n_users, item.shape[1]))
  return jax.lax.fori_loop(0, epochs, epoch, (user, item))
