"""Divergences of distributions: per example, without reduction."""

import jax
import jax.numpy as jnp


def bernoulli(p: jax.Array, q: jax.Array) -> jax.Array:
  """KL(sigmoid(p) || sigmoid(q)) of two coins in logits. [...] -> [...]."""
  heads = jax.nn.log_sigmoid(p) - jax.nn.log_sigmoid(q)
  tails = jax.nn.log_sigmoid(-p) - jax.nn.log_sigmoid(-q)
  return jax.nn.sigmoid(p) * heads + jax.nn.sigmoid(-p) * tails


def categorical(p: jax.Array, q: jax.Array) -> jax.Array:
  """KL(softmax(p) || softmax(q)) in logits. [..., I], [..., I] -> [...]."""
  log_p, log_q = jax.nn.log_softmax(p), jax.nn.log_softmax(q)
  return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


def standard_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
  """KL(N(mean, diag exp(log_variance)) || N(0, 1)). [..., D] -> [...].

  Kingma & Welling 2014 (arXiv:1312.6114), appendix B.
  """
  terms = jnp.square(mean) + jnp.exp(log_variance) - 1.0 - log_variance
  return 0.5 * jnp.sum(terms, axis=-1)
