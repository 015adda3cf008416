"""SASRec: self-attention over the order in which a user chose items."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.apply import Apply
from adv_rec.models.recommenders import normal_table
from adv_rec.types import Params, Scorer


class SASRec(nn.Module):
  """The last N items of a user -> scores of the next item, at each place.

  Kang & McAuley 2018 (arXiv:1808.09781), section 3: embeddings of items and
  places, blocks of causal self-attention and a point-wise network, each as
  x + Dropout(g(LayerNorm(x))), and the item table once more as the output.
  Sequences are padded on the left, so that the last place is the newest item.

  Attributes:
    num_items: I.
    length: N, places of a sequence.
    dim: D.
    blocks: number of blocks.
    heads: of the attention; divides dim.
    dropout: share left out of the embeddings and in the blocks.
    scale: standard deviation of the initial embeddings.
  """

  num_items: int
  length: int = 50
  dim: int = 64
  blocks: int = 2
  heads: int = 1
  dropout: float = 0.2
  scale: float = 0.02

  def setup(self) -> None:
    """Declares the tables and the blocks."""
    self.item = self.param(
      "item", normal_table, self.num_items, self.dim, self.scale
    )
    normal = nn.initializers.normal(self.scale)
    self.place = self.param("place", normal, (self.length, self.dim))
    self.layers = [Block(self.heads, self.dropout) for _ in range(self.blocks)]
    self.drop = nn.Dropout(self.dropout)
    self.norm = nn.LayerNorm()

  def __call__(
    self, embedded: jax.Array, there: jax.Array, train: bool = False
  ) -> jax.Array:
    """Hidden states: place t knows the items up to t only.

    Args:
      embedded: rows of the item table, see `embed` [B, N, D].
      there: whether a place holds an item [B, N].
      train: whether to use dropout (rng "dropout").

    Returns:
      [B, N, D]; without meaning where no item is.
    """
    x = embedded * self.dim**0.5 + self.place
    x = self.drop(x, deterministic=not train)
    causal = jnp.tril(jnp.ones((self.length, self.length), bool))
    mask = (causal & there[:, None, :])[:, None]
    for layer in self.layers:
      x = layer(x, mask, train)
    return self.norm(x)

  def queries(self, sequences: jax.Array, users: jax.Array) -> jax.Array:
    """The newest hidden state. All users' items [U, N], [B] -> [B, D].

    Zero for users without items, which no order of items is known of.
    """
    items = sequences[users]
    there = items < self.num_items
    hidden = self(embed(self.item, items), there)[:, -1]
    return jnp.where(there[:, -1:], hidden, 0.0)

  def scorer(self, params: Params, sequences: np.ndarray) -> Scorer:
    """Users by their last N items, padded past the end, against all items."""
    return Scorer(
      jax.tree_util.Partial(
        Apply(self, "queries"), params, jnp.asarray(sequences)
      ),
      params["item"][: self.num_items],
    )


class Block(nn.Module):
  """Self-attention and a point-wise network, each with a way around."""

  heads: int
  dropout: float

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
    """[B, N, D], which place sees which [B, 1, N or 1, N] -> [B, N, D]."""
    dim = x.shape[-1]
    drop = nn.Dropout(self.dropout, deterministic=not train)
    attention = nn.MultiHeadDotProductAttention(self.heads)
    x = x + drop(attention(nn.LayerNorm()(x), mask=mask, sow_weights=True))
    hidden = nn.relu(nn.Dense(dim)(nn.LayerNorm()(x)))
    return x + drop(nn.Dense(dim)(drop(hidden)))


def embed(table: jax.Array, items: jax.Array) -> jax.Array:
  """Rows of the item table; zero for ids past its end. [...] -> [..., D]."""
  return table.at[items].get(mode="fill", fill_value=0.0)
