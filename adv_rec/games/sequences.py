"""The game of a generator of sequences, with or without a critic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.games.gan import adversarial, with_norm
from adv_rec.losses.gan import Objective, Penalty
from adv_rec.models.events import log_likelihood, one_hot, rollout
from adv_rec.privacy.gradients import PrivateLoss
from adv_rec.types import Game, Loss, Player


def likelihood(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  *,
  mean_events: float,
) -> Game:
  """Maximum likelihood of each next event, given those before it.

  The batch has "codes" [B, L, 3], see `data.event_codes`.

  Args:
    model: of `models.events`.
    optimizer: of its parameters.
    mean_events: of a sequence, so that the loss is nats per event.
  """
  return {"generator": _likelihood(model, optimizer, mean_events)}


def private_likelihood(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  gradient: Callable[[Loss], Callable[..., Any]],
  *,
  length: int,
) -> Game:
  """`likelihood` of which the gradient is private, and no metric is shown.

  The loss of a sequence is nats per event of a whole one: divided by a number
  that everybody may know, whatever its own events are.

  Args:
    model: of `models.events`.
    optimizer: of its parameters.
    gradient: from `privacy.gradients.private`.
    length: L, the most events of a sequence.
  """

  def examples(params, everyone, batch, key):
    del everyone, key
    parts = log_likelihood(model, params, batch["codes"])
    return -(parts["kind"] + parts["gap"] + parts["amount"]) / length

  def free(params, everyone, batch, key):
    del params, everyone, batch, key
    return jnp.zeros(()), {}

  player = _likelihood(model, optimizer, length)
  loss = PrivateLoss(examples, free, ("codes",))
  return {"generator": player._replace(loss=loss, gradient=gradient)}


def with_critic(
  model: nn.Module,
  critic: nn.Module,
  objective: Objective,
  optimizer: optax.GradientTransformation,
  critic_optimizer: optax.GradientTransformation,
  *,
  mean_events: float,
  length: int,
  weight: float,
  start: int,
  lead: int = 0,
  penalties: Mapping[Penalty, float] | None = None,
  temperature: float = 1.0,
) -> Game:
  """`likelihood`, and from a step on a critic of what the model draws.

  The loss of the generator is -ln p(real) + weight x its adversarial loss. Up
  to `start` that is maximum likelihood, the second term not even computed (and
  equal to `likelihood` up to rounding, since the compiler sees another
  program); the critic learns from `start - lead` on.

  Args:
    model: of `models.events`.
    critic: sequences [B, L, W] -> logits [B].
    objective: from `losses.gan`.
    optimizer: of the model.
    critic_optimizer: of the critic.
    mean_events: see `likelihood`.
    length: L.
    weight: of the adversarial term; at 0 the game is `likelihood`.
    start: the first step with it.
    lead: steps before that in which the critic learns already.
    penalties: penalty -> weight, of the critic.
    temperature: of `models.events.rollout`.
  """
  alone = _likelihood(model, optimizer, mean_events)
  if weight == 0:
    return {"generator": alone}
  sizes: Any = model.sizes  # pyright: ignore[reportAttributeAccessIssue]

  def generate(params, batch, key):
    num, length, _ = batch["codes"].shape
    return rollout(model, params, key, num, length, temperature)

  def discriminate(params, batch, key, examples):
    del batch, key
    logits: Any = critic.apply({"params": params}, examples)
    return logits

  critic_loss, deceive = adversarial(
    generate,
    discriminate,
    objective,
    penalties,
    real=lambda batch: one_hot(batch["codes"], sizes),
  )

  def later(loss, first):
    """The loss from a step on; zero, and not computed, before it."""

    def scheduled(params, everyone, batch, key):
      def play(params):
        return loss(params, everyone, batch, key)

      def rest(params):
        shapes = jax.eval_shape(play, params)
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

      return jax.lax.cond(batch["step"] >= first, play, rest, params)

    return scheduled

  deceive = later(deceive, start)

  def generator_loss(params, everyone, batch, key):
    total, metrics = alone.loss(params, everyone, batch, key)
    adversary, values = deceive(params, everyone, batch, key)
    metrics = {**metrics, "adversarial_loss": values["loss"]}
    return total + weight * adversary, metrics

  @jax.jit
  def init_critic(key):
    return critic.init(key, jnp.zeros((1, length, sizes.width)))["params"]

  return {
    "generator": alone._replace(loss=generator_loss),
    "discriminator": Player(
      init_critic,
      later(critic_loss, start - lead),
      critic_optimizer,
      gradient=with_norm,
    ),
  }


def _likelihood(
  model: nn.Module, optimizer: optax.GradientTransformation, mean_events: float
) -> Player:
  sizes: Any = model.sizes  # pyright: ignore[reportAttributeAccessIssue]

  @jax.jit  # one program, not one for each layer
  def init(key):
    return model.init(key, jnp.zeros((1, sizes.width)))["params"]

  def loss(params, everyone, batch, key):
    del everyone, key
    parts = log_likelihood(model, params, batch["codes"])
    losses = {k: -jnp.mean(v) / mean_events for k, v in parts.items()}
    total = losses["kind"] + losses["gap"] + losses["amount"]
    return total, {"loss": total, **losses}

  return Player(init, loss, optimizer, gradient=with_norm)
