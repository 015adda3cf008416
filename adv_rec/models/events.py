"""Models of sequences of events: what comes next, given what came before.

An event is a vector of three one-hot blocks, its kind, gap and amount; see
`data.event_codes`. A model has a state and five methods: `begin` the states
before any event, `advance` a state by an event, and the logits of the next
event's `kind`, of its `gap` given the kind, and of its `amount` given both.
What draws sequences, and what says how likely one is, needs no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.sasrec import Block
from adv_rec.models.tabular import Layout, relaxed
from adv_rec.types import Params


class Sizes(NamedTuple):
  """Cells of the blocks of an event.

  Attributes:
    kinds: K, the end of a sequence among them, as the last.
    gaps: G.
    amounts: A.
  """

  kinds: int
  gaps: int
  amounts: int

  @property
  def width(self) -> int:
    """W, of a vector."""
    return sum(self)

  def split(self, x: jax.Array) -> list[jax.Array]:
    """The blocks of vectors [..., W]."""
    return jnp.split(x, np.cumsum(self)[:-1], axis=-1)


class Recurrent(nn.Module):
  """A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

  Attributes:
    sizes: of the events.
    width: D, of the state and of the hidden layers of the heads.
  """

  sizes: Sizes
  width: int = 128

  def setup(self) -> None:
    """Declares the layers."""
    self.entry = nn.Dense(3 * self.width, use_bias=False)
    self.gates = nn.Dense(2 * self.width)
    self.candidate = nn.Dense(self.width)
    self.from_state = nn.Dense(3 * self.width)
    self.from_kind = nn.Dense(2 * self.width, use_bias=False)
    self.from_gap = nn.Dense(self.width, use_bias=False)
    self.heads = [nn.Dense(size) for size in self.sizes]

  def __call__(self, x: jax.Array) -> tuple[jax.Array, ...]:
    """Uses every layer once, to initialise them. [B, W]."""
    kind, gap, _ = self.sizes.split(x)
    state = self.advance(self.begin(len(x)), x)
    return (
      self.kind(state),
      self.gap(state, kind),
      self.amount(state, kind, gap),
    )

  def begin(self, num: int) -> jax.Array:
    """States before the first event. -> [num, D]."""
    return jnp.zeros((num, self.width))

  def advance(self, state: jax.Array, x: jax.Array) -> jax.Array:
    """States after an event. [B, D], [B, W] -> [B, D]."""
    *entries, entry = jnp.split(self.entry(x), 3, axis=-1)
    recurrent = jnp.split(self.gates(state), 2, axis=-1)
    keep, reset = (
      nn.sigmoid(a + b) for a, b in zip(entries, recurrent, strict=True)
    )
    new = jnp.tanh(entry + reset * self.candidate(state))
    return keep * state + (1.0 - keep) * new

  def kind(self, state: jax.Array) -> jax.Array:
    """[..., D] -> logits [..., K]."""
    return self.heads[0](nn.relu(self._part(state, 0)))

  def gap(self, state: jax.Array, kind: jax.Array) -> jax.Array:
    """[..., D], one-hot [..., K] -> logits [..., G]."""
    given, _ = jnp.split(self.from_kind(kind), 2, axis=-1)
    return self.heads[1](nn.relu(self._part(state, 1) + given))

  def amount(
    self, state: jax.Array, kind: jax.Array, gap: jax.Array
  ) -> jax.Array:
    """[..., D], one-hot [..., K] and [..., G] -> logits [..., A]."""
    _, given = jnp.split(self.from_kind(kind), 2, axis=-1)
    hidden = self._part(state, 2) + given + self.from_gap(gap)
    return self.heads[2](nn.relu(hidden))

  def _part(self, state: jax.Array, i: int) -> jax.Array:
    return jnp.split(self.from_state(state), 3, axis=-1)[i]


class Chain(nn.Module):
  """A Markov chain of kinds, or without memory; its parameters are given.

  The parameters are logits: "kind" [K, K] of the next kind given the last one
  (row K - 1: none came before), "gap" [K, K, G] given the last kind and the
  next, "amount" [K, A] given the next.

  Attributes:
    sizes: of the events.
  """

  sizes: Sizes

  def setup(self) -> None:
    """Declares the tables."""
    kinds, gaps, amounts = self.sizes
    zeros = nn.initializers.zeros
    self.next_kind = self.param("kind", zeros, (kinds, kinds))
    self.next_gap = self.param("gap", zeros, (kinds, kinds, gaps))
    self.next_amount = self.param("amount", zeros, (kinds, amounts))

  def __call__(self, x: jax.Array) -> jax.Array:
    """Uses the tables, to initialise them. [B, W]."""
    return self.kind(self.advance(self.begin(len(x)), x))

  def begin(self, num: int) -> jax.Array:
    """The kind before the first event: none. -> [num, K]."""
    none = jax.nn.one_hot(self.sizes.kinds - 1, self.sizes.kinds)
    return jnp.tile(none, (num, 1))

  def advance(self, state: jax.Array, x: jax.Array) -> jax.Array:
    """The kind of an event; before any event, none. -> [B, K]."""
    kind = self.sizes.split(x)[0]
    return jnp.where(jnp.any(kind > 0, axis=-1, keepdims=True), kind, state)

  def kind(self, state: jax.Array) -> jax.Array:
    """[..., K] -> logits [..., K]."""
    return state @ self.next_kind

  def gap(self, state: jax.Array, kind: jax.Array) -> jax.Array:
    """[..., K], one-hot [..., K] -> logits [..., G]."""
    return jnp.einsum("...i,...j,ijg->...g", state, kind, self.next_gap)

  def amount(
    self, state: jax.Array, kind: jax.Array, gap: jax.Array
  ) -> jax.Array:
    """[..., K], one-hot [..., K] and [..., G] -> logits [..., A]."""
    del state, gap
    return kind @ self.next_amount


class Critic(nn.Module):
  """Sequences -> logits; large means real.

  Blocks of self-attention without order (`models.sasrec.Block`) over events
  with their places, then the mean over the events that there are.

  Attributes:
    width: D.
    blocks: number of blocks.
    heads: of the attention; divides D.
  """

  width: int = 64
  blocks: int = 1
  heads: int = 2

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, L, W] -> [B]."""
    place = self.param(
      "place", nn.initializers.normal(0.02), (x.shape[1], self.width)
    )
    there = jnp.sum(x, axis=-1) > 0  # events, and the end
    hidden = nn.Dense(self.width)(x) + place
    for _ in range(self.blocks):
      hidden = Block(self.heads, 0.0)(hidden, there[:, None, None], False)
    weight = there[..., None].astype(x.dtype)
    total = jnp.maximum(jnp.sum(weight, axis=1), 1.0)
    mean = jnp.sum(weight * nn.LayerNorm()(hidden), axis=1) / total
    return nn.Dense(1)(nn.relu(nn.Dense(self.width)(mean)))[:, 0]


