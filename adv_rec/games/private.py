"""The game of a generator and a private discriminator.

Only the discriminator's term of real rows touches data. Fakes come from what
everybody may know, so their term is added unclipped, and the generator sees
the data through the discriminator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adv_rec.losses.gan import Objective, Penalty
from adv_rec.privacy.gradients import PrivateLoss, without_data
from adv_rec.types import Batch, Loss, Params

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
