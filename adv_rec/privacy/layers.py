"""What a layer adds to the gradient of a unit of privacy, for ghost clipping.

A unit has `rows` rows, one after the other. What a layer adds to the gradient
by one of its parameters has one of three forms (a `Part`), so that norms of
sums over several uses of a parameter can be found without forming them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.InstanceNorm)
_CONVOLUTIONS = (nn.Conv, nn.ConvTranspose)
_ROUNDING = 1e-6  # of sums of products in float32


class Outer(NamedTuple):
  """sum_s x_s g_s': a dense kernel. [U, S, D], [U, S, P] -> [U, D, P]."""

  x: jax.Array
  g: jax.Array


class Rows(NamedTuple):
  """g_s added to row id_s: an embedding. [U, S], [U, S, P] -> [U, V, P]."""

  ids: jax.Array
  g: jax.Array


class Whole(NamedTuple):
  """The gradients themselves, where they are small. [U, ...]."""

  gradient: jax.Array


Part = Outer | Rows | Whole


def refuse(layer: nn.Module) -> None:
  """Raises ValueError for a layer that mixes the rows of a batch."""
  name = layer.name or "the network"
  mixes = isinstance(layer, nn.BatchNorm) or (
    isinstance(layer, _NORMS) and layer.axis_name is not None
  )
  if mixes:
    raise ValueError(
      f"{type(layer).__name__} ({name}) takes statistics of the batch, through"
      " which a row acts on the losses of others and clipping bounds nothing;"
      " use nn.LayerNorm or nn.GroupNorm"
    )


def known(layer: nn.Module, args: Sequence[Any], rows: int) -> bool:
  """Whether `parts` knows a call of a layer, with the rows on axis 0."""
  if len(args) != 1 or getattr(args[0], "shape", ())[:1] != (rows,):
    return False
  (x,) = args
  if type(layer) is nn.Embed:
    return True
  if x.dtype != jnp.float32:
    return False
  if type(layer) is nn.Dense:
    plain = layer.dot_general is None and layer.dot_general_cls is None
    return x.ndim > 1 and plain
  if type(layer) in _CONVOLUTIONS:
    size = layer.kernel_size
    return x.ndim >= (1 if isinstance(size, int) else len(size)) + 2
  if type(layer) in _NORMS:
    axes = getattr(layer, "reduction_axes", None)
    axes = (axes,) if isinstance(axes, int) else axes or (-1,)
    features = getattr(layer, "feature_axes", None)
    features = (features,) if isinstance(features, int) else features or (-1,)
    return x.ndim > 1 and 0 not in {a % x.ndim for a in (*axes, *features)}
  return False


def parts(
  layer: nn.Module,
  params: Mapping[str, jax.Array],
  x: jax.Array,
  g: jax.Array,
  rows: int,
) -> dict[str, Part]:
  """What one call of a layer adds to the gradients of units.

  Args:
    layer: unbound and known.
    params: its own.
    x: its input, [B, ...].
    g: gradient of the losses by its output, [B, ...].
    rows: of a unit.

  Returns:
    Name of a parameter -> part, of U = B / rows units.
  """
  if type(layer) is nn.Dense:
    x, g = (a.reshape(len(a) // rows, -1, a.shape[-1]) for a in (x, g))
    bias: dict[str, Part] = {"bias": Whole(jnp.sum(g, axis=1))}
    return {"kernel": Outer(x, g), **(bias if layer.use_bias else {})}
  if type(layer) is nn.Embed:
    ids = jnp.where(x < 0, x + layer.num_embeddings, x)
    return {
      "embedding": Rows(
        ids.reshape(len(x) // rows, -1),
        g.reshape(len(g) // rows, -1, g.shape[-1]),
      )
    }
  x, g = (a.reshape(len(a) // rows, rows, *a.shape[1:]) for a in (x, g))
  each = jax.vmap(lambda x, g: gradient(layer, params, x, g))(x, g)
  return {name: Whole(value) for name, value in each.items()}


def gradient(
  layer: nn.Module,
  params: Mapping[str, jax.Array],
  x: jax.Array,
  g: jax.Array,
) -> dict[str, jax.Array]:
  """The sum over rows of <g, d layer(x) / d params>."""

  def output(params):
    y: Any = layer.apply({"params": params}, x)
    return y

  # A norm that is right to rounding is worth nothing beside sums that an
  # accelerator has made of rounded factors.
  with jax.default_matmul_precision("highest"):
    return jax.vjp(output, dict(params))[1](g)[0]


def squared_norm(uses: Sequence[Part], shape: tuple[int, ...]) -> jax.Array:
  """|sum of the parts|^2 of each unit. [U].

  Where positions of a unit cancel, rounding could make a norm too small and
  its weight too large, so these sums are rounded up.

  Args:
    uses: of one parameter, at least one.
    shape: of the parameter.
  """
  with jax.default_matmul_precision("highest"):
    if all(isinstance(part, Outer) for part in uses):
      x = jnp.concatenate([part.x for part in uses], axis=1)
      g = jnp.concatenate([part.g for part in uses], axis=1)
      positions, size = x.shape[1], x.shape[2] * g.shape[2]
      if positions == 1:
        return jnp.sum(x * x, axis=(1, 2)) * jnp.sum(g * g, axis=(1, 2))
      if positions * (x.shape[2] + g.shape[2]) <= size:
        alike = jnp.einsum("usd,utd->ust", x, x)
        return _gram(alike, g, jnp.linalg.norm(x, axis=-1))
    elif all(isinstance(part, Rows) for part in uses):
      ids = jnp.concatenate([part.ids for part in uses], axis=1)
      g = jnp.concatenate([part.g for part in uses], axis=1)
      if ids.shape[1] == 1:
        return jnp.sum(g * g, axis=(1, 2))
      alike = (ids[:, :, None] == ids[:, None, :]).astype(g.dtype)
      return _gram(alike, g, jnp.ones(ids.shape, g.dtype))
    total = sum(_formed(part, shape) for part in uses)
  return jnp.sum(jnp.square(total), axis=range(1, len(shape) + 1))


def _gram(alike: jax.Array, g: jax.Array, lengths: jax.Array) -> jax.Array:
  """sum_st alike_st <g_s, g_t>, rounded up. [U, S, S], [U, S, P], [U, S]."""
  total = jnp.sum(alike * jnp.einsum("usp,utp->ust", g, g), axis=(1, 2))
  most = jnp.sum(lengths * jnp.linalg.norm(g, axis=-1), axis=1)
  return jnp.maximum(total, 0.0) + _ROUNDING * jnp.square(most)


def _formed(part: Part, shape: tuple[int, ...]) -> jax.Array:
  """A part as gradients [U, *shape]."""
  if isinstance(part, Whole):
    return part.gradient
  if isinstance(part, Outer):
    return jnp.einsum("usd,usp->udp", part.x, part.g).reshape(-1, *shape)
  zeros = jnp.zeros((len(part.ids), math.prod(shape[:-1]), shape[-1]))
  unit = jnp.arange(len(part.ids))[:, None]
  return zeros.at[unit, part.ids].add(part.g).reshape(-1, *shape)
