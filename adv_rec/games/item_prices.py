"""The game of item prices: a recommender of many items against a market."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from adv_rec.types import Game, Player


def item_prices(
  num_users: int,
  num_items: int,
  optimizer: optax.GradientTransformation,
  *,
  strength: float,
  places: int,
) -> Game:
  """A zero-sum game for the number of distinct items that are shown.

  With x_i the lists that hold item i, coverage is what an adversary with a
  price p_i in [0, 1] on every item leaves of it,

    sum_i min(1, x_i) = min_p sum_i ((1 - p_i) x_i + p_i),

  so that relevance and coverage at their best together are the game

    max_L min_p sum_u sum_{i in L_u} (s_ui - strength p_i)
                + strength sum_i (p_i + x_i),

  where the last x_i add up to places x U, a constant. The recommender's best
  answer to prices is known, the best items of each user by what is left of
  their scores; put in, what the adversary minimises is convex. That is the
  Lagrangian dual of the problem of whom to show what, as in dual re-ranking
  for fair exposure (Xu et al. 2023, arXiv:2303.06660), and the game of Freund &
  Schapire 1999 ("Adaptive game playing using multiplicative weights"), by
  gradients. Prices rise where an item is shown to more than one user, and fall
  where it is shown to none.

  The batch has "item" [B, C], candidates of a user, and "score" [B, C], -inf
  for a place without one.

  Args:
    num_users: U; a batch stands for all of them.
    num_items: I.
    optimizer: of the prices.
    strength: what one more item is worth, in scores.
    places: length of the lists.

  Returns:
    One player, "adversary", with {"price": [I]}.
  """

  def loss(params, everyone, batch, key):
    del everyone, key
    price = params["price"]
    left = batch["score"] - strength * price[batch["item"]]
    best, at = jax.lax.top_k(left, places)
    there = jnp.isfinite(best)
    gain = jnp.mean(jnp.sum(jnp.where(there, best, 0.0), axis=1))
    shown = jnp.take_along_axis(batch["item"], at, axis=1)
    seen = jnp.zeros(num_items, bool).at[shown].max(there)
    value = gain + strength * jnp.sum(price) / num_users
    return value, {"value": value, "coverage": jnp.sum(seen)}

  return {
    "adversary": Player(
      init=lambda key: {"price": jnp.zeros(num_items)},
      loss=loss,
      optimizer=optax.chain(optimizer, within(0.0, 1.0)),
    )
  }


def within(low: float, high: float) -> optax.GradientTransformation:
  """Updates that end on the border rather than beyond it: a projection."""

  def update(updates, state, params=None):
    assert params is not None
    return jax.tree.map(
      lambda p, u: jnp.clip(p + u, low, high) - p, params, updates
    ), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
