"""Models of clicks: logistic regression, FM, DNN, DeepFM, DCN-V2, DIN.

All have one table of D + 1 columns with the rows of all fields (for which row
is whose see `data.fields`): D of an embedding and one first-order weight, so
that one gather and one scatter serve both. Lookup adds the weighted rows of
each field, which gives the inputs that an adversary may move; a head makes
log-odds of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.models.apply import sown
from adv_rec.types import Batch, Params, Predictor

Inputs = Mapping[str, jax.Array]  # "fields" [B, F, D + 1], maybe "history"


class Layout(NamedTuple):
  """Which slots belong together.

  Attributes:
    rows: of the table.
    widths: slots of each field, in their order; S in all.
    history: (a list field, the field that its values are compared with) of
      which a model shall see each value; None where all are added up.
  """

  rows: int
  widths: tuple[int, ...]
  history: tuple[int, int] | None = None


def predictor(
  layout: Layout, head: nn.Module, dim: int, scale: float = 0.01
) -> Predictor:
  """A table and a head.

  The batch has "rows" and "weights" [B, S], from `data.fields.encode`. A row
  past the end of the table is filled with zeros, never taken for the last.

  Args:
    layout: which slots belong together.
    head: (inputs, present, train) -> log-odds [B], where present [B, L] says
      which entries of the history are there.
    dim: D; 0 for a first-order model.
    scale: standard deviation of a new embedding; first-order weights are 0.
  """
  ends = [sum(layout.widths[: i + 1]) for i in range(len(layout.widths))]
  slots = [slice(e - w, e) for e, w in zip(ends, layout.widths, strict=True)]
  apart = slots[layout.history[0]] if layout.history else slice(0, 0)
  pooled = [s for s in slots if not (layout.history and s == apart)]

  def lookup(params: Params, batch: Batch) -> Inputs:
    rows = params["table"].at[batch["rows"]].get(mode="fill", fill_value=0.0)
    weighted = rows * batch["weights"][..., None]
    fields = weighted
    if any(width > 1 for width in layout.widths):
      sums = [jnp.sum(weighted[:, s], axis=1) for s in pooled]
      fields = jnp.stack(sums, axis=1)
    if layout.history is None:
      return {"fields": fields}
    return {"fields": fields, "history": rows[:, apart]}

  def logits(
    params: Params, batch: Batch, inputs: Inputs, key: jax.Array | None
  ) -> jax.Array:
    present = batch["weights"][:, apart] > 0
    found = head.apply(
      {"params": params["head"]},
      inputs,
      present,
      key is not None,
      rngs=None if key is None else {"dropout": key},
    )
    assert isinstance(found, jax.Array)
    return found

  def init(key: jax.Array) -> Params:
    table_key, head_key = jax.random.split(key)
    table = scale * jax.random.normal(table_key, (layout.rows, dim + 1))
    params = {"table": table.at[:, -1].set(0.0)}
    slots = jnp.zeros((1, sum(layout.widths)), jnp.int32)
    batch = {"rows": slots, "weights": jnp.ones(slots.shape)}
    present = batch["weights"][:, apart] > 0
    made = head.init(head_key, lookup(params, batch), present, False)
    return {**params, "head": made["params"]}

  def attention(params: Params, batch: Batch, inputs: Inputs) -> jax.Array:
    present = batch["weights"][:, apart] > 0
    seen = sown(head, params["head"], inputs, present, False)[0][..., 0]
    # Only entries of the history are looked at; other fields come first.
    fields = jnp.zeros(inputs["fields"].shape[:2])
    return jnp.concatenate([fields, jnp.where(present, seen, 0.0)], axis=1)

  looks = attention if layout.history else None
  return Predictor(init, lookup, logits, attention=looks)


class Perceptron(nn.Module):
  """Layers of relu with dropout, and a number at the end. [B, N] -> [B]."""

  hidden: tuple[int, ...]
  dropout: float = 0.0

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Log-odds."""
    x = hidden_layers(x, self.hidden, self.dropout, train)
    return nn.Dense(1)(x)[:, 0]


def hidden_layers(
  x: jax.Array, sizes: tuple[int, ...], dropout: float, train: bool
) -> jax.Array:
  """The last hidden layer of a perceptron; called from a compact method."""
  for size in sizes:
    x = nn.relu(nn.Dense(size, kernel_init=nn.initializers.he_normal())(x))
    x = nn.Dropout(dropout, deterministic=not train)(x)
  return x


