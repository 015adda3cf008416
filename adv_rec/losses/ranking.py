"""Ranking losses: per example, in logits, without reduction."""

import jax


def bpr(positive: jax.Array, negative: jax.Array) -> jax.Array:
  """Bayesian personalised ranking, -ln sigmoid(x_ui - x_uj). [B], [B] -> [B].

  Rendle et al. 2009 (arXiv:1205.2618), the summand of BPR-OPT.

  Args:
    positive: scores x_ui of items the users chose.
    negative: scores x_uj of items they did not.
  """
  return -jax.nn.log_sigmoid(positive - negative)
