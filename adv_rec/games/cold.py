"""Games of generators that make keys for items of their content."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack
from adv_rec.games.gan import adversarial
from adv_rec.games.supervised import Schedule, supervised
from adv_rec.losses.gan import Objective
from adv_rec.losses.ranking import in_batch
from adv_rec.models.item_generator import (
  ItemGenerator,
  PairCritic,
)
from adv_rec.types import Game, Loss, Params, Player


def item_generator(
  generator: ItemGenerator,
  user: Any,
  optimizer: optax.GradientTransformation,
  *,
  attack: Attack | None = None,
  attack_weight: float | Schedule = 1.0,
  critic: PairCritic | None = None,
  critic_optimizer: optax.GradientTransformation | None = None,
  objective: Objective | None = None,
  critic_weight: float = 0.0,
  scale: float = 0.0,
  average: float | None = None,
) -> Game:
  """Generates the keys of all items, so that to training every item is new.

  The generator owns the network and the users' rows, and lowers the softmax
  loss of the users' items among those of the batch,

    - sum over u, i of x_ui ln softmax_i(<u, g(c_i, z)>) / sum x_ui

  No row belongs to an item: a key is made of content c and noise z alone, in
  training as for an item that nobody has bought. Added to it, each at its
  weight:

  - the same loss with the generated keys moved by an attack (adversarial
    personalised ranking, He et al. 2018, arXiv:1808.03908, with what is made
    of an item's content in the place of the item's row);
  - the loss of a GAN whose critic tells pairs (content, key of a base model)
    from (content, generated key): the distribution of keys given content, as
    in a conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784).

  A scale adds to <u, g> the scores of a closed form, times a number that is
  learned: the generator is then what the closed form lacks. Of an item in
  training they must be those of a closed form fitted without that item, as of
  an item that is new.

  The batch has "content" [B, L], "chosen" [B, U], 1 where a user has the item,
  for a critic "base" [B, D], keys of the base model, and with a scale "offset"
  [B, U], scores of the closed form.

  Args:
    generator: of keys as wide as the users' rows and 1, the item's bias.
    user: key -> the users' first rows [U, D].
    optimizer: of the generator.
    attack: on generated keys; None for none.
    attack_weight: of the loss under attack.
    critic: of pairs; needed where critic_weight is not 0.
    critic_optimizer: of the critic.
    objective: from `losses.gan`.
    critic_weight: of the GAN in the generator's loss; at 0 there is no critic
      and this is plain training.
    scale: of the closed form's scores, at first; 0 for none.
    average: decay of the moving average of the generator.
  """

  def keys(params, batch, key):
    noise_key, dropout_key = jax.random.split(key)
    noise = jax.random.normal(
      noise_key, (len(batch["content"]), generator.latent)
    )
    made: Any = generator.apply(
      {"params": params["net"]},
      batch["content"],
      noise,
      train=True,
      rngs={"dropout": dropout_key},
    )
    return {"key": made[:, :-1], "bias": made[:, -1]}

  def ranking(params, batch, key, made):
    del key
    logits = params["user"] @ made["key"].T + made["bias"]
    if scale:
      logits += params["scale"] * batch["offset"].T
    chosen = batch["chosen"].T.astype(logits.dtype)
    return jnp.sum(in_batch(logits, chosen)) / jnp.maximum(jnp.sum(chosen), 1.0)

  def moved(objective, made, key):
    assert attack is not None
    # Not the bias: an attack would do nothing but turn popularity round.
    return {
      "key": attack(lambda x: objective({**made, "key": x}), made["key"], key),
      "bias": jnp.zeros_like(made["bias"]),
    }

  def loss(params, everyone, batch, key):
    return supervised(
      lambda params, batch: keys(params, batch, key),
      ranking,
      moved if attack else None,
      attack_weight,
    )(params, everyone, batch, key)

  def init(key):
    net_key, user_key = jax.random.split(key)
    content = jnp.zeros((1, 1), jnp.int32)
    noise = jnp.zeros((1, generator.latent))
    net = jax.jit(generator.init)(net_key, content, noise)["params"]
    own = {"net": net, "user": user(user_key)}
    return {**own, "scale": jnp.asarray(scale)} if scale else own

  if not critic_weight:
    return {"generator": Player(init, loss, optimizer, average=average)}
  assert critic is not None and critic_optimizer is not None and objective
  critic_loss, generator_loss = _beside(
    loss, keys, critic, objective, critic_weight
  )

  def init_critic(key):
    example = jnp.zeros((1, generator.features - 1))
    return jax.jit(critic.init)(key, example, jnp.zeros((1, 1), jnp.int32))[
      "params"
    ]

  return {
    "generator": Player(init, generator_loss, optimizer, average=average),
    "discriminator": Player(init_critic, critic_loss, critic_optimizer),
  }


def _beside(
  loss: Loss,
  keys: Any,
  critic: PairCritic,
  objective: Objective,
  weight: float,
) -> tuple[Loss, Loss]:
  """The losses of critic and generator, with the ranking loss as its guide."""

  def generate(params, batch, key):
    ranked, _ = loss(params, {}, batch, key)
    return keys(params, batch, key)["key"], ranked

  def discriminate(params, batch, key, examples):
    del key
    logits: Any = critic.apply({"params": params}, examples, batch["content"])
    return logits

  scaled = Objective(
    objective.discriminator,
    lambda real, fake: weight * objective.generator(real, fake),
  )
  return adversarial(
    generate,
    discriminate,
    scaled,
    real=lambda batch: batch["base"],
    guide=lambda batch, ranked: ranked,
  )


def dropoutnet(
  generator: ItemGenerator,
  users: Any,
  optimizer: optax.GradientTransformation,
  dropout: float,
) -> Game:
  """DropoutNet (Volkovs, Yu & Poutanen 2017, "DropoutNet: Addressing Cold
  Start in Recommender Systems").

  A network of an item's content and of its key in a base model, where the key
  is left out at random, learns the scores of that model:

    mean over users and items of (<f(u), g(c_i, m_i v_i)> - <u, v_i>)^2,

  m_i = 0 with probability `dropout`. Of a cold item m = 0. The users are warm
  here: f is linear, and starts as the identity.

  The batch has "content" [B, L] and "base" [B, D], keys of the base model.

  Args:
    generator: of keys [B, D], from content and `beside`.
    users: () -> [U, D], queries of the base model.
    optimizer: of both.
    dropout: share of the items whose key is left out.
  """

  def loss(params, everyone, batch, key):
    del everyone
    mask_key, dropout_key = jax.random.split(key)
    base = batch["base"]
    there = jax.random.bernoulli(mask_key, 1.0 - dropout, (len(base), 1))
    made: Any = generator.apply(
      {"params": params["net"]},
      batch["content"],
      beside=base * there,
      train=True,
      rngs={"dropout": dropout_key},
    )
    rows = users()
    error = rows @ params["map"] @ made.T - rows @ base.T
    value = jnp.mean(jnp.square(error))
    return value, {"loss": value}

  def init(key):
    dim = generator.features
    net = jax.jit(generator.init)(
      key, jnp.zeros((1, 1), jnp.int32), beside=jnp.zeros((1, dim))
    )["params"]
    return {"net": net, "map": jnp.eye(dim), "user": users()}

  return {"model": Player(init, loss, _only(optimizer, ("net", "map")))}


def _only(
  optimizer: optax.GradientTransformation, names: tuple[str, ...]
) -> optax.GradientTransformation:
  """Updates some entries of the parameters and keeps the others."""

  def labels(params: Params) -> dict[str, str]:
    return {n: "learn" if n in names else "keep" for n in params}

  return optax.multi_transform(
    {"learn": optimizer, "keep": optax.set_to_zero()}, labels
  )
