"""The game of LightGCN, with or without an attack."""

from __future__ import annotations

from collections.abc import Callable

import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.recommend import (
  initializer,
  mean_bpr,
  mean_divergence,
  mean_squares_in,
)
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.models.recommenders import (
  MatrixFactorization,
  batch_rows,
  whole_tables,
)
from adv_rec.types import Game, Params, Player


def lightgcn(
  model: MatrixFactorization,
  propagate: Callable[[Params], Params],
  optimizer: optax.GradientTransformation,
  *,
  l2: float = 0.0,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  consistency: bool = False,
) -> Game:
  """BPR on propagated embeddings (He et al. 2020, arXiv:2002.02126, eq. 15).

  The batch has "user", "positive" and "negative" [B]. Learned, penalised and
  attacked are the tables before the propagation (layer 0), so that a
  perturbation spreads over the graph as the embeddings do.

  Args:
    model: the tables of layer 0, and how they score.
    propagate: tables -> tables, from `models.lightgcn`.
    optimizer: of both tables.
    l2: of the squared norm of the three rows of each triple, in layer 0.
    attack: moves whole rows of both tables; None for none.
    weight: of the adversarial term, or a schedule of the step.
    consistency: whether that term is the divergence of the clean and the
      moved preferences; see `supervised`.
  """

  def rows(tables, batch):
    return batch_rows(propagate(tables), batch)

  def objective(params, batch, key, tables):
    del params, key
    return mean_bpr(rows(tables, batch))

  def divergence(params, batch, key, clean, moved):
    del params, key
    return mean_divergence(rows(clean, batch), rows(moved, batch))

  def penalty(tables, batch):
    return l2 * mean_squares_in(tables, batch)

  loss = supervised(
    whole_tables,
    objective,
    attack,
    weight,
    penalty if l2 else None,
    divergence if consistency else None,
  )
  return {"model": Player(initializer(model), loss, optimizer)}
