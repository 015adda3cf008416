"""The game of IRGAN: a generator that picks items, judged by another model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from adv_rec.games.recommend import full_softmax, initializer
from adv_rec.losses.gan import Objective, minimax, relativistic
from adv_rec.models.recommenders import (
  MatrixFactorization,
  multi_hot,
  padded,
  with_bias,
)
from adv_rec.types import Batch, Game, Params, Player


class Form(NamedTuple):
  """How the discriminator judges an item.

  Attributes:
    objective: from `losses.gan`; of the scores of observed items and of those
      that the generator picked.
    reward: (observed, picked) scores, of one shape -> rewards in (-1, 1).
  """

  objective: Objective
  reward: Callable[[jax.Array, jax.Array], jax.Array]


FORMS = {
  # Each item on its own: s(f) is the probability that it was observed.
  "pointwise": Form(
    minimax(), lambda observed, picked: 2.0 * jax.nn.sigmoid(picked) - 1.0
  ),
  # A picked item against an observed one of the same user.
  "pairwise": Form(
    relativistic(),
    lambda observed, picked: 2.0 * jax.nn.sigmoid(picked - observed) - 1.0,
  ),
}


def irgan(
  model: MatrixFactorization,
  form: Form,
  discriminator_optimizer: optax.GradientTransformation,
  generator_optimizer: optax.GradientTransformation,
  mean_items: float,
  *,
  samples: int = 128,
  known_share: float = 0.2,
  temperature: float = 1.0,
  sharpening: float = 1.0,
  baseline: bool = False,
  discriminator_l2: float = 0.0,
  generator_l2: float = 0.0,
  likelihood_l2: float = 0.0,
  start: int = 0,
) -> Game:
  """IRGAN for item recommendation (Wang et al. 2017, arXiv:1705.10513).

  Both players score <user row, item row> + item bias. The generator picks
  items for a user by p(i | u) = softmax(score / temperature) and is the
  recommender. The discriminator minimises, in the mean over the observed items
  i of the batch, each with a picked item j of the same user,

    pointwise:  -ln s(f(i)) - ln(1 - s(f(j)))
    pairwise:   -ln s(f(i) - f(j))

  The generator raises E_p[r] by REINFORCE. Its items are drawn from

    q = (1 - known_share) p + known_share x (uniform over the user's items)

  and weighted by p / q, so that it meets the items that are right before it
  likes them; the share and the pointwise reward, 2 s(f(j)) - 1, are those of
  the authors' program for items (geek-ai/irgan, item_recommendation/cf_gan.py).
  The pairwise reward is 2 s(f(j) - f(i)) - 1 with i a random item of the user.

  Before step `start` the generator is trained by the likelihood of the users'
  items instead (`games.recommend.full_softmax`), while the discriminator plays
  on: the paper starts from a trained model too, by another loss.

  The batch has "user" [B] and "items" [B, L], padded past the end; each user
  has an item.

  Args:
    model: the factorisation, without the bias.
    form: one of `FORMS`.
    discriminator_optimizer: of the discriminator.
    generator_optimizer: of the generator.
    mean_items: items of a user on average, a constant of the likelihood.
    samples: K, items drawn for each user and step of the generator.
    known_share: of the user's own items in q.
    temperature: of the generator's softmax.
    sharpening: divides the temperature when it picks for the discriminator.
    baseline: whether the mean reward of the other K - 1 draws is subtracted,
      which leaves the expected gradient as it is and lowers its variance.
    discriminator_l2: of the squared norm of the rows and biases of a pair.
    generator_l2: likewise, of a draw.
    likelihood_l2: see `full_softmax`; before `start`.
    start: the first step of REINFORCE.
  """

  def scores(params: Params, batch: Batch) -> jax.Array:
    tables = with_bias(params)
    return tables["user"][batch["user"]] @ tables["item"][: model.num_items].T

  def squares(params: Params, batch: Batch, items: jax.Array) -> jax.Array:
    """Squared norm of the user's row and of each item's. [B, L] -> [B, L]."""
    keys = jnp.sum(jnp.square(params["item"]), 1) + jnp.square(params["bias"])
    users = jnp.sum(jnp.square(params["user"][batch["user"]]), 1)
    return users[:, None] + keys.at[items].get(mode="fill", fill_value=0.0)

  def discriminator_loss(params, everyone, batch, key):
    items = batch["items"]
    there = items < model.num_items
    pairs = jnp.sum(there)
    logits = scores(everyone["generator"], batch) * (sharpening / temperature)
    picks = draw(key, jax.nn.softmax(logits), items.shape[1])
    f = scores(params, batch)
    real, fake = at(f, items), at(f, picks)
    losses = form.objective.discriminator(real, fake)
    loss = jnp.sum(losses, where=there) / pairs
    size = squares(params, batch, items) + squares(params, batch, picks)
    metrics = {
      "loss": loss,
      "real_logit": jnp.sum(real, where=there) / pairs,
      "fake_logit": jnp.sum(fake, where=there) / pairs,
    }
    total = loss + discriminator_l2 * jnp.sum(size, where=there) / pairs
    return total, metrics

  def reinforce(params, everyone, batch, key):
    draw_key, observe_key = jax.random.split(key)
    log_p = jax.nn.log_softmax(scores(params, batch) / temperature)
    p = jnp.exp(jax.lax.stop_gradient(log_p))
    q = proposal(p, batch["items"], known_share)
    picks = draw(draw_key, q, samples)
    # Where p underflows to 0 rounding may still draw the item: no 0 / 0.
    smallest = jnp.finfo(q.dtype).tiny
    weights = at(p, picks) / jnp.maximum(at(q, picks), smallest)
    f = scores(everyone["discriminator"], batch)
    observed = choose(observe_key, batch["items"], model.num_items, samples)
    rewards = form.reward(at(f, observed), at(f, picks))
    gains = weights * rewards
    if baseline:
      others = jnp.sum(gains, axis=1, keepdims=True) - gains
      rewards = rewards - others / (samples - 1)
    loss = -jnp.mean(weights * rewards * at(log_p, picks))
    size = jnp.mean(squares(params, batch, picks))
    return loss + generator_l2 * size, jnp.mean(gains)

  likelihood = full_softmax(
    model,
    generator_optimizer,
    mean_items,
    temperature=temperature,
    l2=likelihood_l2,
  )["model"].loss

  def generator_loss(params, everyone, batch, key):
    def before(params):
      loss, _ = likelihood(with_bias(params), everyone, batch, key)
      return loss, jnp.zeros(())

    def after(params):
      return reinforce(params, everyone, batch, key)

    if start:
      loss, reward = jax.lax.cond(batch["step"] < start, before, after, params)
    else:
      loss, reward = after(params)
    return loss, {"loss": loss, "reward": reward}

  def init(key):
    bias = jnp.zeros(padded(model.num_items))
    return {**initializer(model)(key), "bias": bias}

  return {
    "discriminator": Player(init, discriminator_loss, discriminator_optimizer),
    "generator": Player(init, generator_loss, generator_optimizer),
  }


def proposal(p: jax.Array, items: jax.Array, known_share: float) -> jax.Array:
  """q = (1 - known_share) p + known_share x uniform over items. -> [B, I].

  Args:
    p: [B, I], rows that sum to 1.
    items: [B, L] of each row, padded past the end; at least one.
    known_share: from 0 to below 1.
  """
  known = multi_hot(items, p.shape[1])
  known /= jnp.sum(known, axis=1, keepdims=True)
  return (1.0 - known_share) * p + known_share * known


def draw(key: jax.Array, p: jax.Array, count: int) -> jax.Array:
  """Independent draws from each row of p. [B, I] -> [B, count] int.

  By the inverse of the distribution function: one uniform number a draw, where
  a draw by Gumbel noise takes one an item.
  """
  ends = jnp.cumsum(p, axis=1)
  # Below the sum that rounding gave, so that every draw finds an item.
  last = ends[:, -1:]
  u = jax.random.uniform(key, (len(p), count)) * last
  u = jnp.minimum(u, jnp.nextafter(last, jnp.zeros_like(last)))
  return jax.vmap(lambda e, u: jnp.searchsorted(e, u, side="right"))(ends, u)


def choose(
  key: jax.Array, items: jax.Array, num_items: int, count: int
) -> jax.Array:
  """Uniform draws from padded lists. [B, L] -> [B, count].

  Args:
    key: of the draws.
    items: padded on the right, with ids from num_items on.
    num_items: I.
    count: of draws from each list.
  """
  lengths = jnp.sum(items < num_items, axis=1, keepdims=True)
  place = jax.random.uniform(key, (len(items), count)) * lengths
  place = jnp.minimum(place.astype(int), lengths - 1)
  return jnp.take_along_axis(items, place, axis=1)


def at(values: jax.Array, items: jax.Array) -> jax.Array:
  """Values of items; 0 past the end. [B, I], [B, L] -> [B, L]."""
  return jnp.take_along_axis(values, items, axis=1, mode="fill", fill_value=0.0)
