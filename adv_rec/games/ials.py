"""The game of adversarial iALS: alternating least squares, then attacked."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.ranking import implicit_squares
from adv_rec.models.ials import Objective
from adv_rec.models.recommenders import (
  MatrixFactorization,
  inner,
  whole_tables,
)
from adv_rec.types import Game, Params, Player


def adversarial_ials(
  model: MatrixFactorization,
  optimizer: optax.GradientTransformation,
  objective: Objective,
  start: Callable[[jax.Array], Params],
  counts: jax.Array,
  num_interactions: int,
  *,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  consistency: bool = False,
) -> Game:
  """Goes on from the solution of iALS, with an adversary in its objective.

  With L the squares of iALS and R its penalty (see `models.ials`), W, H the
  tables and D the attack, of rows of both, minimised is

    L(W, H) + R(W, H) + weight x (L(W + D_W, H + D_H) + R(W, H)),

  per interaction: the adversarial form of He et al. 2018 (arXiv:1808.03908) for
  a loss over all cells, which starts, as theirs does, where plain training
  ends. The penalty belongs to both terms: without it there, the adversarial
  term would only stand for more data and less shrinkage.

  The batch has "user" [B] and "items" [B, L] (padded past the end).

  Args:
    model: the size of the tables.
    optimizer: of both.
    objective: the constants of L and R.
    start: key -> {"user": [U, D], "item": [I, D]}, as of `models.ials.ials`.
    counts: [I] interactions of each item.
    num_interactions: N, of all users.
    attack: moves whole rows of both tables; None goes on without.
    weight: of the adversarial term, or a schedule of the step.
    consistency: whether its squares are those of the difference between clean
      and moved scores; see `supervised`.
  """
  per_user = model.num_users / num_interactions
  sizes = counts + objective.unobserved_weight * model.num_users
  item_ridge = objective.l2 * sizes**objective.exponent / num_interactions
  alone = attack is None or consistency

  def init(key):
    empty = jax.eval_shape(
      model.init, key, jnp.zeros(1, int), jnp.zeros(1, int)
    )
    return jax.tree.map(
      lambda table, shape: jnp.zeros(shape.shape).at[: len(table)].set(table),
      start(key),
      empty["params"],
    )

  def scores(tables, batch):
    users = tables["user"][batch["user"]]
    return users @ tables["item"][: model.num_items].T

  def squares(params, batch, key, tables):
    del params, key
    cells = implicit_squares(
      scores(tables, batch), batch["items"], objective.unobserved_weight
    )
    return per_user * jnp.mean(cells)

  def divergence(params, batch, key, clean, moved):
    del params, key
    difference = scores(clean, batch) - scores(moved, batch)
    return per_user * jnp.mean(jnp.sum(jnp.square(difference), axis=1))

  def penalty(tables, batch):
    users = tables["user"][batch["user"]]
    items = tables["item"][: model.num_items]
    history = jnp.sum(batch["items"] < model.num_items, axis=1)
    cells = history + objective.unobserved_weight * model.num_items
    user_ridge = objective.l2 * cells**objective.exponent
    now = weight(batch["step"]) if callable(weight) else weight
    return (1.0 if alone else 1.0 + now) * (
      per_user * jnp.mean(user_ridge * inner(users, users))
      + jnp.dot(item_ridge, inner(items, items))
    )

  loss = supervised(
    whole_tables,
    squares,
    attack,
    weight,
    penalty,
    divergence if consistency else None,
  )
  return {"model": Player(init, loss, optimizer)}
