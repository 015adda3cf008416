"""The game of a generator and a private discriminator.

Only the discriminator's term of real rows touches data. Fakes come from what
everybody may know, so their term is added unclipped, and the generator sees
the data through the discriminator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.games.gan import with_norm
from adv_rec.losses.gan import Objective, Penalty
from adv_rec.models.gan import sample
from adv_rec.models.tabular import (
  Layout,
  condition_loss,
  one_hot,
  pair_distance,
  relaxed,
)
from adv_rec.privacy.gradients import PrivateLoss, without_data
from adv_rec.types import Batch, Game, Loss, Params, Player

# (generator's params, public batch, key) -> fakes [F, ...], with a guide a
# pair; (discriminator's params, key, examples [B, ...]) -> logits [B], each
# example on its own; (batch, key) -> real examples [B, ...], likewise.
Generate = Callable[[Params, Batch, jax.Array], Any]
Discriminate = Callable[[Params, jax.Array, jax.Array], jax.Array]
Real = Callable[[Batch, jax.Array], jax.Array]


def private_adversarial(
  generate: Generate,
  discriminate: Discriminate,
  objective: Objective,
  real: Real,
  data: tuple[str, ...],
  penalties: Mapping[Penalty, float] | None = None,
  guide: Callable[[Batch, Any], jax.Array] | None = None,
) -> tuple[PrivateLoss, Loss]:
  """What a private "discriminator" and its "generator" minimise.

  As `games.gan.adversarial`, to which it is equal on a full batch but for the
  penalties: these hold between generated examples only, each with the next in
  the place of the real one, since they would touch data twice otherwise.

  Args:
    generate: the generator.
    discriminate: the discriminator.
    objective: from `losses.gan`; one that does not pair real and generated.
    real: batch -> real examples.
    data: the entries of the batch that are data.
    penalties: penalty -> weight.
    guide: as of `adversarial`.

  Returns:
    The losses of the discriminator and of the generator.

  Raises:
    ValueError: the objective compares a real with a generated example, so
      that fakes would not be free.
  """
  _check(objective)
  penalties = {f: w for f, w in (penalties or {}).items() if w}

  def generated(params, batch, key):
    made = generate(params, batch, key)
    return made if guide else (made, None)

  def examples(params, everyone, batch, key):
    del everyone
    sample_key, score_key, _ = jax.random.split(key, 3)
    logits = discriminate(params, score_key, real(batch, sample_key))
    zero = jnp.zeros_like(logits)
    # f(x, y) = f(x, 0) + f(0, y) - f(0, 0), as is checked.
    return objective.discriminator(logits, zero) - objective.discriminator(
      zero, zero
    )

  def free(params, everyone, batch, key):
    sample_key, score_key, penalty_key = jax.random.split(key, 3)
    y, _ = generated(everyone["generator"], batch, sample_key)

    def critic(x):
      return discriminate(params, score_key, x)

    logits = critic(y)
    loss = jnp.mean(objective.discriminator(jnp.zeros_like(logits), logits))
    metrics = {"fake_loss": loss, "fake_logit": jnp.mean(logits)}
    total = loss
    for i, (penalty, weight) in enumerate(penalties.items()):
      other, key = jnp.roll(y, 1, axis=0), jax.random.fold_in(penalty_key, i)
      total = total + weight * jnp.mean(penalty(critic, other, y, key))
    if penalties:
      metrics["penalty"] = total - loss
    return total, metrics

  def generator_loss(params, everyone, batch, key):
    sample_key, score_key = jax.random.split(key)
    y, guided = generated(params, batch, sample_key)
    logits = discriminate(everyone["discriminator"], score_key, y)
    loss = jnp.mean(objective.generator(jnp.zeros_like(logits), logits))
    metrics = {"loss": loss, "fake_logit": jnp.mean(logits)}
    if guide is None:
      return loss, metrics
    metrics["guide"] = jnp.mean(guide(batch, guided))
    return loss + metrics["guide"], metrics

  return PrivateLoss(examples, free, data), without_data(generator_loss, data)


def private_table_gan(
  layout: Layout,
  generator: nn.Module,
  discriminator: nn.Module,
  objective: Objective,
  discriminator_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
  gradient: Callable[[Loss], Callable[..., Any]],
  *,
  penalties: Mapping[Penalty, float] | None = None,
  updates: int = 1,
  average: float | None = None,
  temperature: float = 0.2,
  pairs: Mapping[tuple[int, ...], np.ndarray] | None = None,
  pairs_weight: float = 1.0,
) -> Game:
  """`games.tabular.table_gan` with a discriminator that learns privately.

  The batch has the data, "codes" [B, K] and "numbers" [B, F] of real rows, and
  "condition" [G], cells that are public: those of generated rows. A real row is
  judged beside a cell of its own, of a block at random, so that it comes with
  the conditions of the generated ones if these are a block at random and one of
  its cells, as frequent as in the data. Rows are not packed: a pack would be
  one unit of several.

  Args:
    layout: of the rows.
    generator: as of `table_gan`.
    discriminator: called with rows and their conditions side by side.
    objective: see `private_adversarial`.
    discriminator_optimizer: of the discriminator's parameters.
    generator_optimizer: of the generator's parameters.
    gradient: the discriminator's, from `privacy.gradients.private`.
    penalties: see `private_adversarial`.
    updates: of the discriminator for one of the generator.
    average: decay of the moving average of the generator's parameters.
    temperature: of `models.tabular.relaxed`.
    pairs: two blocks -> the chances of their cells, which are public, as noisy
      counts are. The generator is told how far its own are from these, as in
      GEM (Liu, Vietri & Wu 2021, arXiv:2106.07153), beside what the
      discriminator tells it.
    pairs_weight: of the sum of these distances.
  """
  known = {pair: jnp.asarray(x) for pair, x in (pairs or {}).items()}
  first = np.cumsum([0, *layout.sizes[:-1]])

  def real(batch, key):
    codes = batch["codes"]
    block = jax.random.randint(key, (len(codes),), 0, len(layout.sizes))
    own = jnp.take_along_axis(codes, block[:, None], axis=1)[:, 0]
    cell = jax.nn.one_hot(own + jnp.asarray(first)[block], layout.cells)
    rows = one_hot(codes, batch["numbers"], layout)
    return jnp.concatenate([rows, cell], axis=-1)

  def generate(params, batch, key):
    given = jax.nn.one_hot(batch["condition"], layout.cells)
    outputs = sample(generator, params, key, len(given), given)
    noise_key = jax.random.fold_in(key, 1)
    rows = relaxed(outputs, noise_key, layout, temperature)
    return jnp.concatenate([rows, given], axis=-1), outputs

  def discriminate(params, key, examples):
    logits: Any = discriminator.apply(
      {"params": params}, examples, train=True, rngs={"dropout": key}
    )
    return logits

  def guide(batch, outputs):
    told = condition_loss(outputs, batch["condition"], layout)
    for pair, chances in known.items():
      told += pairs_weight * pair_distance(outputs, pair, chances, layout)
    return told

  discriminator_loss, generator_loss = private_adversarial(
    generate,
    discriminate,
    objective,
    real,
    ("codes", "numbers"),
    penalties,
    guide=guide,
  )

  def init_generator(key):
    noise = jnp.zeros((1, generator.latent))
    return generator.init(key, noise, jnp.zeros((1, layout.cells)))["params"]

  def init_discriminator(key):
    rows = jnp.zeros((1, layout.width + layout.cells))
    return discriminator.init(key, rows)["params"]

  return {
    "discriminator": Player(
      init_discriminator,
      discriminator_loss,
      discriminator_optimizer,
      gradient=gradient,
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


def _check(objective: Objective) -> None:
  x, y = (jnp.asarray(v) for v in ([-1.5, 0.3, 2.0, 0.3], [-0.7, 1.1, 0.2, 2]))
  zero = jnp.zeros_like(x)
  d, g = objective.discriminator, objective.generator
  apart = jnp.allclose(d(x, y) + d(zero, zero), d(x, zero) + d(zero, y), 1e-4)
  if not apart or not jnp.allclose(g(x, y), g(zero, y), 1e-4):
    raise ValueError(
      "this objective compares real with generated examples, so that fakes and"
      " the generator would touch data; choose minimax, non_saturating,"
      " least_squares, wasserstein or hinge"
    )
