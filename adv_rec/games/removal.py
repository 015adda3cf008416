"""A recommender from which an attribute of its users cannot be told.

Two players. The adversary reads the attribute out of the representations that
the recommender serves with; the recommender, a filter of these, fools it and
changes scores as little as it can. As in Ganin et al. 2016 (arXiv:1505.07818)
one climbs what the other descends; of recommenders see Beigi et al. 2020
(WSDM), and for a filter of given representations Wu et al. 2021 (FairGo, WWW).

A representation that is made to fool one adversary may still be read by
others (Elazar & Goldberg 2018, arXiv:1808.06640). So there are several, linear
and not, and each is believed only on users that it does not learn from: that
is what whoever attacks the finished recommender will know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.losses.pointwise import cross_entropy
from adv_rec.models.erasure import Adversary, Filter
from adv_rec.types import Game, Params, Player

FOLDS = 5


def removal(
  queries: np.ndarray,
  keys: np.ndarray,
  label: np.ndarray,
  filtering: Filter,
  optimizer: optax.GradientTransformation,
  adversary_optimizer: optax.GradientTransformation,
  *,
  weight: float = 10.0,
  margin: float = 0.0,
  hidden: Sequence[tuple[int, ...]] = ((), (64,)),
  noise: float = 1.0,
  seed: int = 0,
) -> Game:
  """The players "adversary" and "recommender".

  The recommender minimises

    sum (q' k - q k)^2 / sum (q k)^2 + weight x sum_a max(0, I_a + margin)

  over the users of a batch and all items, q' the filtered query, where I_a, the
  entropy of the attribute less the cross-entropy of adversary a on users that
  are new to it, is what a knows of the attribute, in nats. Below zero there is
  nothing to hide: to push on would make the attribute readable again, turned
  round.

  The batch has "user" [B].

  Args:
    queries: of all users [U, D], as the recommender has learnt them.
    keys: of all items [I, D].
    label: the attribute of each user [U], 0 .. C - 1; -1 where it is not known.
    filtering: what is learnt.
    optimizer: of the filter.
    adversary_optimizer: of all adversaries.
    weight: of fooling.
    margin: nats that the adversary shall be wrong beyond knowing nothing.
    hidden: layers of each adversary.
    noise: on what adversaries learn from, in deviations; it keeps them from
      learning users by heart.
    seed: deals the users to folds.

  Raises:
    ValueError: fewer than two classes are known.
  """
  known = label >= 0
  shares = np.bincount(label[known]) / max(known.sum(), 1)
  if (shares > 0).sum() < 2:
    raise ValueError("the attribute has one class only: nothing to hide")
  prior = tuple(np.log(np.maximum(shares, 1e-6)).tolist())
  entropy = -float(np.sum(shares * np.array(prior)))
  modules = [Adversary(tuple(sizes), prior, noise) for sizes in hidden]
  folds = np.random.default_rng([seed, 7]).integers(0, FOLDS, len(label))
  fold = jnp.asarray(np.where(known, folds, -1))
  labels = jnp.asarray(np.maximum(label, 0))
  table, gram = jnp.asarray(queries), jnp.asarray(keys.T @ keys)
  apply = filtered(filtering, table)
  keyed = jax.vmap(jax.random.fold_in, (None, 0))

  def init_adversary(key):
    def one(module, key):
      example = jnp.zeros((1, table.shape[1]))
      return module.init({"params": key, "noise": key}, example, False)

    return [
      jax.vmap(lambda k, m=module: one(m, k)["params"])(
        keyed(jax.random.fold_in(key, i), jnp.arange(FOLDS))
      )
      for i, module in enumerate(modules)
    ]

  def losses(params, module, x, batch, key=None):
    """Of the adversary of each fold. -> [FOLDS, B]."""

    def one(own, key):
      rngs = None if key is None else {"noise": key}
      logits = module.apply({"params": own}, x, key is not None, rngs=rngs)
      return cross_entropy(logits, labels[batch["user"]])

    if key is None:
      return jax.vmap(lambda own: one(own, None))(params)
    return jax.vmap(one)(params, keyed(key, jnp.arange(FOLDS)))

  def learns(batch):
    """Whether the adversary of a fold learns from a user. [FOLDS, B] bool."""
    of_user = fold[batch["user"]]
    return (of_user >= 0) & (of_user != jnp.arange(FOLDS)[:, None])

  def judges(batch):
    return fold[batch["user"]] == jnp.arange(FOLDS)[:, None]

  def adversary_loss(params, everyone, batch, key):
    x = apply(everyone["recommender"], batch["user"])
    x = _standard(x, fold[batch["user"]] >= 0)
    total, metrics = jnp.zeros(()), {}
    for i, (own, module) in enumerate(zip(params, modules, strict=True)):
      loss = losses(own, module, x, batch, jax.random.fold_in(key, i))
      metrics[f"loss_{i}"] = mean = _mean(loss, learns(batch))
      total += FOLDS * mean  # so that each learns as if it were alone
    return total, metrics

  def recommender_loss(params, everyone, batch, key):
    del key
    q, x = table[batch["user"]], apply(params, batch["user"])
    change = _energy(x - q, gram) / _energy(q, gram)
    total, metrics = change, {"change": change}
    x = _standard(x, fold[batch["user"]] >= 0)
    for i, (own, module) in enumerate(
      zip(everyone["adversary"], modules, strict=True)
    ):
      loss = losses(own, module, x, batch)
      told = entropy - _mean(loss, judges(batch))
      total += weight * jax.nn.relu(told + margin)
      metrics[f"told_{i}"] = told
    return total, metrics

  def init(key):
    return filtering.init(key, jnp.zeros((1, table.shape[1])))["params"]

  return {
    "adversary": Player(init_adversary, adversary_loss, adversary_optimizer),
    "recommender": Player(init, recommender_loss, optimizer),
  }


def filtered(
  filtering: Filter, table: jax.Array
) -> Callable[[Params, jax.Array], jax.Array]:
  """(the filter's parameters, users [B]) -> filtered queries [B, D].

  Args:
    filtering: works in deviations from the mean of all users.
    table: queries of all users [U, D].
  """
  mean = jnp.mean(table, axis=0)
  deviation = jnp.maximum(jnp.std(table, axis=0), 1e-9)

  def apply(params, users):
    standard = (table[users] - mean) / deviation
    found: Any = filtering.apply({"params": params}, standard)
    return mean + deviation * found

  return apply


def _standard(x: jax.Array, known: jax.Array) -> jax.Array:
  """In deviations from the mean of those known, which are taken as given."""
  there = known[:, None]
  count = jnp.maximum(jnp.sum(known), 1)
  mean = jnp.sum(jnp.where(there, x, 0), axis=0) / count
  square = jnp.sum(jnp.where(there, jnp.square(x - mean), 0), axis=0) / count
  mean, square = jax.lax.stop_gradient((mean, square))
  return (x - mean) / jnp.sqrt(square + 1e-12)


def _energy(x: jax.Array, gram: jax.Array) -> jax.Array:
  """sum of the squares of all scores of queries [B, D]."""
  return jnp.einsum("bd,de,be->", x, gram, x)


def _mean(values: jax.Array, of: jax.Array) -> jax.Array:
  return jnp.sum(jnp.where(of, values, 0)) / jnp.maximum(jnp.sum(of), 1)
