"""A module's method as a function that compiled code knows again."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from adv_rec.types import Params


@dataclasses.dataclass(frozen=True)
class Apply:
  """params, *args -> module.method(*args).

  Two of them are equal if their modules have equal fields, so that a `Scorer`
  built on one after every epoch does not compile the ranking anew.
  """

  module: nn.Module
  method: str

  def __call__(self, params: Params, *args: Any) -> jax.Array:
    """The method's result at these parameters."""
    result: Any = self.module.apply(
      {"params": params}, *args, method=self.method
    )
    return result


def sown(module: nn.Module, params: Params, *args: Any) -> list[jax.Array]:
  """What a module's parts sow as "attention_weights", in their order."""
  _, kept = module.apply({"params": params}, *args, mutable=["intermediates"])
  leaves = jax.tree_util.tree_leaves_with_path(kept)
  return [x for path, x in leaves if "attention_weights" in str(path)]


def attended(
  module: nn.Module, params: Params, x: jax.Array, there: jax.Array
) -> jax.Array:
  """Self-attention of a module of (x, there, train), by place. -> [B, L].

  The mean over blocks, heads and the places that look; what a prefix is given
  is left out.

  Args:
    module: its parts sow weights [B, H, L, L'], L' not less than L.
    params: of the module.
    x: [B, L, D].
    there: places that are no padding [B, L].
  """
  weights = sown(module, params, x, there, False)
  looks = there[:, None, :, None].astype(x.dtype)
  length = there.shape[1]
  total = jnp.maximum(jnp.sum(looks, axis=(1, 2, 3)), 1.0)[:, None]
  found = [
    jnp.sum(jnp.mean(w, axis=1, keepdims=True) * looks, axis=(1, 2)) / total
    for w in weights
  ]
  return jnp.mean(jnp.stack(found), axis=0)[:, -length:]
