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
  hide: float = 0.0,
  l2: float = 0.0,
  updates: int = 1,
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

  (zero reconstruction, "ZR", eq. 6). Both shares are drawn anew in each step;
  both together are "ZP".

  The condition is what is to be generated, so that the generator ends as the
  identity (Perez Maurera et al. 2022, arXiv:2201.01815). With `hide` both
  players are shown a random part of the row instead, and the generator must
  complete it; that is ours.

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
    hide: share of the row's own cells left out of the condition.
    l2: of half the squared norm of the generator's parameters.
    updates: of the generator for one of the discriminator, each on its own
      share of the batch; a batch of B rows is then B / updates rows each.
    average: decay of the moving average of the generator's parameters.
  """
  width = generator.features

  def rows(batch: Batch) -> jax.Array:
    return multi_hot(batch["items"], width)

  def condition(batch: Batch, x: jax.Array) -> jax.Array:
    if not hide:
      return x
    # Of the step, not of the turn: both players are shown the same part.
    key = jax.random.fold_in(jax.random.key(0), batch["step"])
    return x * jax.random.bernoulli(key, 1.0 - hide, x.shape)

  def answer(params, batch, key):
    x = rows(batch)
    return sample(generator, params, key, len(x), condition(batch, x))

  def empty_cells(x, key, share):
    return (1.0 - x) * jax.random.bernoulli(key, share, x.shape)

  def generate(params, batch, key):
    x = rows(batch)
    mask = x + empty_cells(x, jax.random.fold_in(key, 0), mask_share)
    return mask * answer(params, batch, key)

  def discriminate(params, batch, key, examples):
    logits: Any = discriminator.apply(
      {"params": params},
      examples,
      condition(batch, rows(batch)),
      train=True,
      rngs={"dropout": key},
    )
    return logits

  discriminator_loss, deceive = adversarial(
    generate, discriminate, objective, real=rows
  )

  def generator_loss(params, everyone, batch, key):
    loss, metrics = deceive(params, everyone, batch, key)
    if l2:
      loss += 0.5 * l2 * optax.tree.norm(params, squared=True)
    if not zero_weight:
      return loss, metrics
    x = rows(batch)
    y = answer(params, batch, key)
    drawn = empty_cells(x, jax.random.fold_in(key, 1), zero_share)
    zeros = jnp.mean(jnp.sum(drawn * jnp.square(y), axis=1))
    return loss + zero_weight * zeros, {**metrics, "zeros": zeros}

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
    ),
    "generator": Player(
      init_generator,
      generator_loss,
      generator_optimizer,
      gradient=with_norm,
      updates=updates,
      average=average,
    ),
  }