def parts(fields: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Embeddings and first-order terms. [B, F, D + 1] -> [B, F, D], [B, F].

  To be called once by a head: each slice of its own is a padded array on the
  way back.
  """
  embeddings, terms = jnp.split(fields, [fields.shape[-1] - 1], axis=-1)
  return embeddings, terms[..., 0]


def pairwise(v: jax.Array) -> jax.Array:
  """sum_{i < j} <v_i, v_j> x_i x_j. [B, F, D], times x -> [B].

  In linear time, as half of (the square of the sum less the sum of squares):
  Rendle 2010 (Factorization Machines, ICDM), eq. 1 and lemma 3.1.
  """
  square = jnp.square(jnp.sum(v, axis=1)) - jnp.sum(jnp.square(v), axis=1)
  return 0.5 * jnp.sum(square, axis=-1)


def flat(v: jax.Array) -> jax.Array:
  """All embeddings in a row. [B, F, D] -> [B, F D]."""
  return v.reshape(len(v), -1)


class Logistic(nn.Module):
  """b + sum_i w_i x_i."""

  @nn.compact
  def __call__(
    self, inputs: Inputs, present: jax.Array, train: bool
  ) -> jax.Array:
    """Log-odds [B]."""
    bias = self.param("bias", nn.initializers.zeros, ())
    _, terms = parts(inputs["fields"])
    return bias + jnp.sum(terms, axis=1)


class FM(nn.Module):
  """Factorization machine: the linear part and all pairs (Rendle 2010)."""

  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, inputs: Inputs, present: jax.Array, train: bool
  ) -> jax.Array:
    """Log-odds [B]."""
    fields = inputs["fields"]
    bias = self.param("bias", nn.initializers.zeros, ())
    fields = nn.Dropout(self.dropout, deterministic=not train)(fields)
    v, terms = parts(fields)
    return bias + jnp.sum(terms, axis=1) + pairwise(v)


class DNN(nn.Module):
  """A perceptron of all embeddings, side by side."""

  hidden: tuple[int, ...]
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, inputs: Inputs, present: jax.Array, train: bool
  ) -> jax.Array:
    """Log-odds [B]."""
    x = flat(parts(inputs["fields"])[0])
    return Perceptron(self.hidden, self.dropout)(x, train)


class DeepFM(nn.Module):
  """FM plus a perceptron of the same embeddings.

  Guo et al. 2017 (arXiv:1703.04247), eq. 1.
  """

  hidden: tuple[int, ...]
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, inputs: Inputs, present: jax.Array, train: bool
  ) -> jax.Array:
    """Log-odds [B]."""
    v, terms = parts(inputs["fields"])
    deep = Perceptron(self.hidden, self.dropout)(flat(v), train)
    return deep + jnp.sum(terms, axis=1) + pairwise(v)


class Cross(nn.Module):
  """x_0 * (W x_l + b) + x_l, elementwise product. [B, N], [B, N] -> [B, N].

  Wang et al. 2021 (DCN V2, arXiv:2008.13535), eq. 1.
  """

  @nn.compact
  def __call__(self, first: jax.Array, x: jax.Array) -> jax.Array:
    """The next layer."""
    return first * nn.Dense(x.shape[-1])(x) + x


class DCNV2(nn.Module):
  """Cross layers beside a perceptron.

  Wang et al. 2021 (arXiv:2008.13535), section 3, the parallel structure with
  full matrices; the first-order weights are not used.
  """

  hidden: tuple[int, ...]
  crosses: int = 3
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, inputs: Inputs, present: jax.Array, train: bool
  ) -> jax.Array:
    """Log-odds [B]."""
    first = x = flat(parts(inputs["fields"])[0])
    for _ in range(self.crosses):
      x = Cross()(first, x)
    deep = hidden_layers(first, self.hidden, self.dropout, train)
    return nn.Dense(1)(jnp.concatenate([x, deep], axis=1))[:, 0]


class DIN(nn.Module):
  """A perceptron that looks at the history through the candidate.

  Zhou et al. 2018 (Deep Interest Network, arXiv:1706.06978), eq. 3: the
  history is the sum of its entries, each times what a small network says of
  it, the candidate, and their product; no softmax. Relu in place of Dice.

  Attributes:
    target: number of the candidate among the other fields.
    hidden: sizes of the perceptron.
    attention: hidden units of the small network.
    dropout: of the perceptron.
  """

  target: int
  hidden: tuple[int, ...]
  attention: int = 36
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, inputs: Inputs, present: jax.Array, train: bool
  ) -> jax.Array:
    """Log-odds [B]."""
    v, history = parts(inputs["fields"])[0], parts(inputs["history"])[0]
    candidate = v[:, self.target]
    both = jnp.broadcast_to(candidate[:, None], history.shape)
    pair = jnp.concatenate([history, both, history * both], axis=-1)
    weight = nn.Dense(1)(nn.relu(nn.Dense(self.attention)(pair)))
    self.sow("intermediates", "attention_weights", weight)
    seen = jnp.sum(present[..., None] * weight * history, axis=1)
    x = jnp.concatenate([flat(v), seen], axis=1)
    return Perceptron(self.hidden, self.dropout)(x, train)
