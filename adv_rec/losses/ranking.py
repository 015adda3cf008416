"""Ranking losses: per example, in logits, without reduction."""

import jax
import jax.numpy as jnp


def bpr(positive: jax.Array, negative: jax.Array) -> jax.Array:
  """Bayesian personalised ranking, -ln sigmoid(x_ui - x_uj). [B], [B] -> [B].

  Rendle et al. 2009 (arXiv:1205.2618), the summand of BPR-OPT.

  Args:
    positive: scores x_ui of items the users chose.
    negative: scores x_uj of items they did not.
  """
  return -jax.nn.log_sigmoid(positive - negative)


def multinomial(logits: jax.Array, items: jax.Array) -> jax.Array:
  """Full softmax over the items, - sum_i ln softmax_i(x_u). [B, I] -> [B].

  Liang et al. 2018 (arXiv:1802.05814), eq. 2: the log-likelihood of all the
  items of a user under one multinomial.

  Args:
    logits: scores of all items [B, I].
    items: ids of each user's items [B, L], padded with ids past the end.
  """
  log_likelihood = jax.nn.log_softmax(logits)
  chosen = jax.vmap(lambda x, i: x.at[i].get(mode="fill", fill_value=0.0))
  return -jnp.sum(chosen(log_likelihood, items), axis=-1)


def implicit_squares(
  scores: jax.Array, items: jax.Array, unobserved_weight: float
) -> jax.Array:
  """Weighted squares over all items, sum_J (x_uj - 1)^2 + a sum_i x_ui^2.

  Rendle et al. 2022 (arXiv:2110.14037), eq. 3 and 4, for one user with the
  items J. [B, I] -> [B].

  Args:
    scores: of all items [B, I].
    items: ids of each user's items J [B, L], padded with ids past the end.
    unobserved_weight: a.
  """
  # A padded cell counts as a score of 1, which costs nothing.
  chosen = jax.vmap(lambda x, i: x.at[i].get(mode="fill", fill_value=1.0))
  observed = jnp.sum(jnp.square(chosen(scores, items) - 1.0), axis=-1)
  return observed + unobserved_weight * jnp.sum(jnp.square(scores), axis=-1)


def next_item(logits: jax.Array, item: jax.Array) -> jax.Array:
  """Full softmax for one item, - ln softmax_i(x). [..., I], [...] -> [...].

  Args:
    logits: scores of all items.
    item: id of the item; where it is past the end, the loss is 0.
  """
  log_likelihood = jax.nn.log_softmax(logits)
  there = item < logits.shape[-1]
  at = jnp.where(there, item, 0)[..., None]
  chosen = jnp.take_along_axis(log_likelihood, at, axis=-1)[..., 0]
  return jnp.where(there, -chosen, 0.0)


def in_batch(logits: jax.Array, chosen: jax.Array) -> jax.Array:
  """Softmax over the items of a batch, summed over each user's. -> [U].

    - sum over the items i that u has of ln softmax_i(x_u)

  the sum and the softmax over the items of the batch only: `multinomial` with
  a sample of the items.

  Args:
    logits: scores [U, B] of the items of a batch.
    chosen: [U, B], 1 where the user has the item, else 0.
  """
  return -jnp.sum(chosen * jax.nn.log_softmax(logits), axis=1)
