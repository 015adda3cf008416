"""Published games of generators for cold items: GAR and LARA."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.games.gan import adversarial
from adv_rec.losses.gan import Objective
from adv_rec.models.item_generator import ItemGenerator, PairCritic
from adv_rec.models.recommenders import inner
from adv_rec.types import Game, Player


class TwoTowers(nn.Module):
  """Perceptrons of users' and of items' embeddings: a recommender.

  Attributes:
    dim: width of the embeddings, and of all layers.
  """

  dim: int

  def setup(self) -> None:
    """Declares a tower for each side."""
    self.user_layers = [nn.Dense(self.dim) for _ in range(2)]
    self.item_layers = [nn.Dense(self.dim) for _ in range(2)]

  def users(self, embeddings: jax.Array) -> jax.Array:
    """[U, D] -> queries [U, D]."""
    return _tower(self.user_layers, embeddings)

  def items(self, embeddings: jax.Array) -> jax.Array:
    """[B, D] -> keys [B, D]."""
    return _tower(self.item_layers, embeddings)

  def __call__(self, users: jax.Array, items: jax.Array) -> jax.Array:
    """Scores of pairs. [B, D], [B, D] -> [B]."""
    return inner(self.users(users), self.items(items))


def _tower(layers, x: jax.Array) -> jax.Array:
  """A perceptron around the identity: it starts near the base model."""
  return x + layers[1](jnp.tanh(layers[0](x)))


def gar(
  generator: ItemGenerator,
  recommender: TwoTowers,
  users: Any,
  objective: Objective,
  recommender_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
  *,
  adversarial_weight: float,
  similarity: float,
) -> Game:
  """Generative adversarial recommendation (Chen et al. 2022, SIGIR, GAR).

  "Generative Adversarial Framework for Cold-Start Item Recommendation". A base
  model gives embeddings u and v of users and warm items. The recommender R is
  the adversary: it scores pairs of embeddings, ranks what users have above
  what they have not, and is to score the embedding g(c) that the generator
  makes of an item's content below the item's own; the generator wants its
  embedding to be scored as high as the item's own by users who have the item,
  and to be similar to it:

    R: -ln s(R(u, v)) - ln(1 - s(R(u, v'))) + a L_D(R(u, v), R(u, g(c)))
    G: a L_G(R(u, v), R(u, g(c))) + b |g(c) - v|^2

  where u has the item v and v' is any item, and L is a `losses.gan` objective.
  R then ranks cold items by R(u, g(c)).

  The batch has "content" [B, L], "chosen" [B, U] and "base" [B, D].

  Args:
    generator: of embeddings [B, D], without a bias.
    recommender: R.
    users: () -> [U, D], of the base model.
    objective: of the adversaries.
    recommender_optimizer: of R.
    generator_optimizer: of the generator.
    adversarial_weight: a.
    similarity: b, of the mean squared difference.
  """

  def score(params, rows, items) -> jax.Array:
    scores: Any = recommender.apply({"params": params}, rows, items)
    return scores

  def generate(params, batch, key):
    made: Any = generator.apply(
      {"params": params},
      batch["content"],
      _noise(generator, batch, key),
      train=True,
      rngs={"dropout": jax.random.fold_in(key, 1)},
    )
    return made, jnp.mean(jnp.square(made - batch["base"]), axis=1)

  def discriminate(params, batch, key, examples):
    return score(params, users()[_one_user(key, batch["chosen"])], examples)

  scaled = Objective(
    lambda real, fake: adversarial_weight * objective.discriminator(real, fake),
    lambda real, fake: adversarial_weight * objective.generator(real, fake),
  )
  adversary_loss, generator_loss = adversarial(
    generate,
    discriminate,
    scaled,
    real=lambda batch: batch["base"],
    guide=lambda batch, differences: similarity * differences,
  )

  def recommender_loss(params, everyone, batch, key):
    everyone = {**everyone, "discriminator": everyone["recommender"]}
    key, has_key = jax.random.split(key)
    loss, metrics = adversary_loss(params, everyone, batch, key)
    items, rows = batch["base"], users()[_one_user(has_key, batch["chosen"])]
    # Batches are random items: the next row is as good as any other item.
    positive = score(params, rows, items)
    negative = score(params, rows, jnp.roll(items, 1, axis=0))
    losses = jax.nn.softplus(-positive) + jax.nn.softplus(negative)
    times = jnp.sum(batch["chosen"], axis=1)  # one user stands for all
    ranking = jnp.mean(times / jnp.mean(times) * losses)
    return loss + ranking, {**metrics, "ranking": ranking}

  def against_recommender(params, everyone, batch, key):
    everyone = {**everyone, "discriminator": everyone["recommender"]}
    return generator_loss(params, everyone, batch, key)

  def init_recommender(key):
    zeros = jnp.zeros((1, recommender.dim))
    return jax.jit(recommender.init)(key, zeros, zeros)["params"]

  return {
    "recommender": Player(
      init_recommender, recommender_loss, recommender_optimizer
    ),
    "generator": Player(
      _init(generator), against_recommender, generator_optimizer
    ),
  }


def lara(
  generator: ItemGenerator,
  critic: PairCritic,
  users: Any,
  critic_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
) -> Game:
  """Profiles of users who may like an item, from its attributes.

  After Sun et al. 2020 (WSDM), "LARA: Attribute-to-feature Adversarial
  Learning for New-item Recommendation". Each attribute value has a generator
  of its own (a row, here), and what they make is joined by a network to the
  profile of a user who would like the item. The critic sees a profile beside
  the item's attributes, and tells users who have the item from generated
  users, and from users who have not:

    D: -ln s(D(u+, c)) - 1/2 ln(1 - s(D(g(c), c))) - 1/2 ln(1 - s(D(u-, c)))
    G: -ln s(D(g(c), c))

  (both kinds of wrong user count half, so that right and wrong weigh alike).
  An item is then recommended to the users whose profiles are most like the
  generated one. Profiles are queries of a base model, at length 1, where LARA
  has the attributes that a user liked.

  The batch has "content" [B, L] and "chosen" [B, U].

  Args:
    generator: of profiles [B, D].
    critic: of a profile and content.
    users: () -> [U, D], of length 1.
    critic_optimizer: of the critic.
    generator_optimizer: of the generator.
  """

  def generate(params, batch, key):
    made: Any = generator.apply(
      {"params": params},
      batch["content"],
      _noise(generator, batch, key),
      train=True,
      rngs={"dropout": jax.random.fold_in(key, 1)},
    )
    return made / jnp.sqrt(jnp.sum(jnp.square(made), 1, keepdims=True) + 1e-9)

  def judge(params, batch, profiles) -> jax.Array:
    logits: Any = critic.apply({"params": params}, profiles, batch["content"])
    return logits

  def critic_loss(params, everyone, batch, key):
    has_key, not_key, key = jax.random.split(key, 3)
    rows = users()
    liked = rows[_one_user(has_key, batch["chosen"])]
    other = rows[_one_user(not_key, 1 - batch["chosen"])]
    made = generate(everyone["generator"], batch, key)
    real, wrong, fake = (
      judge(params, batch, profiles) for profiles in (liked, other, made)
    )
    loss = jnp.mean(
      jax.nn.softplus(-real)
      + 0.5 * jax.nn.softplus(fake)
      + 0.5 * jax.nn.softplus(wrong)
    )
    metrics = {
      "loss": loss,
      "real_logit": jnp.mean(real),
      "fake_logit": jnp.mean(fake),
      "wrong_logit": jnp.mean(wrong),
    }
    return loss, metrics

  def generator_loss(params, everyone, batch, key):
    fake = judge(everyone["discriminator"], batch, generate(params, batch, key))
    loss = jnp.mean(jax.nn.softplus(-fake))
    return loss, {"loss": loss, "fake_logit": jnp.mean(fake)}

  def init_critic(key):
    example = jnp.zeros((1, generator.features))
    return jax.jit(critic.init)(key, example, jnp.zeros((1, 1), jnp.int32))[
      "params"
    ]

  return {
    "discriminator": Player(init_critic, critic_loss, critic_optimizer),
    "generator": Player(_init(generator), generator_loss, generator_optimizer),
  }


def _init(generator: ItemGenerator):
  def init(key):
    content, noise = jnp.zeros((1, 1), int), jnp.zeros((1, generator.latent))
    return jax.jit(generator.init)(key, content, noise)["params"]

  return init


def _noise(generator: ItemGenerator, batch, key: jax.Array) -> jax.Array:
  shape = len(batch["content"]), generator.latent
  return jax.random.normal(key, shape)


def _one_user(key: jax.Array, chosen: jax.Array) -> jax.Array:
  """A random user of each row, among those with a 1. [B, U] -> [B] int."""
  ends = jnp.cumsum(chosen, axis=1, dtype=jnp.int32)
  total = ends[:, -1]
  place = jax.random.randint(key, total.shape, 0, jnp.maximum(total, 1))
  return jax.vmap(lambda e, n: jnp.searchsorted(e, n, side="right"))(
    ends, place
  )
