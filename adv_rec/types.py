"""The few types that every part of adv_rec shares: everything is a game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

Params = Any  # a pytree of arrays
Batch = Mapping[str, Any]  # name -> array; leading axis: the example
Metrics = Mapping[str, Any]  # name -> scalar

# (own params, all players' params, batch, key) -> (scalar, metrics). The
# opponents are frozen because only the first argument is differentiated.
Loss = Callable[
  [Params, Mapping[str, Params], Batch, jax.Array], tuple[jax.Array, Metrics]
]


def plain(loss: Loss) -> Callable[..., tuple[Params, Metrics]]:
  """The gradient of a loss by its first argument, and the loss's metrics."""
  return jax.grad(loss, has_aux=True)


class Player(NamedTuple):
  """One side of a game: what it owns, what it minimises, how it learns.

  Attributes:
    init: key -> the player's parameters.
    loss: what it minimises; see `Loss`.
    optimizer: any optax transformation.
    gradient: loss -> gradient function with the loss's arguments, returning
      (gradients, metrics). `plain` differentiates; a private one would clip
      each example and add noise.
    updates: updates per step of the game (`n_critic` of a Wasserstein GAN);
      each sees its own round of the batch, see `training.step.make_step`.
    average: decay of an exponential moving average of the parameters, kept in
      `State.average`; None keeps none.
    rows: for tables too large for a dense gradient, the name of the table in
      the parameters -> the names of the batch entries that hold its row ids.
      Steps then touch the rows of their batch only; see `training.step`.
  """

  init: Callable[[jax.Array], Params]
  loss: Loss
  optimizer: optax.GradientTransformation
  gradient: Callable[[Loss], Callable[..., tuple[Params, Metrics]]] = plain
  updates: int = 1
  average: float | None = None
  rows: Mapping[str, tuple[str, ...]] | None = None


Game = Mapping[str, Player]  # the order is the order of play


class State(flax.struct.PyTreeNode):
  """All that training changes. A checkpoint is this and nothing else.

  Attributes:
    step: int32 scalar, steps of the game played.
    key: the root key; the keys of a step come from it by `fold_in`.
    params: player -> parameters.
    opt_state: player -> optax state.
    average: player -> averaged parameters, for players that keep them.
  """

  step: jax.Array
  key: jax.Array
  params: dict[str, Params]
  opt_state: dict[str, Any]
  average: dict[str, Params]


# Trials -> scores of a private release with a canary among its units and
# without, [T] each, with the same noise in trial t; see `privacy.probes`.
Probe = Callable[[int], tuple[np.ndarray, np.ndarray]]


class Scorer(NamedTuple):
  """A trained recommender: the score of (user, item) is query . key.

  Attributes:
    queries: users [B] int32 -> [B, D], a `jax.tree_util.Partial`, so that the
      whole scorer is a pytree that compiled functions take as an argument.
    keys: [I, D], one row an item; None where queries are the scores, [B, I].
  """

  queries: Callable[[jax.Array], jax.Array]
  keys: jax.Array | None

  @property
  def num_items(self) -> int:
    """I."""
    if self.keys is not None:
      return len(self.keys)
    user = jax.ShapeDtypeStruct((1,), jnp.int32)
    return jax.eval_shape(self.queries, user).shape[1]

  def scores(self, users: jax.Array, items: jax.Array) -> jax.Array:
    """Of some items of each user: [B], [B, K] -> [B, K]."""
    queries = self.queries(users)
    if self.keys is None:
      return jnp.take_along_axis(queries, items, axis=1)
    return jnp.einsum(
      "bd,bkd->bk",
      queries,
      self.keys[items],
      precision=jax.lax.Precision.HIGHEST,
    )


class Predictor(NamedTuple):
  """A model of labels, cut where an adversary reaches in.

  Attributes:
    init: key -> params.
    lookup: (params, batch) -> inputs, a tree of float arrays [B, ..., D]: what
      an attack may move (embedding rows, numbers). The last axis is one row.
    logits: (params, batch, inputs, key) -> [B] for two classes, else [B, C];
      without a key (None) there is no dropout.
    trainable: params -> the same tree of bool, True where training changes
      them; None: everywhere.
    attention: (params, batch, inputs) -> [B, P], how much the model looks at
      each of the P rows of its inputs; None where it has no attention.
  """

  init: Callable[[jax.Array], Params]
  lookup: Callable[[Params, Batch], Any]
  logits: Callable[[Params, Batch, Any, jax.Array | None], jax.Array]
  trainable: Callable[[Params], Any] | None = None
  attention: Callable[[Params, Batch, Any], jax.Array] | None = None
