"""The game of a generator of new users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.gan import adversarial
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.gan import Objective
from adv_rec.models.recommenders import multi_hot
from adv_rec.models.user_generator import (
  UserGenerator,
  answers,
  entered,
  keys,
)
from adv_rec.types import Game, Loss, Params, Player


def user_generator(
  generator: UserGenerator,
  factors: Callable[[], Params],
  optimizer: optax.GradientTransformation,
  *,
  attack: Attack | None = None,
  attack_weight: float | Schedule = 1.0,
  critic: nn.Module | None = None,
  critic_optimizer: optax.GradientTransformation | None = None,
  objective: Objective | None = None,
  critic_weight: float = 0.0,
  average: float | None = None,
) -> Game:
  """Learns from cut histories what whole ones hold.

  Of a user with many items a few are shown, and the generator's scores y of
  all items are to be x, the row of the others, in squares:

    mean over users of sum_i (x_i - y_i)^2.

  Added to it, each at its weight: the same with the shown items' rows moved
  by an attack; and the loss of a GAN whose critic, shown the same items,
  tells the generated query from the one that answers the whole history best
  (`models.user_generator.answers`).

  The batch has "known" [B, K], the items shown, and "items" [B, L], all, both
  padded past the end.

  Args:
    generator: of queries.
    factors: from `models.user_generator.item_factors`, traceable; they stay
      as they are.
    optimizer: of the generator.
    attack: moves the rows of the items shown; None for none.
    attack_weight: of the loss under attack.
    critic: called as `models.gan.Discriminator` is; needed with its weight.
    critic_optimizer: of the critic.
    objective: from `losses.gan`.
    critic_weight: of the GAN in the generator's loss; 0 for no critic.
    average: decay of the moving average of the generator.
  """

  def query(params, batch, key, rows):
    noise_key, dropout_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, (len(rows), generator.latent))
    num_items = len(params["base"]["share"])
    size = jnp.sum(batch["known"] < num_items, axis=1)
    made: Any = generator.apply(
      {"params": params["net"]},
      jnp.sum(rows, axis=1),
      size,
      noise,
      train=True,
      rngs={"dropout": dropout_key},
    )
    return made

  def lookup(params, batch):
    return entered(fixed(params)["enter"], batch["known"])

  def squares(params, batch, key, rows):
    base = fixed(params)
    num_items = len(base["share"])
    scores = query(params, batch, key, rows) @ keys(base).T
    others = multi_hot(batch["items"], num_items)
    others -= multi_hot(batch["known"], num_items)
    return jnp.mean(jnp.sum(jnp.square(others - scores), axis=1))

  loss = supervised(lookup, squares, attack, attack_weight)

  def init(key):
    zeros = jnp.zeros((1, generator.features))
    noise = jnp.zeros((1, generator.latent))
    one = jnp.ones(1, jnp.int32)
    net = generator.init(key, zeros, one, noise)["params"]
    return {"net": net, "base": factors()}

  parts = {"net": "net", "base": "base"}
  learner = optax.partition(
    {"net": optimizer, "base": optax.set_to_zero()}, parts
  )
  if not critic_weight:
    player = Player(init, loss, learner, average=average)
    return {"generator": player}
  assert critic is not None and critic_optimizer is not None and objective

  def generate(params, batch, key):
    made = query(params, batch, key, lookup(params, batch))
    return made[:, :-1], loss(params, {}, batch, key)[0]

  def discriminate(params, batch, key, examples):
    logits: Any = critic.apply(
      {"params": params},
      examples,
      batch["shown"],
      train=True,
      rngs={"dropout": key},
    )
    return logits

  losses = adversarial(
    generate,
    discriminate,
    Objective(
      objective.discriminator,
      lambda real, fake: critic_weight * objective.generator(real, fake),
    ),
    guide=lambda batch, lost: lost,
  )
  critic_loss, generator_loss = map(_with_answers, losses)

  def init_critic(key):
    zeros = jnp.zeros((1, generator.features))
    return critic.init(key, zeros, zeros)["params"]

  return {
    "discriminator": Player(init_critic, critic_loss, critic_optimizer),
    "generator": Player(init, generator_loss, learner, average=average),
  }


def fixed(params: Params) -> Params:
  """The item factors of a generator's parameters, which do not learn."""
  return jax.lax.stop_gradient(params["base"])


def _with_answers(loss: Loss) -> Loss:
  """Adds to the batch what the critic is shown, and what it takes for real."""

  def seen(params, everyone, batch, key):
    base = fixed(everyone["generator"])
    rows = multi_hot(batch["items"], len(base["share"]))
    shown = jnp.sum(entered(base["enter"], batch["known"]), axis=1)
    batch = {**batch, "real": answers(base, rows), "shown": shown}
    return loss(params, everyone, batch, key)

  return seen
