"""Networks that make keys of items of their content, and judge such keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.models.content import ContentModel, bag, bag_in_blocks
from adv_rec.models.gan import Discriminator
from adv_rec.types import Params

_ITEMS_AT_ONCE = 1024


class ItemGenerator(nn.Module):
  """The content of an item and noise -> the key of an item.

  Attributes:
    num_features: F.
    features: D, width of a key.
    latent: Z, width of the noise; 0 for none.
    hidden: width of the sum of the features' rows.
    layers: residual layers after it.
    feature_dropout: share of an item's features that training leaves out.
    dropout: of the hidden units, likewise.
  """

  num_features: int
  features: int
  latent: int = 0
  hidden: int = 256
  layers: int = 0
  feature_dropout: float = 0.0
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self,
    content: jax.Array,
    noise: jax.Array | None = None,
    beside: jax.Array | None = None,
    train: bool = False,
  ) -> jax.Array:
    """Keys.

    Args:
      content: [B, L] numbers of features, filled up with F.
      noise: [B, Z]; None for none.
      beside: [B, C] what else is known of the items; None for nothing.
      train: whether to leave out features and units (rng "dropout").

    Returns:
      [B, D].
    """
    table = self.param(
      "table",
      nn.initializers.normal(0.1),
      (self.num_features, self.hidden),
    )
    if train and self.feature_dropout:
      kept = 1.0 - self.feature_dropout
      there = jax.random.bernoulli(
        self.make_rng("dropout"), kept, content.shape
      )
      content = jnp.where(there, content, self.num_features)
      table = table / kept
    x = bag(table, content)
    if noise is not None and noise.shape[1]:
      x = x + nn.Dense(self.hidden, use_bias=False, name="noise")(noise)
    if beside is not None:
      x = x + nn.Dense(self.hidden, use_bias=False, name="beside")(beside)
    x = x + self.param("bias", nn.initializers.zeros, (self.hidden,))
    drop = nn.Dropout(self.dropout, deterministic=not train)
    x = drop(nn.relu(x))
    for n in range(self.layers):
      x = x + drop(nn.relu(nn.Dense(self.hidden, name=f"layer_{n}")(x)))
    return nn.Dense(self.features, name="key")(x)


class PairCritic(nn.Module):
  """Whether a key belongs to an item of such content -> logits.

  Attributes:
    num_features: F.
    hidden: widths of the hidden layers; the first is that of the content too.
  """

  num_features: int
  hidden: tuple[int, ...] = (128, 128)

  @nn.compact
  def __call__(self, keys: jax.Array, content: jax.Array) -> jax.Array:
    """[B, D], [B, L] -> [B]."""
    table = self.param(
      "table",
      nn.initializers.normal(0.1),
      (self.num_features, self.hidden[0]),
    )
    return Discriminator(self.hidden)(keys, bag(table, content))


def averaged(
  generator: ItemGenerator,
  params: Params,
  content: jax.Array,
  draws: int,
  seed: int = 0,
) -> jax.Array:
  """The mean key over draws of the noise. [n, L] -> [n, D].

  Scores are linear in keys, so that this is the mean score. Each draw takes
  one noise for all items: a key depends on the item's content alone, not on
  what it is asked for with.

  Args:
    generator: the network; without noise one draw is all.
    params: of the generator.
    content: of the items.
    draws: of the noise, at least 1.
    seed: of the draws.
  """
  content = jnp.asarray(content)
  count = draws if generator.latent else 1
  noises = jax.random.normal(jax.random.key(seed), (count, generator.latent))

  def keys_of(block):
    def one(noise):
      noise = jnp.broadcast_to(noise, (len(block), generator.latent))
      made: Any = generator.apply({"params": params}, block, noise)
      return made

    return jnp.mean(jax.lax.map(one, noises), axis=0)

  size = min(_ITEMS_AT_ONCE, len(content))
  missing = -len(content) % size
  padded = jnp.pad(content, ((0, missing), (0, 0)), mode="edge")
  made = jax.lax.map(keys_of, padded.reshape(-1, size, content.shape[1]))
  return made.reshape(-1, generator.features)[: len(content)]


def with_ones(user: jax.Array) -> jax.Array:
  """Queries whose last factor meets the bias of a key. [U, D] -> [U, D + 1]."""
  return jnp.concatenate([user, jnp.ones((len(user), 1))], axis=1)


def generated_items(
  generator: ItemGenerator,
  draws: int,
  closed_form: Callable[[], jax.Array] | None = None,
  share: float = 1.0,
) -> ContentModel:
  """The mean of M generators: "net", and "user" [M, U, D - 1].

  Args:
    generator: the network; its parameters have a leading axis of M.
    draws: of the noise, see `averaged`.
    closed_form: () -> weights [F, U] of a linear map from features to scores,
      which are added at the parameter "scale" [M].
    share: of what the generators say, from the closed form alone, 0, to all
      that they have learned, 1. Less is more cautious about new items.
  """

  def keys(params, content):
    nets = [
      jax.tree.map(lambda x, m=m: x[m], params["net"])
      for m in range(len(params["user"]))
    ]
    made = [averaged(generator, net, content, draws) for net in nets]
    rows = jnp.concatenate(made, axis=1) / len(made)
    if closed_form is None:
      return rows
    scores = jnp.mean(params["scale"]) * bag_in_blocks(closed_form(), content)
    return jnp.concatenate([share * rows, scores], axis=1)

  def queries(params):
    rows = jnp.concatenate([with_ones(user) for user in params["user"]], axis=1)
    if closed_form is None:
      return rows
    return jnp.concatenate([rows, jnp.eye(len(rows))], axis=1)

  return ContentModel(keys, queries)
