"""Matrix factorisation: two tables and the lookups into them."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.types import Batch, Params, Scorer

ROW_MULTIPLE = 128


def padded(rows: int) -> int:
  """Rows a table is given: a multiple of 128, so that any mesh divides it.

  The rows beyond the last id are never read; `scorer` cuts them off. The
  size must not depend on the mesh, or a checkpoint would.
  """
  return -(-rows // ROW_MULTIPLE) * ROW_MULTIPLE


def normal_table(
  key: jax.Array, rows: int, dim: int, scale: float
) -> jax.Array:
  """Normal rows, then zeros: whoever measures norms can tell the padding.

  Returns:
    [padded(rows), dim].
  """
  table = scale * jax.random.normal(key, (padded(rows), dim))
  return table.at[rows:].set(0.0)


class MatrixFactorization(nn.Module):
  """Score = <user row, item row>. Koren, Bell & Volinsky 2009, eq. 1.

  Attributes:
    num_users: U, rows of the table "user".
    num_items: I, rows of the table "item".
    dim: D, the number of factors.
    scale: standard deviation of the initial rows.
  """

  num_users: int
  num_items: int
  dim: int = 64
  scale: float = 0.01

  def setup(self) -> None:
    """Declares the tables."""
    size = self.dim, self.scale
    self.user = self.param("user", normal_table, self.num_users, *size)
    self.item = self.param("item", normal_table, self.num_items, *size)

  def __call__(self, users: jax.Array, items: jax.Array) -> jax.Array:
    """Scores of pairs. [B], [B] -> [B]."""
    return inner(self.user[users], self.item[items])

  def scorer(self, params: Params) -> Scorer:
    """All users against all items, without the padding."""
    return Scorer(
      jax.tree_util.Partial(_take, params["user"]),
      params["item"][: self.num_items],
    )


def with_bias(params: Params) -> dict[str, jax.Array]:
  """Tables with the items' biases as one more factor, 1 for every user.

  Args:
    params: "user" [U, D], "item" [I, D] and "bias" [I].

  Returns:
    "user" [U, D + 1] and "item" [I, D + 1], whose inner products are
    <user row, item row> + bias (Koren, Bell & Volinsky 2009, eq. 4).
  """
  ones = jnp.ones((len(params["user"]), 1))
  return {
    "user": jnp.concatenate([params["user"], ones], axis=1),
    "item": jnp.concatenate([params["item"], params["bias"][:, None]], axis=1),
  }


def multi_hot(items: jax.Array, num_items: int) -> jax.Array:
  """Rows with a 1 at each of their items. [B, L] -> [B, I].

  Args:
    items: ids, padded with ids past the end.
    num_items: I.
  """
  rows = jnp.zeros((items.shape[0], num_items))
  place = jnp.arange(items.shape[0])[:, None]
  return rows.at[place, items].set(1.0, mode="drop")


def inner(x: jax.Array, y: jax.Array) -> jax.Array:
  """Row-wise inner product. [B, D], [B, D] -> [B]."""
  return jnp.sum(x * y, axis=-1)


def _take(table: jax.Array, ids: jax.Array) -> jax.Array:
  return table[ids]


def whole_tables(params: Params, batch: Batch) -> dict[str, jax.Array]:
  """Lookup: the tables themselves, so that a row met twice in a batch is
  moved once, by the summed gradient (He et al. 2018, eq. 8).
  """
  del batch
  return {"user": params["user"], "item": params["item"]}


def batch_rows(tables: Params, batch: Batch) -> dict[str, jax.Array]:
  """Lookup: one row for each member of each triple. {[N, D]} -> {[B, D]}."""
  # One lookup of items, and so one scatter of their gradients, takes little
  # more than half the step of two (XLA on the CPU).
  items = jnp.concatenate([batch["positive"], batch["negative"]])
  positive, negative = jnp.split(tables["item"][items], 2)
  return {
    "user": tables["user"][batch["user"]],
    "positive": positive,
    "negative": negative,
  }
