"""Chains of events in closed form: what any learnt model is to beat."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from adv_rec.models.events import Sizes
from adv_rec.types import Params

_PRIOR = 0.5  # of an event that was not seen, in events
_BACK_OFF = 10.0  # events that the gap of a kind, whatever came before, weighs


def markov(codes: np.ndarray, sizes: Sizes) -> Params:
  """The first-order chain of kinds, for `models.events.Chain`.

  A kind depends on the kind before, a gap on the two, an amount on its kind.
  Counts, smoothed towards the distribution without the kind before.

  Args:
    codes: [N, L, 3] sequences, see `data.event_codes`.
    sizes: of the blocks.
  """
  kind = codes[..., 0]
  before = np.full_like(kind, sizes.kinds - 1)
  before[:, 1:] = np.where(kind[:, :-1] >= 0, kind[:, :-1], sizes.kinds - 1)
  there = kind >= 0
  kinds = _count((sizes.kinds, sizes.kinds), before[there], kind[there])
  timed = codes[..., 1] >= 0
  gaps = _count(
    (sizes.kinds, sizes.kinds, sizes.gaps),
    before[timed],
    kind[timed],
    codes[..., 1][timed],
  )
  spent = codes[..., 2] >= 0
  amounts = _count(
    (sizes.kinds, sizes.amounts), kind[spent], codes[..., 2][spent]
  )
  of_kind = _shares(gaps.sum(axis=0) + _PRIOR)
  return {
    "kind": _logs(kinds + _BACK_OFF * _shares(kinds.sum(axis=0) + _PRIOR)),
    "gap": _logs(gaps + _BACK_OFF * of_kind),
    "amount": _logs(amounts + _PRIOR),
  }


def independent(codes: np.ndarray, sizes: Sizes) -> Params:
  """Kind, gap and amount each from its own shares, whatever came before.

  Args:
    codes: [N, L, 3] sequences, see `data.event_codes`.
    sizes: of the blocks.
  """
  shapes = {
    "kind": (sizes.kinds, sizes.kinds),
    "gap": (sizes.kinds, sizes.kinds, sizes.gaps),
    "amount": (sizes.kinds, sizes.amounts),
  }
  return {
    name: jnp.broadcast_to(
      _logs(_count(shape[-1:], codes[..., i][codes[..., i] >= 0]) + _PRIOR),
      shape,
    )
    for i, (name, shape) in enumerate(shapes.items())
  }


def _count(sizes: tuple[int, ...], *codes: np.ndarray) -> np.ndarray:
  """How often codes occur together, as a table of some sizes."""
  table = np.zeros(sizes)
  np.add.at(table, codes, 1.0)
  return table


def _shares(counts: np.ndarray) -> np.ndarray:
  return counts / counts.sum(axis=-1, keepdims=True)


def _logs(counts: np.ndarray) -> jnp.ndarray:
  return jnp.asarray(np.log(_shares(counts)), jnp.float32)
