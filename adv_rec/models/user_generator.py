"""What a new user is like, generated from its first few items."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.recommenders import inner
from adv_rec.models.svd import Spectrum, svd
from adv_rec.types import Params, Scorer

_DRAWS = 16  # of the noise, whose mean answer is the score


def item_factors(
  users: np.ndarray,
  items: np.ndarray,
  shape: tuple[int, int],
  spectrum: Spectrum,
  *,
  dim: int,
  key: jax.Array,
) -> Params:
  """Ridge SVD as a fixed basis: what items say of a user, and of each other.

  The scores of `models.svd.svd` are those of an item-item model, sum_j <a_j,
  b_i> over the items j of a user, with a_j = n_j^-e v_j f and b_i = n_i^e v_i.

  Args:
    users: [N] user of each interaction.
    items: [N] item of each interaction.
    shape: (U, I).
    spectrum: exponents and penalty of the decomposition.
    dim: D.
    key: draws its first subspace.

  Returns:
    {"enter": [I, D] a, "leave": [I, D] b, "share": [I] of the users who have
    the item}, a and b with rows of norm 1 on average.
  """
  factors = svd(users, items, shape, spectrum, dim=dim, key=key)
  counts = jnp.zeros(shape[1]).at[jnp.asarray(items)].add(1.0)
  popular = jnp.maximum(counts, 1.0)[:, None] ** spectrum.item_exponent
  shrunk = factors["item"] / popular  # v f, and |v| = 1
  kept = jnp.sqrt(jnp.sum(jnp.square(shrunk), axis=0))
  enter, leave = shrunk / popular, factors["item"] / kept
  return {
    "enter": enter / jnp.mean(_norm(enter)),
    "leave": leave / jnp.mean(_norm(leave)),
    "share": counts / shape[0],
  }


class UserGenerator(nn.Module):
  """Some items, and noise -> a query for the scores of all items.

  The query is s_k z + g(z / sqrt(k), ln k, noise), z the sum of the k items'
  rows: the answer of the closed form, shrunk by a number that is learned for
  each k, and what a perceptron adds to it. Its last entry multiplies the
  popularity, with which the scores begin.

  Attributes:
    features: D.
    latent: Z, width of the noise.
    hidden: widths of the hidden layers.
    dropout: share of the hidden units that training leaves out.
    most: the largest k that has a number of its own.
  """

  features: int
  latent: int = 8
  hidden: tuple[int, ...] = (64,)
  dropout: float = 0.3
  most: int = 10

  @nn.compact
  def __call__(
    self,
    total: jax.Array,
    size: jax.Array,
    noise: jax.Array,
    train: bool = False,
  ) -> jax.Array:
    """Queries.

    Args:
      total: z [B, D].
      size: k [B] int.
      noise: [B, Z].
      train: whether to drop units (rng "dropout").

    Returns:
      [B, D + 1].
    """
    per_size = self.most + 1
    shrink = self.param("shrink", nn.initializers.zeros, (per_size,))
    popularity = self.param("popularity", nn.initializers.ones, (per_size,))
    k = jnp.clip(size, 1, self.most)
    x = total / jnp.sqrt(k)[:, None]
    x = jnp.concatenate([x, jnp.log(k)[:, None], noise], axis=1)
    for width in self.hidden:
      x = jnp.tanh(nn.Dense(width)(x))
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
    more = 0.1 * nn.Dense(
      self.features, kernel_init=nn.initializers.normal(0.01)
    )(x)
    return jnp.concatenate(
      [shrink[k][:, None] * total + more, popularity[k][:, None]], axis=1
    )


def entered(enter: jax.Array, known: jax.Array) -> jax.Array:
  """Rows of some items. [I, D], [B, K] padded past the end -> [B, K, D]."""
  return enter.at[known].get(mode="fill", fill_value=0.0)


def keys(factors: Params) -> jax.Array:
  """[I, D + 1]: <query, key> is the score."""
  return jnp.concatenate([factors["leave"], factors["share"][:, None]], axis=1)


def answers(factors: Params, rows: jax.Array) -> jax.Array:
  """The queries [B, D] that answer whole histories [B, I] in least squares."""
  leave = factors["leave"]
  rest = (rows - factors["share"]) @ leave
  gram = leave.T @ leave + 1e-3 * jnp.eye(leave.shape[1])
  return jnp.linalg.solve(gram, rest.T).T


def scorer(
  model: UserGenerator, factors: Params, params: Params, known: jax.Array
) -> Scorer:
  """Of all items, by the mean query over draws of the noise.

  Args:
    model: the generator.
    factors: from `item_factors`.
    params: of the model.
    known: [U, K] the first items of each user, padded past the end.
  """
  num_items = len(factors["share"])

  def queries(factors, params, known, users):
    chosen = known[users]
    total = jnp.sum(entered(factors["enter"], chosen), axis=1)
    size = jnp.sum(chosen < num_items, axis=1)

    def draw(key):
      # One draw for everybody: a user's list does not depend on its block.
      noise = jax.random.normal(key, (model.latent,))
      noise = jnp.broadcast_to(noise, (len(users), model.latent))
      made: Any = model.apply({"params": params}, total, size, noise)
      return made

    draws = jax.random.split(jax.random.key(0), _DRAWS)
    return jnp.mean(jax.vmap(draw)(draws), axis=0)

  return Scorer(
    jax.tree_util.Partial(queries, factors, params, known), keys(factors)
  )


def _norm(x: jax.Array) -> jax.Array:
  return jnp.sqrt(inner(x, x))
