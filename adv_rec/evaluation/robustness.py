"""Robustness: the same metric while the inputs are pushed around."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.types import Batch

Attack = Callable[[Callable, Any, jax.Array], Any]


def curve(
  attacks: Mapping[str, Callable[[Any], Attack]],
  size: Callable[[float], Callable],
  fractions: Sequence[float],
  objective: Callable[[Any], jax.Array],
  inputs: Mapping[str, jax.Array],
  score: Callable[[Any], Mapping[str, float]],
  key: jax.Array,
) -> list[dict[str, Any]]:
  """Scores inputs + attack(inputs) over attacks and sizes.

  Args:
    attacks: name -> (size -> attack); put "random" beside every gradient
      attack, or what looks like robustness may be a bad gradient.
    size: fraction -> a size for the attacks (`relative`: median row norms).
    fractions: sizes to try; zero is added.
    objective: inputs -> scalar that the attacker raises.
    inputs: name -> table [N, D], what is attacked.
    score: inputs -> metrics.
    key: of random attacks and random starts.

  Returns:
    A list of {"attack", "relative_epsilon", "epsilon": {table: radius},
    **metrics}.
  """
  rows = []
  clean = dict(score(inputs))
  zero = dict.fromkeys(inputs, 0.0)
  for name, make in attacks.items():
    rows.append(
      {"attack": name, "relative_epsilon": 0.0, "epsilon": zero, **clean}
    )
    for fraction in sorted(set(fractions) - {0.0}):
      delta = make(size(fraction))(objective, inputs, key)
      radii = jax.device_get(size(fraction)(inputs))
      rows.append(
        {
          "attack": name,
          "relative_epsilon": fraction,
          "epsilon": {table: float(r) for table, r in radii.items()},
          **score(jax.tree.map(jnp.add, inputs, delta)),
        }
      )
  return rows


def mean_over(
  objective: Callable[[Any, Batch], jax.Array],
  data: Mapping[str, np.ndarray],
  block: int = 1 << 16,
) -> Callable[[Any], jax.Array]:
  """inputs -> mean of objective(inputs, rows) over all rows of the data.

  Works block by block, forwards and backwards, so that memory does not grow
  with the data. Rows that do not fill the last block are left out.

  Args:
    objective: inputs, batch -> mean over the rows of the batch.
    data: name -> [N, ...].
    block: rows at a time.
  """
  rows = len(next(iter(data.values())))
  block = min(block, rows)
  blocks = {
    name: jnp.asarray(x[: rows // block * block]).reshape(
      -1, block, *x.shape[1:]
    )
    for name, x in data.items()
  }

  def total(inputs: Any) -> jax.Array:
    means = jax.lax.map(
      jax.checkpoint(lambda batch: objective(inputs, batch)), blocks
    )
    return jnp.mean(means)

  return total
