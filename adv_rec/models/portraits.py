"""A perceptron of numbers that are known of a customer."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.types import Batch, Params, Predictor


class Perceptron(nn.Module):
  """Layers of relu with dropout, also of the input; logits at the end.

  Attributes:
    outputs: C logits; 1 for log-odds.
    hidden: width of each layer; none for logistic regression.
    dropout: share of the input, and of each layer, that training leaves out.
  """

  outputs: int
  hidden: tuple[int, ...]
  dropout: float

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B, F] -> [B, C]."""
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    for size in self.hidden:
      x = nn.relu(nn.Dense(size, kernel_init=nn.initializers.he_normal())(x))
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return nn.Dense(self.outputs)(x)


def predictor(
  features: int, classes: int, hidden: tuple[int, ...], dropout: float
) -> Predictor:
  """Of the batch's "value" [B, F]; each number is a row of its own [B, F, 1].

  Args:
    features: F.
    classes: two for log-odds [B], more for logits [B, C].
    hidden: see `Perceptron`.
    dropout: see `Perceptron`.
  """
  module = Perceptron(1 if classes == 2 else classes, hidden, dropout)

  def lookup(params: Params, batch: Batch) -> dict[str, jax.Array]:
    del params
    return {"value": batch["value"][..., None]}

  def logits(
    params: Params,
    batch: Batch,
    inputs: dict[str, jax.Array],
    key: jax.Array | None,
  ) -> jax.Array:
    del batch
    found = module.apply(
      {"params": params},
      inputs["value"][..., 0],
      key is not None,
      rngs=None if key is None else {"dropout": key},
    )
    assert isinstance(found, jax.Array)
    return found[:, 0] if classes == 2 else found

  def init(key: jax.Array) -> Params:
    return module.init(key, jnp.zeros((1, features)), False)["params"]

  return Predictor(init, lookup, logits)
