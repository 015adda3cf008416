"""Games of recommenders: closed forms, and BPR-MF with or without an attack."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.ranking import bpr, multinomial
from adv_rec.models.recommenders import (
  MatrixFactorization,
  batch_rows,
  inner,
  whole_tables,
)
from adv_rec.types import Game, Params, Player


def closed_form(fit: Callable[[], Params]) -> Game:
  """A model that is known without playing: its initial state is the result.

  Args:
    fit: the parameters, traceable by JAX.
  """
  return {
    "model": Player(
      init=lambda key: fit(),
      loss=lambda own, everyone, batch, key: (jnp.zeros(()), {}),
      optimizer=optax.identity(),
    )
  }


def matrix_factorization(
  model: MatrixFactorization,
  optimizer: optax.GradientTransformation,
  *,
  l2: float = 0.0,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  whole_rows: bool = True,
  row_sparse: bool = False,
) -> Game:
  """BPR-MF; with an attack, adversarial personalised ranking.

  Minimises mean BPR(x) + weight x mean BPR(x + attack) + l2 x mean |rows|^2
  (He et al. 2018, arXiv:1808.03908, eq. 6-8). The batch has "user",
  "positive" and "negative" [B]; the sums of the papers are means here, so the
  learning rate is per batch.

  Args:
    model: the factorisation.
    optimizer: of both tables.
    l2: of the squared norm of the three rows of each triple.
    attack: None for plain BPR.
    weight: of the adversarial term, or a schedule of the step.
    whole_rows: whether the attack moves each embedding row once (the paper)
      or each occurrence in the batch on its own.
    row_sparse: whether steps touch the rows of their batch only; the batch
      then has local ids, "user_rows" and "item_rows" (data/batching.py).
  """
  lookup = whole_tables if whole_rows else batch_rows

  def rows_of(inputs, batch):
    return batch_rows(inputs, batch) if whole_rows else inputs

  def objective(params, batch, key, inputs):
    del params, key
    rows = rows_of(inputs, batch)
    positive = inner(rows["user"], rows["positive"])
    negative = inner(rows["user"], rows["negative"])
    return jnp.mean(bpr(positive, negative))

  def penalty(inputs, batch):
    rows = rows_of(inputs, batch)
    return l2 * jnp.sum(
      jnp.stack([jnp.mean(inner(x, x)) for x in rows.values()])
    )

  loss = supervised(lookup, objective, attack, weight, penalty if l2 else None)
  rows = {"user": "user_rows", "item": "item_rows"} if row_sparse else None
  return {"model": Player(_initializer(model), loss, optimizer, rows=rows)}


def full_softmax(
  model: MatrixFactorization,
  optimizer: optax.GradientTransformation,
  mean_items: float,
  *,
  temperature: float = 1.0,
  l2: float = 0.0,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
) -> Game:
  """MF by the multinomial likelihood of each user's items over all items.

  The batch has "user" [B] and "items" [B, L] (padded past the end). Matrix
  products only: what accelerators like, and far more learned per epoch than
  from sampled negatives.

  Args:
    model: the factorisation.
    optimizer: of both tables.
    mean_items: items of a user on average; the loss is per interaction.
    temperature: divides the scores.
    l2: of the squared norm of the rows of users and items, per interaction.
    attack: moves whole rows of both tables; None for none.
    weight: of the adversarial term, or a schedule of the step.
  """

  def objective(params, batch, key, tables):
    del params, key
    users = tables["user"][batch["user"]]
    items = tables["item"][: model.num_items]
    logits = users @ items.T / temperature
    return jnp.mean(multinomial(logits, batch["items"])) / mean_items

  def penalty(tables, batch):
    users = tables["user"][batch["user"]]
    items = tables["item"].at[batch["items"]].get(mode="fill", fill_value=0)
    squares = jnp.sum(jnp.square(items), axis=(1, 2)) / mean_items
    return l2 * jnp.mean(inner(users, users) + squares)

  loss = supervised(
    whole_tables, objective, attack, weight, penalty if l2 else None
  )
  return {"model": Player(_initializer(model), loss, optimizer)}


def _initializer(model: MatrixFactorization) -> Callable[[jax.Array], Params]:
  def init(key):
    return model.init(key, jnp.zeros(1, int), jnp.zeros(1, int))["params"]

  return init