def one_hot(codes: jax.Array, sizes: Sizes) -> jax.Array:
  """Vectors of events; -1 is a block of zeros. [..., 3] -> [..., W]."""
  parts = [jax.nn.one_hot(codes[..., i], n) for i, n in enumerate(sizes)]
  return jnp.concatenate(parts, axis=-1)


def log_likelihood(
  model: Any, params: Params, codes: jax.Array
) -> Mapping[str, jax.Array]:
  """ln p of sequences, what came before as it was. [B, L, 3] -> [B] each.

  Returns:
    "kind" (with the end), "gap", "amount"; the first event has no gap.
  """
  x = jnp.moveaxis(one_hot(codes, model.sizes), 1, 0)
  states = _states(model, params, x)
  kind, gap, _ = model.sizes.split(x)
  given = {"kind": (), "gap": (kind,), "amount": (kind, gap)}
  result = {}
  for i, (name, others) in enumerate(given.items()):
    logits: Any = model.apply({"params": params}, states, *others, method=name)
    code = codes[..., i].T
    if name == "kind":
      logits = _not_empty(logits, (jnp.arange(len(x)) == 0)[:, None, None])
    logs = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(logs, jnp.maximum(code, 0)[..., None], -1)
    result[name] = jnp.sum(jnp.where(code >= 0, chosen[..., 0], 0.0), axis=0)
  return result


def rollout(
  model: Any,
  params: Params,
  key: jax.Array,
  num: int,
  length: int,
  temperature: float = 1.0,
) -> jax.Array:
  """Draws sequences, with a gradient. -> [num, L, W].

  Each block is one-hot, drawn from the model, with the gradient of the
  Gumbel-softmax (`models.tabular.relaxed`), which goes back through all that
  the event was drawn from (Kusner & Hernandez-Lobato 2016, arXiv:1611.04051).

  Args:
    model: see the top of this file.
    params: of the model.
    key: of the draw.
    num: sequences.
    length: L, the most events of one.
    temperature: of the gradient; the draw does not depend on it.
  """
  kinds, gaps, amounts = (Layout((size,), 0) for size in model.sizes)

  def call(method, *args):
    result: Any = model.apply({"params": params}, *args, method=method)
    return result

  def turn(carry, place):
    state, x, alive = carry
    state = call("advance", state, x)
    keys = jax.random.split(jax.random.fold_in(key, place), 3)
    logits = _not_empty(call("kind", state), place == 0)
    kind = alive * relaxed(logits, keys[0], kinds, temperature)
    alive = alive - kind[:, -1:]
    later = alive * (place > 0)
    gap = relaxed(call("gap", state, kind), keys[1], gaps, temperature)
    gap = later * gap
    logits = call("amount", state, kind, gap)
    amount = alive * relaxed(logits, keys[2], amounts, temperature)
    x = jnp.concatenate([kind, gap, amount], axis=-1)
    return (state, x, alive), x

  nothing = jnp.zeros((num, model.sizes.width))
  start = call("begin", num), nothing, jnp.ones((num, 1))
  _, xs = jax.lax.scan(turn, start, jnp.arange(length))
  return jnp.moveaxis(xs, 0, 1)


def to_codes(x: jax.Array, sizes: Sizes) -> jax.Array:
  """What vectors stand for, -1 for a block of zeros. [..., W] -> [..., 3]."""
  codes = [
    jnp.where(jnp.max(block, axis=-1) > 0.5, jnp.argmax(block, axis=-1), -1)
    for block in sizes.split(x)
  ]
  return jnp.stack(codes, axis=-1)


def _states(model: Any, params: Params, x: jax.Array) -> jax.Array:
  """The states before each event. [L, B, W] -> [L, B, D]."""
  before = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])

  def turn(state, event):
    new: Any = model.apply({"params": params}, state, event, method="advance")
    return new, new

  start: Any = model.apply({"params": params}, x.shape[1], method="begin")
  return jax.lax.scan(turn, start, before)[1]


def _not_empty(logits: jax.Array, first: jax.Array) -> jax.Array:
  """Logits of kinds where no sequence ends before its first event."""
  end = jnp.arange(logits.shape[-1]) == logits.shape[-1] - 1
  return jnp.where(end & first, -1e9, logits)
