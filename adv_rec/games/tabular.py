"""The game of a generator of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.games.gan import adversarial, with_norm
from adv_rec.losses.gan import Objective, Penalty
from adv_rec.models.gan import packed, sample
from adv_rec.models.tabular import Layout, condition_loss, one_hot, relaxed
from adv_rec.types import Batch, Game, Player


def table_gan(
  layout: Layout,
  generator: nn.Module,
  discriminator: nn.Module,
  objective: Objective,
  discriminator_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
  *,
  penalties: Mapping[Penalty, float] | None = None,
  pack: int = 1,
  updates: int = 1,
  average: float | None = None,
  temperature: float = 0.2,
) -> Game:
  """A conditional GAN of rows (Xu et al. 2019, arXiv:1907.00503).

  The batch has "codes" [B, K] and "numbers" [B, F], the real rows, and
  "condition" [B], a cell that each of them has. Generated rows are given the
  same; the cross-entropy of the conditioned block is added to the generator's
  loss (`models.tabular.condition_loss`).

  Args:
    layout: of the rows.
    generator: called as `models.gan.Generator` is, with `features` D; its
      outputs are logits of the cells, then numbers before the tangent.
    discriminator: called as `models.gan.Discriminator` is.
    objective: from `losses.gan`.
    discriminator_optimizer: of the discriminator's parameters.
    generator_optimizer: of the generator's parameters.
    penalties: penalty -> weight, of the discriminator; see `adversarial`.
    pack: rows that the discriminator judges at once, see `models.gan.packed`.
    updates: of the discriminator for one of the generator, each on its own
      share of the batch.
    average: decay of the moving average of the generator's parameters.
    temperature: of `models.tabular.relaxed`.
  """

  def condition(batch: Batch) -> jax.Array:
    return jax.nn.one_hot(batch["condition"], layout.cells)

  def real(batch):
    rows = one_hot(batch["codes"], batch["numbers"], layout)
    return packed(rows, pack)

  def generate(params, batch, key):
    given = condition(batch)
    outputs = sample(generator, params, key, len(given), given)
    noise_key = jax.random.fold_in(key, 1)
    rows = relaxed(outputs, noise_key, layout, temperature)
    return packed(rows, pack), outputs

  def discriminate(params, batch, key, examples):
    logits: Any = discriminator.apply(
      {"params": params},
      examples,
      packed(condition(batch), pack),
      train=True,
      rngs={"dropout": key},
    )
    return logits

  discriminator_loss, generator_loss = adversarial(
    generate,
    discriminate,
    objective,
    penalties,
    real=real,
    guide=lambda batch, outputs: condition_loss(
      outputs, batch["condition"], layout
    ),
  )

  def init_generator(key):
    noise = jnp.zeros((1, generator.latent))
    return generator.init(key, noise, jnp.zeros((1, layout.cells)))["params"]

  def init_discriminator(key):
    rows = jnp.zeros((1, pack * layout.width))
    given = jnp.zeros((1, pack * layout.cells))
    return discriminator.init(key, rows, given)["params"]

  return {
    "discriminator": Player(
      init_discriminator,
      discriminator_loss,
      discriminator_optimizer,
      gradient=with_norm,
      updates=updates,
    ),
    "generator": Player(
      init_generator,
      generator_loss,
      generator_optimizer,
      gradient=with_norm,
      average=average,
    ),
  }
