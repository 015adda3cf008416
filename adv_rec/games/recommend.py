"""Games of recommenders: closed forms, and BPR-MF with or without an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.divergence import bernoulli, categorical
from adv_rec.losses.ranking import bpr, multinomial
from adv_rec.models.recommenders import (
  MatrixFactorization,
  batch_rows,
  inner,
  whole_tables,
)
from adv_rec.types import Batch, Game, Params, Player


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
  consistency: bool = False,
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
    row_sparse: whether steps touch the rows of their batch only; quicker
      with the entries of `data.batching.with_local_rows`.
    consistency: whether the adversarial term is the divergence of the clean
      and the moved preferences; see `supervised`.
  """
  lookup = whole_tables if whole_rows else batch_rows

  def rows_of(inputs, batch):
    return batch_rows(inputs, batch) if whole_rows else inputs

  def objective(params, batch, key, inputs):
    del params, key
    return mean_bpr(rows_of(inputs, batch))

  def divergence(params, batch, key, clean, moved):
    del params, key
    return mean_divergence(rows_of(clean, batch), rows_of(moved, batch))

  def penalty(inputs, batch):
    if whole_rows:
      return l2 * mean_squares_in(inputs, batch)
    return l2 * mean_squares(inputs)

  loss = supervised(
    lookup,
    objective,
    attack,
    weight,
    penalty if l2 else None,
    divergence if consistency else None,
  )
  rows = {"user": ("user",), "item": ("positive", "negative")}
  player = Player(
    initializer(model), loss, optimizer, rows=rows if row_sparse else None
  )
  return {"model": player}


def full_softmax(
  model: MatrixFactorization,
  optimizer: optax.GradientTransformation,
  mean_items: float,
  *,
  temperature: float = 1.0,
  l2: float = 0.0,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  consistency: bool = False,
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
    consistency: whether that term is the divergence of the clean and the
      moved distributions over items; see `supervised`.
  """

  def logits(tables, batch):
    users = tables["user"][batch["user"]]
    items = tables["item"][: model.num_items]
    return users @ items.T / temperature

  def objective(params, batch, key, tables):
    del params, key
    loss = multinomial(logits(tables, batch), batch["items"])
    return jnp.mean(loss) / mean_items

  def divergence(params, batch, key, clean, moved):
    del params, key
    return jnp.mean(categorical(logits(clean, batch), logits(moved, batch)))

  def penalty(tables, batch):
    users = tables["user"][batch["user"]]
    items = tables["item"].at[batch["items"]].get(mode="fill", fill_value=0)
    squares = jnp.sum(jnp.square(items), axis=(1, 2)) / mean_items
    return l2 * jnp.mean(inner(users, users) + squares)

  loss = supervised(
    whole_tables,
    objective,
    attack,
    weight,
    penalty if l2 else None,
    divergence if consistency else None,
  )
  return {"model": Player(initializer(model), loss, optimizer)}


def mean_bpr(rows: Mapping[str, jax.Array]) -> jax.Array:
  """Mean BPR of the rows that `batch_rows` returns. {[B, D]} -> scalar."""
  # x_ui - x_uj as one inner product: two cost more.
  margin = inner(rows["user"], rows["positive"] - rows["negative"])
  return jnp.mean(bpr(margin, jnp.zeros_like(margin)))


def mean_divergence(
  clean: Mapping[str, jax.Array], moved: Mapping[str, jax.Array]
) -> jax.Array:
  """Mean KL of the preferences sigmoid(x_ui - x_uj). Two {[B, D]} -> scalar."""
  p, q = (
    inner(rows["user"], rows["positive"] - rows["negative"])
    for rows in (clean, moved)
  )
  return jnp.mean(bernoulli(p, q))


def mean_squares(rows: Mapping[str, jax.Array]) -> jax.Array:
  """Mean over the triples of the squared norm of their rows."""
  return jnp.sum(jnp.stack([jnp.mean(inner(x, x)) for x in rows.values()]))


def mean_squares_in(tables: Mapping[str, jax.Array], batch: Batch) -> jax.Array:
  """`mean_squares` of the `batch_rows` of {[N, D]}, at half the step.

  A row counts as often as the batch names it, so that its gradient is its own
  multiple: one number a triple is scattered instead of D.
  """
  ids = {
    "user": batch["user"],
    "item": jnp.concatenate([batch["positive"], batch["negative"]]),
  }
  total = jnp.zeros(())
  for name, table in tables.items():
    times = jnp.zeros(len(table)).at[ids[name]].add(1.0)
    total += jnp.dot(times, inner(table, table))
  return total / batch["user"].shape[0]


def initializer(model: MatrixFactorization) -> Callable[[jax.Array], Params]:
  """Key -> the tables of the model."""

  def init(key):
    return model.init(key, jnp.zeros(1, int), jnp.zeros(1, int))["params"]

  return init
