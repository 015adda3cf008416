"""Texts -> logits: convolutions, a recurrent network, self-attention.

A network is given word vectors [B, L, D] and which places hold a word [B, L];
words come first, padding after them. What is at a padded place, and how many
there are, changes nothing: a network looks at words only.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.apply import attended
from adv_rec.models.sasrec import Block
from adv_rec.types import Batch, Params, Predictor

PAD = 0  # id of no word


def predictor(
  network: nn.Module,
  counts: np.ndarray,
  dim: int,
  scale: float = 0.1,
  normalized: bool = False,
  word_dropout: float = 0.0,
) -> Predictor:
  """A table of words and a network. The batch has "tokens" [B, L] int32.

  Args:
    network: (vectors, there, train) -> logits, see the top of this file.
    counts: [V], how often each word occurs in training.
    dim: D.
    scale: standard deviation of a new vector.
    normalized: whether the network is given vectors of mean 0 and variance 1
      over the words of the training texts, in each coordinate (Miyato et al.
      2017, arXiv:1605.07725, eq. 1): they cannot outgrow an absolute epsilon.
    word_dropout: share of the words that are left out in training.
  """
  frequency = jnp.asarray(counts / counts.sum(), jnp.float32)

  def lookup(params: Params, batch: Batch) -> jax.Array:
    table, tokens = params["word"], batch["tokens"]
    rows = table.at[tokens].get(mode="fill", fill_value=0.0)
    if normalized:
      mean = frequency @ table
      variance = frequency @ jnp.square(table - mean)
      rows = (rows - mean) / jnp.sqrt(variance + 1e-6)
    return jnp.where((tokens != PAD)[..., None], rows, 0.0)

  def logits(
    params: Params, batch: Batch, inputs: jax.Array, key: jax.Array | None
  ) -> jax.Array:
    there = batch["tokens"] != PAD
    rngs = None
    if key is not None:
      word_key, dropout_key = jax.random.split(key)
      rngs = {"dropout": dropout_key}
      if word_dropout:
        kept = jax.random.bernoulli(word_key, 1.0 - word_dropout, there.shape)
        inputs = jnp.where(kept[..., None], inputs, 0.0)
    train = key is not None
    params = {"params": params["network"]}
    found = network.apply(params, inputs, there, train, rngs=rngs)
    assert isinstance(found, jax.Array)
    return found

  def init(key: jax.Array) -> Params:
    word_key, key = jax.random.split(key)
    table = scale * jax.random.normal(word_key, (len(counts), dim))
    there = jnp.ones((1, 2), bool)
    made = network.init(key, jnp.zeros((1, 2, dim)), there, False)
    return {"word": table, "network": made["params"]}

  def attention(params: Params, batch: Batch, inputs: jax.Array) -> jax.Array:
    there = batch["tokens"] != PAD
    return attended(network, params["network"], inputs, there)

  looks = attention if isinstance(network, Transformer) else None
  return Predictor(init, lookup, logits, attention=looks)


class CNN(nn.Module):
  """Convolutions of several widths, the largest value of each filter.

  Kim 2014 (arXiv:1408.5882), section 2, from random vectors.

  Attributes:
    widths: words that a filter sees.
    filters: of each width.
    dropout: of the values.
    classes: C; of two there is one logit.
  """

  widths: tuple[int, ...] = (3, 4, 5)
  filters: int = 100
  dropout: float = 0.5
  classes: int = 2

  @nn.compact
  def __call__(
    self, x: jax.Array, there: jax.Array, train: bool = False
  ) -> jax.Array:
    """[B, L, D], [B, L] -> [B], or [B, C]."""
    x = jnp.where(there[..., None], x, 0.0)
    found = []
    for width in self.widths:
      kernel = self.param(
        f"kernel_{width}",
        nn.initializers.he_uniform(),
        (width * x.shape[-1], self.filters),
      )
      bias = self.param(f"bias_{width}", nn.initializers.zeros, self.filters)
      found.append(nn.relu(largest(x, there, kernel) + bias))
    pooled = jnp.concatenate(found, axis=-1)
    pooled = nn.Dropout(self.dropout, deterministic=not train)(pooled)
    return answer(pooled, self.classes)


def largest(x: jax.Array, there: jax.Array, kernel: jax.Array) -> jax.Array:
  """max over places t of <x_t ... x_{t + K - 1}, kernel>, for each filter.

  Windows may reach over both ends of a text, where they see zeros, but hold
  a word of it; without words the value is 0.

  Args:
    x: word vectors, zero where no word is [B, L, D].
    there: [B, L].
    kernel: [K D, F].

  Returns:
    [B, F].
  """
  width = len(kernel) // x.shape[-1]
  padded = jnp.pad(x, ((0, 0), (width - 1, width - 1), (0, 0)))
  # Window t ends at word t and holds it, or one of the K - 1 before.
  holds = jnp.pad(there, ((0, 0), (0, width - 1)))
  for k in range(1, width):
    holds = holds | jnp.pad(there, ((0, 0), (k, width - 1 - k)))
  found = _peak(padded, holds, kernel)
  return jnp.where(jnp.any(there, axis=1, keepdims=True), found, 0.0)


@jax.custom_vjp
def _peak(x: jax.Array, holds: jax.Array, kernel: jax.Array) -> jax.Array:
  """Largest values of windows. [B, T + K - 1, D], [B, T], [K D, F] -> [B, F].

  The derivative of a maximum is that at its place. So the way back takes one
  window a filter, where that of a convolution goes through all T of them and
  is two thirds of its cost in training.
  """
  return jnp.max(_values(x, holds, kernel), axis=1)


def _values(x: jax.Array, holds: jax.Array, kernel: jax.Array) -> jax.Array:
  dim = x.shape[-1]
  places = holds.shape[1]
  # As matrix products: XLA's convolution is far slower on a CPU.
  values = sum(
    x[:, k : k + places] @ kernel[k * dim : (k + 1) * dim]
    for k in range(len(kernel) // dim)
  )
  return jnp.where(holds[..., None], values, -jnp.inf)


def _peak_forward(x: jax.Array, holds: jax.Array, kernel: jax.Array):
  values = _values(x, holds, kernel)
  top = jnp.max(values, axis=1)
  # The first of the largest; in two passes, each faster than argmax.
  places = jnp.arange(values.shape[1])[:, None]
  there = values == top[:, None]
  best = jnp.min(jnp.where(there, places, len(places) - 1), axis=1)
  return top, (x, kernel, best)


def _peak_backward(kept, gradient: jax.Array):
  x, kernel, best = kept
  texts, length, dim = x.shape
  width = len(kernel) // dim
  # Rows of all texts under each other: [B, F, K] of them.
  first = length * jnp.arange(texts)[:, None, None]
  rows = (first + best[..., None] + jnp.arange(width)).ravel()
  flat = x.reshape(-1, dim).at[rows].get(mode="promise_in_bounds")
  windows = flat.reshape(*best.shape, -1)
  of_kernel = jnp.einsum("bfk,bf->kf", windows, gradient)
  of_rows = (gradient[..., None] * kernel.T).reshape(-1, dim)
  of_x = jnp.zeros((texts * length, dim))
  of_x = of_x.at[rows].add(of_rows, mode="promise_in_bounds")
  return of_x.reshape(x.shape), None, of_kernel


_peak.defvjp(_peak_forward, _peak_backward)


class BiGRU(nn.Module):
  """Gated recurrent units in both directions, the largest value of each.

  Cho et al. 2014 (arXiv:1406.1078); max pooling as in Conneau et al. 2017
  (arXiv:1705.02364), section 3.2.1.

  Attributes:
    width: of the state in each direction.
    dropout: of the pooled values.
    classes: C; of two there is one logit.
  """

  width: int = 64
  dropout: float = 0.5
  classes: int = 2

  @nn.compact
  def __call__(
    self, x: jax.Array, there: jax.Array, train: bool = False
  ) -> jax.Array:
    """[B, L, D], [B, L] -> [B], or [B, C]."""
    x = jnp.where(there[..., None], x, 0.0)
    layers = nn.Bidirectional(
      nn.RNN(nn.GRUCell(self.width)), nn.RNN(nn.GRUCell(self.width))
    )
    states: Any = layers(x, seq_lengths=jnp.sum(there, axis=1))
    # States lie in (-1, 1).
    pooled = jnp.max(jnp.where(there[..., None], states, -1.0), axis=1)
    pooled = nn.Dropout(self.dropout, deterministic=not train)(pooled)
    return answer(pooled, self.classes)


class Transformer(nn.Module):
  """Blocks of self-attention (`models.sasrec.Block`), the mean over words.

  Vaswani et al. 2017 (arXiv:1706.03762) with the norms before the layers.

  Attributes:
    length: the most places there can be.
    blocks: number of blocks.
    heads: of the attention; divides D.
    dropout: in the blocks and of the mean.
    classes: C; of two there is one logit.
  """

  length: int = 64
  blocks: int = 2
  heads: int = 4
  dropout: float = 0.3
  classes: int = 2

  @nn.compact
  def __call__(
    self, x: jax.Array, there: jax.Array, train: bool = False
  ) -> jax.Array:
    """[B, L, D], [B, L] -> [B], or [B, C]."""
    place = self.param(
      "place", nn.initializers.normal(0.02), (self.length, x.shape[-1])
    )
    x = x + place[: x.shape[1]]
    for _ in range(self.blocks):
      x = Block(self.heads, self.dropout)(x, there[:, None, None], train)
    x = mean(nn.LayerNorm()(x), there)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return answer(x, self.classes)


def mean(x: jax.Array, there: jax.Array) -> jax.Array:
  """Over the words; zero without any. [B, L, D], [B, L] -> [B, D]."""
  weight = there[..., None].astype(x.dtype)
  count = jnp.maximum(jnp.sum(weight, axis=1), 1.0)
  return jnp.sum(jnp.where(weight > 0, x, 0.0), axis=1) / count


def answer(x: jax.Array, classes: int) -> jax.Array:
  """Logits by one layer, for use in a compact method. [B, D] -> [B] or [B, C].

  Args:
    x: what is known of a text.
    classes: C.
  """
  if classes == 2:
    return nn.Dense(1)(x)[:, 0]
  return nn.Dense(classes)(x)
