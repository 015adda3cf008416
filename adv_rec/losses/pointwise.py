"""Losses of one label an example: in logits, without reduction.

Logits are [B, C]; of two classes also [B], the log-odds of class 1, which is
[0, x] as `classes` writes it: each loss then is its usual form for two.
"""

import jax
import jax.numpy as jnp


def classes(logits: jax.Array) -> jax.Array:
  """Logits of every class: log-odds [B] -> [B, 2], and [B, C] as it is."""
  if logits.ndim > 1:
    return logits
  return jnp.stack([jnp.zeros_like(logits), logits], axis=-1)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """-ln softmax(x)_y, the log loss. [B, C] or [B], [B] -> [B].

  Args:
    logits: x.
    labels: y, the class 0 .. C - 1; any number type.
  """
  if logits.ndim == 1:  # the same, in one number an example
    return jax.nn.softplus(jnp.where(labels > 0, -logits, logits))
  return -_of(labels, jax.nn.log_softmax(logits))


def hinge(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """max(0, 1 + max over c != y of x_c - x_y). [B, C] or [B], [B] -> [B].

  Crammer & Singer 2001, eq. 3; of log-odds x it is max(0, 1 - x) where y = 1
  and max(0, 1 + x) where y = 0.

  Args:
    logits: x.
    labels: y, the class 0 .. C - 1; any number type.
  """
  x = classes(logits)
  own = _one_hot(labels, x)
  rival = jnp.max(jnp.where(own > 0, -jnp.inf, x), axis=-1)
  return jax.nn.relu(1.0 + rival - _of(labels, x))


def squares(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """sum_c (softmax(x)_c - [c = y])^2. [B, C] or [B], [B] -> [B].

  The score of Brier 1950 (Monthly Weather Review 78:1), eq. 2.

  Args:
    logits: x.
    labels: y, the class 0 .. C - 1; any number type.
  """
  x = classes(logits)
  error = jax.nn.softmax(x) - _one_hot(labels, x)
  return jnp.sum(jnp.square(error), axis=-1)


def _one_hot(labels: jax.Array, like: jax.Array) -> jax.Array:
  return jax.nn.one_hot(labels.astype(int), like.shape[-1], dtype=like.dtype)


def _of(labels: jax.Array, x: jax.Array) -> jax.Array:
  """The entry of each row's label. [B], [B, C] -> [B]."""
  return jnp.sum(_one_hot(labels, x) * x, axis=-1)
