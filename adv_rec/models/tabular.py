"""Rows of a table as vectors: one-hot blocks, then numbers in [-1, 1]."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Layout(NamedTuple):
  """How a row lies in a vector.

  Attributes:
    sizes: cells of each block, K of them; C in all. The blocks come first.
    numbers: F, the numbers after them.
  """

  sizes: tuple[int, ...]
  numbers: int

  @property
  def cells(self) -> int:
    """C."""
    return sum(self.sizes)

  @property
  def width(self) -> int:
    """D = C + F."""
    return self.cells + self.numbers

  def blocks(self, x: jax.Array) -> list[jax.Array]:
    """The parts of vectors [..., C or more] that are the blocks."""
    ends = np.cumsum(self.sizes)
    return [
      x[..., end - size : end]
      for end, size in zip(ends, self.sizes, strict=True)
    ]


def one_hot(codes: jax.Array, numbers: jax.Array, layout: Layout) -> jax.Array:
  """Vectors of real rows. [B, K] int, [B, F] -> [B, D]."""
  parts = [
    jax.nn.one_hot(codes[:, k], size, dtype=numbers.dtype)
    for k, size in enumerate(layout.sizes)
  ]
  return jnp.concatenate([*parts, numbers], axis=-1)


def relaxed(
  outputs: jax.Array, key: jax.Array, layout: Layout, temperature: float
) -> jax.Array:
  """Vectors of generated rows, with a gradient. [B, D] -> [B, D].

  Each block is one-hot, drawn from softmax(logits), as those of real rows are:
  the discriminator cannot tell them by being soft. Its gradient is that of
  softmax((logits + g) / temperature), g Gumbel noise, whose greatest cell it
  is (straight-through, Jang et al. 2017, arXiv:1611.01144, section 2.2).
  Numbers are the hyperbolic tangent.

  Args:
    outputs: of the generator: logits of the cells, then numbers.
    key: of the noise.
    layout: of the vectors.
    temperature: above 0; the lower, the truer and the noisier the gradient.
  """
  logits = outputs[:, : layout.cells]
  noise = jax.random.gumbel(key, logits.shape, logits.dtype)
  noisy = (logits + noise) / temperature
  parts = []
  for block in layout.blocks(noisy):
    soft = jax.nn.softmax(block)
    greatest = jnp.max(block, axis=-1, keepdims=True)
    hard = (block == greatest).astype(soft.dtype)
    parts.append(jax.lax.stop_gradient(hard - soft) + soft)
  numbers = jnp.tanh(outputs[:, layout.cells :])
  return jnp.concatenate([*parts, numbers], axis=-1)


def drawn(
  outputs: jax.Array, key: jax.Array, layout: Layout
) -> tuple[jax.Array, jax.Array]:
  """Generated rows: a cell of each block, with the odds of `relaxed`.

  They take one uniform number a block, where a relaxed row takes one a cell.

  Args:
    outputs: of the generator, [B, D].
    key: of the draw.
    layout: of the vectors.

  Returns:
    Codes [B, K] int32 and numbers [B, F].
  """
  shape = len(outputs), len(layout.sizes)
  uniform = jax.random.uniform(key, shape, outputs.dtype)
  codes = jnp.zeros(shape, jnp.int32)
  for k, logits in enumerate(layout.blocks(outputs)):
    weights = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    # Sums of the first cells, as a product: a scan is slow on a CPU.
    ends = weights @ jnp.triu(jnp.ones((layout.sizes[k],) * 2, weights.dtype))
    at = uniform[:, k, None] * ends[:, -1:]
    # Below the last end in spite of rounding: no cell comes after it.
    code = jnp.sum(ends[:, :-1] <= at, axis=-1)
    codes = codes.at[:, k].set(code)
  return codes, jnp.tanh(outputs[:, layout.cells :])


def condition_loss(
  outputs: jax.Array, cells: jax.Array, layout: Layout
) -> jax.Array:
  """-ln softmax(logits of the cell's block)[cell]. [B, D], [B] -> [B].

  The generator is to answer a condition with the cell that it names (Xu et
  al. 2019, arXiv:1907.00503, section 4.3).

  Args:
    outputs: of the generator.
    cells: the condition of each row, 0 .. C - 1 over all blocks.
    layout: of the vectors.
  """
  block = jnp.asarray(np.repeat(np.arange(len(layout.sizes)), layout.sizes))
  same = block == block[cells][:, None]
  logits = outputs[:, : layout.cells]
  everything = jax.nn.logsumexp(logits, axis=-1, where=same)
  chosen = jnp.sum(jax.nn.one_hot(cells, layout.cells) * logits, axis=-1)
  return everything - chosen


def pair_distance(
  outputs: jax.Array,
  pair: tuple[int, ...],
  chances: jax.Array,
  layout: Layout,
) -> jax.Array:
  """Total variation distance of two blocks' joint distribution. -> scalar.

  Given its noise a row's cells are drawn on their own, so that the generator's
  table of a pair is the mean of products of its chances, without a draw.

  Args:
    outputs: of the generator, [B, D].
    pair: two blocks.
    chances: what their table is to be, [cells of one, cells of the other].
    layout: of the vectors.
  """
  blocks = layout.blocks(outputs)
  one, other = (jax.nn.softmax(blocks[k]) for k in pair)
  table = jnp.matmul(one.T, other, precision="highest") / len(outputs)
  return 0.5 * jnp.sum(jnp.abs(table - chances))
