"""The game of SASRec, with or without an attack."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.divergence import categorical
from adv_rec.losses.ranking import next_item
from adv_rec.models.sasrec import SASRec, embed
from adv_rec.types import Game, Player


def sasrec(
  model: SASRec,
  optimizer: optax.GradientTransformation,
  mean_targets: float,
  *,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  whole_rows: bool = True,
  consistency: bool = False,
) -> Game:
  """Predicts each next item of a sequence among all items.

  The paper (Kang & McAuley 2018, arXiv:1808.09781, eq. 7) tells each next
  item from one drawn at random; here it is the softmax over all items, which
  ranks better (Klenitskiy & Vasilev 2023, arXiv:2309.07602) and draws
  nothing. The batch has "items" [B, N + 1], the oldest first, padded on the
  left with ids past the end of the item table.

  Args:
    model: the network.
    optimizer: of all its parameters.
    mean_targets: items of a sequence on average that another comes before;
      the loss is per predicted item.
    attack: moves item embeddings; None for none.
    weight: of the adversarial term, or a schedule of the step.
    whole_rows: whether the attack moves each row of the item table once, as
      input and as output, or each embedded item of a sequence on its own.
    consistency: whether the adversarial term is the divergence of the clean
      and the moved distributions over items; see `supervised`.
  """

  def init(key):
    shape = (1, model.length)
    embedded = jnp.zeros((*shape, model.dim))
    return model.init(key, embedded, jnp.ones(shape, bool))["params"]

  def lookup(params, batch):
    if whole_rows:
      return params["item"]
    return embed(params["item"], batch["items"][:, :-1])

  def logits(params, batch, key, inputs):
    items = batch["items"][:, :-1]
    table = inputs if whole_rows else params["item"]
    hidden = model.apply(
      {"params": params},
      embed(table, items) if whole_rows else inputs,
      items < model.num_items,
      train=True,
      rngs={"dropout": key},
    )
    assert isinstance(hidden, jax.Array)
    return hidden @ table[: model.num_items].T

  def mean(losses, batch):
    known = batch["items"][:, :-1] < model.num_items
    return jnp.mean(jnp.sum(losses, axis=1, where=known)) / mean_targets

  def objective(params, batch, key, inputs):
    scores = logits(params, batch, key, inputs)
    return mean(next_item(scores, batch["items"][:, 1:]), batch)

  def divergence(params, batch, key, clean, moved):
    p = logits(params, batch, key, clean)
    q = logits(params, batch, key, moved)
    return mean(categorical(p, q), batch)

  loss = supervised(
    lookup,
    objective,
    attack,
    weight,
    divergence=divergence if consistency else None,
  )
  return {"model": Player(init, loss, optimizer)}
