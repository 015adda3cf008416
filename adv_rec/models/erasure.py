"""Representations that hide an attribute: filters, adversaries, LEACE."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.types import Params


class Filter(nn.Module):
  """x + a linear map of x + a perceptron of x; nothing is changed at first.

  Attributes:
    hidden: width of the perceptron's one layer; 0 for none.
  """

  hidden: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, D] -> [B, D], of standardised representations."""
    zeros = nn.initializers.zeros
    found = x + nn.Dense(x.shape[1], kernel_init=zeros)(x)
    if self.hidden:
      inner = nn.tanh(nn.Dense(self.hidden)(x))
      found += nn.Dense(x.shape[1], kernel_init=zeros)(inner)
    return found


class Adversary(nn.Module):
  """Logits of an attribute; the shares of its classes at first, nearly.

  Attributes:
    hidden: width of each layer; none for a linear adversary.
    prior: logarithms of the shares of the classes [C].
    noise: deviation of what is added to inputs in training.
  """

  hidden: tuple[int, ...]
  prior: tuple[float, ...]
  noise: float

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B, D] -> [B, C]."""
    if train:
      noise = jax.random.normal(self.make_rng("noise"), x.shape)
      x = x + self.noise * noise
    for size in self.hidden:
      x = nn.relu(nn.Dense(size)(x))
    small = nn.initializers.normal(0.01)
    return nn.Dense(len(self.prior), kernel_init=small)(x) + jnp.array(
      self.prior
    )


def leace(x: jax.Array, attribute: jax.Array) -> Params:
  """The least change of x after which no linear model tells the attribute.

  Belrose et al. 2023 (LEACE, arXiv:2306.03819), theorem 4.3: x' = x - W^+ P W
  (x - E x), where W whitens x and P projects on the columns of W Cov(x, z).

  Args:
    x: representations of those whose attribute is known [N, D].
    attribute: z, one-hot [N, C].

  Returns:
    {"mean": [D], "map": [D, D]} for `erase`.
  """
  mean = jnp.mean(x, axis=0)
  centered = x - mean
  cross = centered.T @ (attribute - jnp.mean(attribute, axis=0)) / len(x)
  values, vectors = jnp.linalg.eigh(centered.T @ centered / len(x))
  there = values > 1e-6 * values[-1]
  root = jnp.sqrt(jnp.where(there, values, 1.0))
  whiten = (vectors * jnp.where(there, 1 / root, 0.0)) @ vectors.T
  colour = (vectors * jnp.where(there, root, 0.0)) @ vectors.T
  basis, strength, _ = jnp.linalg.svd(whiten @ cross, full_matrices=False)
  basis = basis * (strength > 1e-6 * strength[0])
  return {"mean": mean, "map": colour @ basis @ basis.T @ whiten}


def erase(params: Params, x: jax.Array) -> jax.Array:
  """What `leace` leaves of any x. [B, D] -> [B, D]."""
  return x - (x - params["mean"]) @ params["map"].T
