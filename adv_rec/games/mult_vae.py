"""The game of Mult-VAE, with or without an attack."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.divergence import categorical, standard_normal
from adv_rec.losses.ranking import multinomial
from adv_rec.models.mult_vae import MultVAE, rows_of
from adv_rec.types import Game, Player


def mult_vae(
  model: MultVAE,
  optimizer: optax.GradientTransformation,
  *,
  beta: float | Schedule = 0.2,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  consistency: bool = False,
) -> Game:
  """The negative ELBO with a weighted KL term (Liang et al. 2018, eq. 5-7).

  The batch has "items" [B, L], padded past the end. Attacked are the
  normalised rows of interactions [B, I], all of norm 1: the adversary adds a
  little of items that the user does not have and takes from those it has.

  Args:
    model: the autoencoder.
    optimizer: of all its parameters.
    beta: weight of the KL term; a schedule of the step anneals it.
    attack: moves the rows of interactions; None for none.
    weight: of the adversarial term, or a schedule of the step.
    consistency: whether that term is the divergence of the clean and the
      moved distributions over items; see `supervised`.
  """

  def init(key):
    return model.init(key, jnp.zeros((1, model.num_items)))["params"]

  def lookup(params, batch):
    del params
    return rows_of(batch["items"], model.num_items)

  def forward(params, key, rows):
    dropout, latent = jax.random.split(key)
    outputs: Any = model.apply(
      {"params": params},
      rows,
      train=True,
      rngs={"dropout": dropout, "latent": latent},
    )
    return outputs

  def objective(params, batch, key, rows):
    logits, mean, log_variance = forward(params, key, rows)
    loss = multinomial(logits, batch["items"])
    share = beta(batch["step"]) if callable(beta) else beta
    return jnp.mean(loss + share * standard_normal(mean, log_variance))

  def divergence(params, batch, key, clean, moved):
    del batch
    p, q = forward(params, key, clean)[0], forward(params, key, moved)[0]
    return jnp.mean(categorical(p, q))

  loss = supervised(
    lookup,
    objective,
    attack,
    weight,
    divergence=divergence if consistency else None,
  )
  return {"model": Player(init, loss, optimizer)}


def anneal(weight: float, steps: int) -> Schedule:
  """Up to `weight` along a line of `steps` steps, then constant."""
  return lambda step: weight * jnp.minimum(1.0, (step + 1) / max(steps, 1))
