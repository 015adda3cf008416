"""Ghost clipping: sums of clipped gradients that are never formed one by one.

The gradient of a unit of privacy (a row, or several rows of one customer) by
the kernel of a dense layer is the product X' G of what went into the layer,
X [S, D], and of the loss's gradient by what came out, G [S, P], over the unit's
S positions: rows, steps in time, uses of the layer. Its norm needs no product:

  |X' G|^2 = sum_st <X_s, X_t> <G_s, G_t>

(Goodfellow 2015, arXiv:1510.01799, for one position; Li et al. 2022,
arXiv:2110.05679, section 4, for several.) From the norms come the weights
w = min(1, C / norm), and the clipped sum is one more product of each layer,
with G weighted (Bu et al. 2023, arXiv:2210.00038): nothing runs backward twice.

The taps are Flax's: `nn.intercept_methods` sees each call of a layer, and a
zero added to its output gets the gradient G. A layer counts as known only if
its parameters are those that are differentiated, as they are, and if the loss
depends on them through such calls alone; this is read off the loss's program.
Otherwise jax-privacy forms the gradients one by one, slower and the same.

What cannot be read off is that each row goes its own way through the network.
`check_rows` finds out; call it once before training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax_privacy import clipping

from adv_rec.privacy import layers
from adv_rec.types import Batch, Params

# (own params, all players' params, batch, key) -> losses [B], each of its row.
Examples = Callable[[Params, Mapping[str, Params], Batch, jax.Array], jax.Array]

MASK = "mask"  # of the batch, [B] bool: which rows are there


class _Use(NamedTuple):
  """A call of a known layer. Its input is traced, and kept beside.

  Attributes:
    layer: unbound, so that it can be applied to any parameters.
    where: name of each parameter -> its position among the leaves.
    shape: of the output.
    dtype: of the output.
  """

  layer: nn.Module
  where: dict[str, int]
  shape: tuple[int, ...]
  dtype: Any


def clipped(
  examples: Examples, clip: float, data: Sequence[str], rows: int = 1
) -> Callable[..., Params]:
  """The sum over units of their gradients, each of norm `clip` at most.

  Sensitivity: taking a unit out (its mask to False, or its rows to anything
  else that has no gradient) moves the sum by at most `clip` in L2 norm, but for
  rounding. A unit whose gradient is not finite counts nothing.

  Args:
    examples: losses of rows, of which the gradient is that of their sum.
    clip: C; infinite to clip nothing.
    data: the entries of the batch with a row for each row of `examples`.
    rows: of each unit, one after the other; B is units times rows.

  Returns:
    (own, everyone, batch, key) -> clipped sum, with the tree of `own`. The
    batch has an entry "mask".

  Raises:
    ValueError: when called: a layer mixes the rows of a batch, or the rows do
      not divide into units.
  """

  def gradient(own, everyone, batch, key):
    mask = batch[MASK]
    # Whatever stands in a row that is not there, it takes no part.
    there = {n: jnp.where(_along(mask, batch[n]), batch[n], 0) for n in data}
    batch = {**batch, **there}
    if len(mask) % rows:
      raise ValueError(
        f"{len(mask)} rows do not divide into units of {rows} rows"
      )

    def losses(params, batch, key):
      values = examples(params, everyone, batch, key)
      if values.shape != batch[MASK].shape:
        raise ValueError(
          f"losses of shape {values.shape} for {len(batch[MASK])} rows; each"
          " row has one of its own"
        )
      return jnp.where(batch[MASK], values, 0.0)

    uses = _known(lambda params: losses(params, batch, key), own, len(mask))
    if uses is None:
      return _one_by_one(losses, own, batch, key, clip, (*data, MASK), rows)
    return _ghost(
      lambda params: losses(params, batch, key), own, uses, clip, rows
    )

  return gradient


def check_rows(
  examples: Examples,
  own: Params,
  everyone: Mapping[str, Params],
  batch: Batch,
  key: jax.Array,
  data: Sequence[str],
) -> None:
  """Raises ValueError if the loss of a row depends on another row.

  Clipping bounds what a unit can do only where it can do nothing through the
  losses of others, as it could through statistics of the batch.

  Args:
    examples: losses of rows.
    own: parameters; any at which the network is not flat.
    everyone: all players' parameters.
    batch: at least two different rows, made up: it is not protected.
    key: of the loss.
    data: the entries that are rows.
  """

  def losses(params, batch):
    return examples(params, everyone, batch, key)

  uses = _known(lambda params: losses(params, batch), own, len(batch[data[0]]))
  # The first row stays, all others change.
  others = {
    name: jnp.roll(batch[name], 1, axis=0).at[0].set(batch[name][0])
    for name in data
  }
  here, there = losses(own, batch)[0], losses(own, {**batch, **others})[0]
  if not np.allclose(here, there, rtol=1e-4, atol=1e-6):
    raise ValueError(
      "the loss of a row changes with the other rows of its batch, so that"
      " clipping would not bound what a row can do; take out whatever looks at"
      " the batch as a whole"
    )
  if uses is None:
    return  # gradients are formed one by one: rows cannot meet
  found, back, _ = _tapped(lambda params: losses(params, batch), own, uses)
  (gradients,) = back(jnp.zeros_like(found).at[0].set(1.0))
  for use, gradient in zip(uses, gradients, strict=True):
    if np.any(np.asarray(gradient)[1:]):
      raise ValueError(
        f"the first axis of what {type(use.layer).__name__} gets is not that"
        " of the rows, or rows meet behind it; keep rows first and apart"
      )


def _one_by_one(
  losses: Callable[..., jax.Array],
  own: Params,
  batch: Batch,
  key: jax.Array,
  clip: float,
  data: Sequence[str],
  rows: int,
) -> Params:
  """The same by jax-privacy, each unit with a key of its own."""
  fixed = {name: x for name, x in batch.items() if name not in data}
  units = {
    name: x.reshape(len(x) // rows, rows, *x.shape[1:])  # may be empty: no -1
    for name, x in batch.items()
    if name in data
  }

  def loss(params, unit, key):
    return jnp.sum(losses(params, {**fixed, **unit}, key))

  total: Any = clipping.clipped_grad(
    loss,
    l2_clip_norm=clip,
    batch_argnums=1,
    keep_batch_dim=False,
    prng_argnum=2,
  )(own, units, key)
  return total


def _ghost(
  losses: Callable[[Params], jax.Array],
  own: Params,
  uses: Sequence[_Use],
  clip: float,
  rows: int,
) -> Params:
  found, back, (inputs, _) = _tapped(losses, own, uses)
  (outer,) = back(jnp.ones_like(found))
  leaves, tree = jax.tree.flatten(own)
  parts: dict[int, list[layers.Part]] = {}
  for use, x, g in zip(uses, inputs, outer, strict=True):
    mine = {name: leaves[i] for name, i in use.where.items()}
    for name, part in layers.parts(use.layer, mine, x, g, rows).items():
      parts.setdefault(use.where[name], []).append(part)
  squared = sum(
    layers.squared_norm(part, leaves[i].shape) for i, part in parts.items()
  )
  weight = jnp.minimum(1.0, clip / jnp.sqrt(squared))
  # 0 times infinity is no number: what is not finite is taken out of both.
  fine = jnp.repeat(jnp.isfinite(squared), rows)
  weight = jnp.where(fine, jnp.repeat(weight, rows), 0.0)
  total = [jnp.zeros_like(x) for x in leaves]
  for use, x, g in zip(uses, inputs, outer, strict=True):
    mine = {name: leaves[i] for name, i in use.where.items()}
    if jnp.issubdtype(x.dtype, jnp.inexact):
      x = jnp.where(_along(fine, x), x, 0.0)
    g = jnp.where(_along(fine, g), _along(weight, g) * g, 0.0)
    for name, gradient in layers.gradient(use.layer, mine, x, g).items():
      i = use.where[name]
      total[i] = total[i] + gradient
  return jax.tree.unflatten(tree, total)


def _along(values: jax.Array, x: jax.Array) -> jax.Array:
  """[B] in the shape that multiplies [B, ...]."""
  return values.reshape(-1, *(1,) * (x.ndim - 1))


def _known(
  losses: Callable[[Params], jax.Array], own: Params, rows: int
) -> list[_Use] | None:
  """The calls of known layers, or None if they are not all that counts."""
  uses: list[_Use] = []

  def probe(outer, inner):
    uses.clear()
    return _run(losses, outer, inner, uses, None, rows)

  program = jax.make_jaxpr(probe)(own, own).jaxpr
  # Of the two copies of the parameters known layers see the inner one: does
  # anything reach the losses from the outer one?
  reached = set(program.invars[: len(jax.tree.leaves(own))])
  for equation in program.eqns:
    if any(_is_in(x, reached) for x in equation.invars):
      reached.update(equation.outvars)
  if _is_in(program.outvars[0], reached):
    return None
  # What comes out of a layer inside a loop is none of this program's values.
  made = {x for equation in program.eqns for x in equation.outvars}
  outputs = program.outvars[len(program.outvars) - len(uses) :]
  return uses if all(_is_in(y, made) for y in outputs) else None


def _is_in(x: Any, reached: set[Any]) -> bool:
  return not isinstance(x, jax.extend.core.Literal) and x in reached


def _tapped(
  losses: Callable[[Params], jax.Array], own: Params, uses: Sequence[_Use]
) -> tuple[jax.Array, Callable[..., Any], Any]:
  """Losses, output gradients of the layers as a function of those of the
  losses, and the inputs and outputs of the layers.
  """
  # New arrays: the loss may also hold the same ones as a frozen opponent's.
  outer = jax.tree.map(jnp.copy, own)

  def run(taps):
    return _run(losses, outer, own, [], taps, uses[0].shape[0] if uses else 0)

  return jax.vjp(run, [jnp.zeros(u.shape, u.dtype) for u in uses], has_aux=True)


def _run(
  losses: Callable[[Params], jax.Array],
  outer: Params,
  inner: Params,
  uses: list[_Use],
  taps: Sequence[jax.Array] | None,
  rows: int,
) -> tuple[jax.Array, tuple[list[jax.Array], list[jax.Array]]]:
  """Losses at `outer`, with known layers at `inner` and taps added to them.

  Returns:
    The losses; inputs and outputs of the known layers. `uses` gets their calls.
  """
  position = {id(x): i for i, x in enumerate(jax.tree.leaves(outer))}
  values = jax.tree.leaves(inner)
  inputs, outputs, busy = [], [], [False]

  def tap(call, args, kwargs, context):
    layer = context.module
    layers.refuse(layer)
    if busy[0] or context.method_name != "__call__" or kwargs:
      return call(*args, **kwargs)
    params = dict(layer.variables.get("params", {}))
    where = {name: position.get(id(x), -1) for name, x in params.items()}
    if min(where.values(), default=-1) < 0:
      return call(*args, **kwargs)
    if not layers.known(layer, args, rows):
      return call(*args, **kwargs)
    alone = layer.clone(parent=None, name=None)
    busy[0] = True
    y: Any = alone.apply(
      {"params": {name: values[i] for name, i in where.items()}}, *args
    )
    busy[0] = False
    if y.shape[:1] != (rows,) or y.dtype != jnp.float32:
      return call(*args, **kwargs)
    outputs.append(y)
    if taps is not None:
      y = y + taps[len(uses)]
    uses.append(_Use(alone, where, y.shape, y.dtype))
    inputs.append(args[0])
    return y

  with nn.intercept_methods(tap):
    found = losses(outer)
  return found, (inputs, outputs)
