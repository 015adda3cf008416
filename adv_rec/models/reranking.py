"""Other rankings from a recommender's own scores: fewer bestsellers, variety.

Each is a recommender again (`types.Scorer`), made of another one.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from adv_rec.types import Scorer

_USERS_AT_ONCE = 16


def lists_first(base: Scorer, lists: jax.Array) -> Scorer:
  """Each user's list as it stands, then all other items as the base has them.

  Args:
    base: of U users.
    lists: [U, k] item ids, best first; ids past the end are ignored.
  """

  def queries(base, lists, users):
    scores = base.queries(users)
    if base.keys is not None:
      scores = jnp.matmul(
        scores, base.keys.T, precision=jax.lax.Precision.HIGHEST
      )
    above = jnp.arange(lists.shape[1], 0, -1, dtype=scores.dtype)
    above += jnp.max(scores, axis=1, keepdims=True)
    rows = jnp.arange(len(users))[:, None]
    return scores.at[rows, lists[users]].set(above, mode="drop")

  return Scorer(jax.tree_util.Partial(queries, base, lists), None)


def biased(
  items: jax.Array, scores: jax.Array, bias: jax.Array, k: int
) -> jax.Array:
  """The k candidates of each user with the largest score_ui + bias_i.

  Args:
    items: [U, C] ids of candidates.
    scores: [U, C]; -inf for a place without a candidate.
    bias: [I], what an item gains or loses with everybody.
    k: length of the lists, at most C.

  Returns:
    [U, k] ids, I where no candidate is left.
  """
  best, at = jax.lax.top_k(scores + bias[items], k)
  chosen = jnp.take_along_axis(items, at, axis=1)
  return jnp.where(jnp.isfinite(best), chosen, len(bias))


@functools.partial(jax.jit, static_argnames="k")
def mmr(
  items: jax.Array,
  scores: jax.Array,
  vectors: jax.Array,
  weight: float,
  k: int,
) -> jax.Array:
  """Maximal marginal relevance (Carbonell & Goldstein 1998, SIGIR).

  Item by item, of the candidates R that are not yet in the list L, the one with
  the largest

    weight x score_i - (1 - weight) x max_{j in L} cos(v_i, v_j),

  scores brought to [0, 1] for each user, as similarities of items are that
  nobody dislikes. Weight 1 is the order of the scores. Costs U k products of
  a vector with C others; memory a block of 16 C vectors.

  Args:
    items: [U, C] ids of candidates, best first.
    scores: [U, C]; -inf for a place without a candidate.
    vectors: [I, D], not negative or otherwise; rows of zeros are like nothing.
    weight: from 0, nothing but variety, to 1.
    k: length of the lists, at most C.

  Returns:
    [U, k] ids, I where no candidate is left.
  """
  length = jnp.linalg.norm(vectors, axis=1, keepdims=True)
  units = vectors / jnp.where(length > 0, length, 1.0)

  def pick(user):
    items, scores = user
    there = jnp.isfinite(scores)
    low = jnp.min(jnp.where(there, scores, jnp.inf))
    spread = jnp.max(scores) - low
    relevance = (scores - low) / jnp.where(spread > 0, spread, 1.0)
    rows = units[items]

    def next_one(state, _):
      likeness, left = state
      value = weight * relevance - (1.0 - weight) * likeness
      best = jnp.argmax(jnp.where(left, value, -jnp.inf))
      chosen = jnp.where(left[best], items[best], len(vectors))
      with jax.default_matmul_precision("highest"):
        likeness = jnp.maximum(likeness, rows @ rows[best])
      return (likeness, left.at[best].set(False)), chosen

    # Nothing is in the list yet, and so nothing is like it.
    start = jnp.zeros(len(items)), there
    return jax.lax.scan(next_one, start, length=k)[1]

  return jax.lax.map(pick, (items, scores), batch_size=_USERS_AT_ONCE)
