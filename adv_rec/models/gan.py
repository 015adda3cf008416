"""Networks of generative adversarial networks for vectors: two perceptrons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.types import Params


def leaky_relu(x: jax.Array) -> jax.Array:
  """x where it is positive, 0.2 x elsewhere."""
  return nn.leaky_relu(x, 0.2)


class Generator(nn.Module):
  """Noise, and a condition beside it -> examples.

  Attributes:
    features: D, width of an example.
    latent: Z, width of the noise.
    hidden: widths of the hidden layers.
    bounded: whether a hyperbolic tangent ends it: values in (-1, 1).
    activation: of the hidden layers.
  """

  features: int
  latent: int = 16
  hidden: tuple[int, ...] = (128, 128)
  bounded: bool = False
  activation: Callable[[jax.Array], jax.Array] = nn.relu

  @nn.compact
  def __call__(
    self, noise: jax.Array, condition: jax.Array | None = None
  ) -> jax.Array:
    """Examples.

    Args:
      noise: [B, Z].
      condition: [B, C]; None for none.

    Returns:
      [B, D].
    """
    x = _beside(noise, condition)
    for width in self.hidden:
      x = self.activation(nn.Dense(width)(x))
    x = nn.Dense(self.features)(x)
    return jnp.tanh(x) if self.bounded else x


class Gaussian(nn.Module):
  """mu + sigma z: the least generator there is.

  Attributes:
    features: D, width of an example and of the noise.
  """

  features: int

  @property
  def latent(self) -> int:
    """Width of the noise."""
    return self.features

  @nn.compact
  def __call__(
    self, noise: jax.Array, condition: jax.Array | None = None
  ) -> jax.Array:
    """[B, D] -> [B, D]; the condition changes nothing."""
    mean = self.param("mean", nn.initializers.zeros, (self.features,))
    scale = self.param("scale", nn.initializers.ones, (self.features,))
    return mean + scale * noise


class Discriminator(nn.Module):
  """Examples, and a condition beside them -> logits; large means real.

  Attributes:
    hidden: widths of the hidden layers.
    dropout: share of the hidden units that training leaves out.
    spectral: whether every layer has spectral norm 1, see `SpectralDense`.
    activation: of the hidden layers; a leaky ReLU of slope 0.2 by default.
  """

  hidden: tuple[int, ...] = (128, 128)
  dropout: float = 0.0
  spectral: bool = False
  activation: Callable[[jax.Array], jax.Array] = leaky_relu

  @nn.compact
  def __call__(
    self,
    examples: jax.Array,
    condition: jax.Array | None = None,
    train: bool = False,
  ) -> jax.Array:
    """Logits.

    Args:
      examples: [B, D].
      condition: [B, C]; None for none.
      train: whether to drop units (rng "dropout").

    Returns:
      [B].
    """
    dense = SpectralDense if self.spectral else nn.Dense
    drop = nn.Dropout(self.dropout, deterministic=not train)
    x = _beside(examples, condition)
    for width in self.hidden:
      x = drop(self.activation(dense(width)(x)))
    return dense(1)(x)[..., 0]


class SpectralDense(nn.Module):
  """A dense layer whose kernel is divided by its largest singular value.

  Miyato et al. 2018 (arXiv:1802.05957), eq. 8: the layer has Lipschitz
  constant 1. Where they carry one vector of the power iteration from step to
  step, this one starts anew in every call, so that the layer is a function of
  its parameters alone.

  Attributes:
    features: width of the output.
  """

  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., F] -> [..., features]."""
    kernel = self.param(
      "kernel", nn.initializers.lecun_normal(), (x.shape[-1], self.features)
    )
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    return x @ (kernel / spectral_norm(kernel)) + bias


def spectral_norm(kernel: jax.Array, iterations: int = 16) -> jax.Array:
  """The largest singular value, by power iteration. [F, G] -> scalar.

  Never above the true value, and a few per cent below it where the next
  singular values are close. The two vectors are constants to whoever
  differentiates it, as at the true singular vectors they may be.

  Args:
    kernel: not all zero.
    iterations: products with the kernel and its transpose.
  """
  fixed = jax.lax.stop_gradient(kernel)
  start = jax.random.normal(jax.random.key(0), (kernel.shape[1],))

  def turn(_, v):
    u = fixed @ v
    v = (u / jnp.linalg.norm(u)) @ fixed
    return v / jnp.linalg.norm(v)

  v = jax.lax.fori_loop(0, iterations, turn, start)
  u = fixed @ v
  return (u / jnp.linalg.norm(u)) @ kernel @ v


def sample(
  generator: nn.Module,
  params: Params,
  key: jax.Array,
  num: int,
  condition: jax.Array | None = None,
) -> jax.Array:
  """Draws examples. -> [num, D].

  Args:
    generator: called with noise [num, Z] and the condition; its attribute
      `latent` is Z, its rng "sample" whatever else it draws.
    params: of the generator; for the better examples their moving average.
    key: of the draw.
    num: examples.
    condition: [num, C]; None for none.
  """
  noise_key, sample_key = jax.random.split(key)
  noise = jax.random.normal(noise_key, (num, generator.latent))
  examples: Any = generator.apply(
    {"params": params}, noise, condition, rngs={"sample": sample_key}
  )
  return examples


def packed(x: jax.Array, size: int) -> jax.Array:
  """Joins each `size` rows that follow each other. [B, D] -> [B/m, m D].

  Lin et al. 2018 (arXiv:1712.04086), PacGAN: a discriminator that judges
  several examples at once sees when they are too alike.

  Raises:
    ValueError: the rows do not divide into packs.
  """
  if x.shape[0] % size:
    raise ValueError(
      f"{x.shape[0]} rows do not divide into packs of {size}; choose a"
      " batch_size whose share of each update is a multiple of it"
    )
  return x.reshape(x.shape[0] // size, -1)


def _beside(x: jax.Array, condition: jax.Array | None) -> jax.Array:
  if condition is None:
    return x
  return jnp.concatenate([x, condition.astype(x.dtype)], axis=-1)
