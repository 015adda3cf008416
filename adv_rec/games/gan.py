"""The game of a generator and a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.losses.gan import Objective, Penalty
from adv_rec.models.gan import packed, sample
from adv_rec.types import Batch, Game, Loss, Metrics, Params, Player, plain

# The two networks as functions. Generate: (generator's params, batch, key) ->
# examples [B, ...], with a guide a pair (see `adversarial`). Discriminate:
# (discriminator's params, batch, key, examples) -> logits [B].
Generate = Callable[[Params, Batch, jax.Array], Any]
Discriminate = Callable[[Params, Batch, jax.Array, jax.Array], jax.Array]


def adversarial(
  generate: Generate,
  discriminate: Discriminate,
  objective: Objective,
  penalties: Mapping[Penalty, float] | None = None,
  real: Callable[[Batch], jax.Array] = lambda batch: batch["real"],
  guide: Callable[[Batch, Any], jax.Array] | None = None,
) -> tuple[Loss, Loss]:
  """What a "discriminator" and a "generator" minimise, as players.

  Real and generated examples of a loss, and its penalties, share one key of
  the discriminator: the same dropout mask, row by row.

  Args:
    generate: the generator.
    discriminate: the discriminator.
    objective: from `adv_rec.losses.gan`.
    penalties: penalty -> weight, added to the discriminator's loss; at weight
      0 they are not computed.
    real: batch -> real examples, of the shape that generate returns.
    guide: what else the generator minimises: (batch, guided) -> [B]. Generate
      then returns (examples, guided).

  Returns:
    The losses of the discriminator and of the generator.
  """
  penalties = {f: w for f, w in (penalties or {}).items() if w}

  def generated(params, batch, key):
    made = generate(params, batch, key)
    return made if guide else (made, None)

  def discriminator_loss(params, everyone, batch, key):
    sample_key, score_key, penalty_key = jax.random.split(key, 3)
    x = real(batch)
    y, _ = generated(everyone["generator"], batch, sample_key)

    def critic(examples):
      return discriminate(params, batch, score_key, examples)

    real_logits, fake_logits = critic(x), critic(y)
    total = loss = jnp.mean(objective.discriminator(real_logits, fake_logits))
    metrics = {
      "loss": loss,
      "real_logit": jnp.mean(real_logits),
      "fake_logit": jnp.mean(fake_logits),
      "accuracy": jnp.mean(
        jnp.concatenate([real_logits > 0, fake_logits < 0]).astype(loss.dtype)
      ),
    }
    for i, (penalty, weight) in enumerate(penalties.items()):
      values = penalty(critic, x, y, jax.random.fold_in(penalty_key, i))
      total = total + weight * jnp.mean(values)
    if penalties:
      metrics["penalty"] = total - loss
    return total, metrics

  def generator_loss(params, everyone, batch, key):
    sample_key, score_key = jax.random.split(key)

    def critic(examples):
      return discriminate(everyone["discriminator"], batch, score_key, examples)

    y, guided = generated(params, batch, sample_key)
    fake_logits = critic(y)
    loss = jnp.mean(objective.generator(critic(real(batch)), fake_logits))
    metrics = {"loss": loss, "fake_logit": jnp.mean(fake_logits)}
    if guide is None:
      return loss, metrics
    metrics["guide"] = jnp.mean(guide(batch, guided))
    return loss + metrics["guide"], metrics

  return discriminator_loss, generator_loss


def gan(
  generator: nn.Module,
  discriminator: nn.Module,
  objective: Objective,
  discriminator_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
  *,
  condition: int = 0,
  penalties: Mapping[Penalty, float] | None = None,
  pack: int = 1,
  updates: int = 1,
  average: float | None = None,
) -> Game:
  """A GAN of vectors, conditional where there is a condition.

  The batch has "real" [B, D] and, if there is a condition, "condition"
  [B, C], of the real examples; the generated ones take the same. Two
  optimizers are two time scales (Heusel et al. 2017, arXiv:1706.08500).

  Args:
    generator: called as `models.gan.Generator` is, with its attributes
      `features` D and `latent` Z.
    discriminator: called as `models.gan.Discriminator` is.
    objective: from `adv_rec.losses.gan`.
    discriminator_optimizer: of the discriminator's parameters.
    generator_optimizer: of the generator's parameters.
    condition: C, 0 for none.
    penalties: penalty -> weight, of the discriminator; see `adversarial`.
    pack: examples that the discriminator judges at once, see
      `models.gan.packed`. A penalty takes a pack as one example.
    updates: of the discriminator for one of the generator, each on its own
      share of the batch; a batch of B rows is then B / updates rows each.
    average: decay of the moving average of the generator's parameters; None
      keeps none.
  """

  def conditions(batch):
    return batch["condition"] if condition else None

  def init_generator(key):
    noise = jnp.zeros((1, generator.latent))
    return generator.init(key, noise, *_zeros(condition))["params"]

  def init_discriminator(key):
    examples = jnp.zeros((1, pack * generator.features))
    given = _zeros(pack * condition)
    return discriminator.init(key, examples, *given)["params"]

  def generate(params, batch, key):
    num = batch["real"].shape[0]
    given = conditions(batch)
    return packed(sample(generator, params, key, num, given), pack)

  def discriminate(params, batch, key, examples):
    given = conditions(batch)
    logits: Any = discriminator.apply(
      {"params": params},
      examples,
      None if given is None else packed(given, pack),
      train=True,
      rngs={"dropout": key},
    )
    return logits

  discriminator_loss, generator_loss = adversarial(
    generate,
    discriminate,
    objective,
    penalties,
    real=lambda batch: packed(batch["real"], pack),
  )
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


def with_norm(loss: Loss) -> Callable[..., tuple[Params, Metrics]]:
  """`types.plain` with the norm of the gradient among the metrics."""
  gradient = plain(loss)

  def measured(*args):
    gradients, metrics = gradient(*args)
    return gradients, {
      **metrics,
      "gradient_norm": optax.tree.norm(gradients),
    }

  return measured


def _zeros(width: int) -> tuple[jax.Array, ...]:
  return (jnp.zeros((1, width)),) if width else ()
