"""The game of CFGAN: a generator of interaction vectors as a recommender."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.games.gan import adversarial, with_norm
from adv_rec.losses.gan import Objective
from adv_rec.models.gan import sample
from adv_rec.models.recommenders import multi_hot
from adv_rec.types import Batch, Game, Player


def cfgan(
  generator: nn.Module,
  discriminator: nn.Module,
  objective: Objective,
  discriminator_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
  *,
  zero_weight: float = 0.0,
  zero_share: float = 0.0,
  mask_share: float = 0.0,
  discriminator_updates: int = 1,
  generator_updates: int = 1,
  average: float | None = None,
) -> Game:
  """Vector-wise adversarial training with negatives (Chae et al. 2018, CIKM).

  A row x of the interactions, of a user or of an item, is the condition. The
  generator answers it with y, real numbers. The discriminator tells x from
  y * m, each beside the condition (eq. 2 and 3), where m is 1 at the cells of x
  and at a random share of the others (partial masking, "PM"): without these the
  generator is never told to give a zero, and answers 1 everywhere. To the
  generator's loss is added

    zero_weight x sum over a random share of the other cells of y^2

  (zero reconstruction, "ZR", eq. 6); both together are "ZP". One draw, anew in
  each update, decides both: with equal shares the cells shown are those drawn
  to zero. The paper has two draws, but in its authors' program they have one
  seed.

  The condition is what is to be generated, so that the generator tends to the
  identity (Perez Maurera et al. 2022, arXiv:2201.01815).

  The batch has "items" [B, L], the cells of each row, padded past the end.

  Args:
    generator: called as `models.gan.Generator` is, with `features` D.
    discriminator: called as `models.gan.Discriminator` is.
    objective: from `losses.gan`; the paper has `minimax`.
    discriminator_optimizer: of the discriminator's parameters.
    generator_optimizer: of the generator's parameters.
    zero_weight: alpha of ZR.
    zero_share: of the empty cells of a row, that ZR draws to zero.
    mask_share: of the empty cells of a row, that PM shows the discriminator.
    discriminator_updates: in a step, all before those of the generator. With
      many on either side each learns against one that stands still, as in the
      authors' program; in turns of a few updates the generator gets worse
      again as it goes on.
    generator_updates: in a step. Each update of either has its own share of
      the batch, rows / max(updates).
    average: decay of the moving average of the generator's parameters.
  """
  width = generator.features

  def rows(batch: Batch) -> jax.Array:
    return multi_hot(batch["items"], width)

  def generate(params, batch, key):
    x = rows(batch)
    y = sample(generator, params, key, len(x), x)
    draw = jax.random.uniform(jax.random.fold_in(key, 0), x.shape)
    mask = x + (1.0 - x) * (draw < mask_share)
    zero = (1.0 - x) * (draw < zero_share)
    return mask * y, jnp.sum(zero * jnp.square(y), axis=1)

  def discriminate(params, batch, key, examples):
    logits: Any = discriminator.apply(
      {"params": params},
      examples,
      rows(batch),
      train=True,
      rngs={"dropout": key},
    )
    return logits

  discriminator_loss, generator_loss = adversarial(
    generate,
    discriminate,
    objective,
    real=rows,
    guide=lambda batch, zeros: zero_weight * zeros,
  )

  def init_generator(key):
    noise, x = jnp.zeros((1, generator.latent)), jnp.zeros((1, width))
    return generator.init(key, noise, x)["params"]

  def init_discriminator(key):
    x = jnp.zeros((1, width))
    return discriminator.init(key, x, x)["params"]

  return {
    "discriminator": Player(
      init_discriminator,
      discriminator_loss,
      discriminator_optimizer,
      gradient=with_norm,
      updates=discriminator_updates,
    ),
    "generator": Player(
      init_generator,
      generator_loss,
      generator_optimizer,
      gradient=with_norm,
      updates=generator_updates,
      average=average,
    ),
  }
