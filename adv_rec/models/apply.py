"""A module's method as a function that compiled code knows again."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax

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
