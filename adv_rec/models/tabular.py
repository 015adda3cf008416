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
  """Vectors of generated rows, smooth in the outputs. [B, D] -> [B, D].

  Each block is softmax((logits + g) / temperature), g Gumbel noise: near one
  of the corners, which it takes with the probabilities softmax(logits) (Jang
  et al. 2017, arXiv:1611.01144, eq. 2). Numbers are the hyperbolic tangent.

  Args:
    outputs: of the generator: logits of the cells, then numbers.
    key: of the noise.
    layout: of the vectors.
    temperature: above 0; the lower, the nearer to a corner.
  """
  noisy = (_noisy(outputs, key, layout)) / temperature
  parts = [jax.nn.softmax(block) for block in layout.blocks(noisy)]
  numbers = jnp.tanh(outputs[:, layout.cells :])
  return jnp.concatenate([*parts, numbers], axis=-1)


def drawn(
  outputs: jax.Array, key: jax.Array, layout: Layout
) -> tuple[jax.Array, jax.Array]:
  """Generated rows: the corners next to `relaxed`, and the same numbers.

  Args:
    outputs: of the generator, [B, D].
    key: of the noise; the same as for `relaxed` for the same rows.
    layout: of the vectors.

  Returns:
    Codes [B, K] int32 and numbers [B, F].
  """
  noisy = layout.blocks(_noisy(outputs, key, layout))
  codes = [jnp.argmax(block, axis=-1).astype(jnp.int32) for block in noisy]
  numbers = jnp.tanh(outputs[:, layout.cells :])
  empty = jnp.zeros((len(outputs), 0), jnp.int32)
  return jnp.stack(codes, axis=-1) if codes else empty, numbers


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


def _noisy(outputs: jax.Array, key: jax.Array, layout: Layout) -> jax.Array:
  logits = outputs[:, : layout.cells]
  return logits + jax.random.gumbel(key, logits.shape, logits.dtype)
