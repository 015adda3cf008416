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
    kernels, biases = [], []
    for width in self.widths:
      shape = (width * x.shape[-1], self.filters)
      kernels.append(
        self.param(f"kernel_{width}", nn.initializers.he_uniform(), shape)
      )
      biases.append(
        self.param(f"bias_{width}", nn.initializers.zeros, self.filters)
      )
    found = largest(x, there, tuple(kernels)) + jnp.concatenate(biases)
    pooled = nn.relu(found)
    pooled = nn.Dropout(self.dropout, deterministic=not train)(pooled)
    return answer(pooled, self.classes)


def largest(
  x: jax.Array, there: jax.Array, kernels: tuple[jax.Array, ...]
) -> jax.Array:
  """max over places t of <x_{t - K + 1} ... x_t, kernel>, for each filter.

  Windows may reach over both ends of a text, where they see zeros, but hold
  a word of it; without words the value is 0.

  Args:
    x: word vectors, zero where no word is [B, L, D].
    there: [B, L].
    kernels: of widths K, each [K D, F].

  Returns:
    [B, sum of F].
  """
  widths = _widths(x, kernels)
  more = max(widths) - 1
  padded = jnp.pad(x, ((0, 0), (more, more), (0, 0)))
  floors = []
  for width in widths:
    # Window t ends at word t and holds it, or one of the K - 1 before.
    holds = jnp.pad(there, ((0, 0), (0, more)))
    for k in range(1, width):
      holds = holds | jnp.pad(there, ((0, 0), (k, more - k)))
    floors.append(jnp.where(holds, 0.0, -jnp.inf)[..., None])
  found = _peak(padded, tuple(floors), kernels)
  return jnp.where(jnp.any(there, axis=1, keepdims=True), found, 0.0)


def _widths(x: jax.Array, kernels: tuple[jax.Array, ...]) -> list[int]:
  return [len(kernel) // x.shape[-1] for kernel in kernels]


@jax.custom_vjp
def _peak(
  x: jax.Array, floors: tuple[jax.Array, ...], kernels: tuple[jax.Array, ...]
) -> jax.Array:
  """Largest values of windows.

  The derivative of a maximum is that at its place. So the way back takes one
  window a filter, where that of a convolution goes through all T of them and
  is two thirds of its cost in training.

  Args:
    x: [B, T + K - 1, D], K the greatest width.
    floors: of each width [B, T, 1], -inf where a window does not count.
    kernels: see `largest`.

  Returns:
    [B, F].
  """
  return jnp.max(_values(x, floors, kernels), axis=1)


def _values(
  x: jax.Array, floors: tuple[jax.Array, ...], kernels: tuple[jax.Array, ...]
) -> jax.Array:
  """Of all filters, [B, T, F]."""
  dim, places = x.shape[-1], floors[0].shape[1]
  most = max(_widths(x, kernels))
  sums: list[Any] = [0.0] * len(kernels)
  # As matrix products, since XLA's convolution is far slower on a CPU, and as
  # few as there are shifts: the kernels that reach so far back share one.
  for k in range(most):
    parts = {
      i: kernel[len(kernel) - (most - k) * dim :][:dim]
      for i, kernel in enumerate(kernels)
      if len(kernel) >= (most - k) * dim
    }
    product = x[:, k : k + places] @ jnp.concatenate([*parts.values()], axis=1)
    first = 0
    for i, part in parts.items():
      last = first + part.shape[1]
      sums[i] = sums[i] + product[..., first:last]
      first = last
  counted = [a + floor for a, floor in zip(sums, floors, strict=True)]
  return jnp.concatenate(counted, axis=-1)


def _peak_forward(
  x: jax.Array, floors: tuple[jax.Array, ...], kernels: tuple[jax.Array, ...]
):
  values = _values(x, floors, kernels)
  top = jnp.max(values, axis=1)
  # The first of the largest; in two passes, each faster than argmax.
  places = jnp.arange(values.shape[1])[:, None]
  there = values == top[:, None]
  best = jnp.min(jnp.where(there, places, len(places) - 1), axis=1)
  return top, (x, kernels, best)


def _peak_backward(kept, gradient: jax.Array):
  x, kernels, best = kept
  texts, length, dim = x.shape
  widths = _widths(x, kernels)
  flat = x.reshape(-1, dim)  # the words of all texts under each other
  starts = length * jnp.arange(texts) + best.T
  of_kernels, of_x = [], jnp.zeros_like(flat)
  first = 0
  for kernel, width in zip(kernels, widths, strict=True):
    last = first + kernel.shape[1]
    back = jnp.arange(max(widths) - width, max(widths))
    rows = (starts[first:last, :, None] + back).ravel()
    mine = gradient.T[first:last]
    first = last
    windows = flat.at[rows].get(mode="promise_in_bounds")
    # Filters first, as the products want them: without a transposed copy.
    windows = windows.reshape(*mine.shape, -1)
    of_kernels.append(jnp.einsum("fb,fbk->fk", mine, windows).T)
    of_rows = (mine[..., None] * kernel.T[:, None]).reshape(-1, dim)
    of_x = of_x.at[rows].add(of_rows, mode="promise_in_bounds")
  return of_x.reshape(x.shape), (None,) * len(kernels), tuple(of_kernels)


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
