"""Chains of events in closed form: what any learnt model is to beat."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from scipy import sparse

from adv_rec.models.events import Sizes
from adv_rec.types import Params

_PRIOR = 0.5  # of an event that was not seen, in events
_BACK_OFF = 10.0  # events that the gap of a kind, whatever came before, weighs
_NOISY = 8.0  # more of them for each event of noise


def markov(codes: np.ndarray, sizes: Sizes) -> Params:
  """The first-order chain of kinds, for `models.events.Chain`.

  A kind depends on the kind before, a gap on the two, an amount on its kind.
  Counts, smoothed towards the distribution without the kind before.

  Args:
    codes: [N, L, 3] sequences, see `data.event_codes`.
    sizes: of the blocks.
  """
  kind = codes[..., 0]
  before = _before(kind, sizes)
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


def counted(codes: np.ndarray, sizes: Sizes) -> sparse.csr_array:
  """Few counts that a chain can be made of, of each sequence. [N, C].

  Three tables side by side: kind before, kind, whether time has passed, [K, K,
  2]; kind and gap where it has, [K, G]; kind and amount, [K, A]. The first
  cell of gaps must be that of no time.

  Args:
    codes: [N, L, 3] sequences, see `data.event_codes`.
    sizes: of the blocks.
  """
  kind, gap, amount = np.moveaxis(codes, -1, 0)
  before = _before(kind, sizes)
  there, passed, spent = kind >= 0, gap > 0, amount >= 0
  shapes = _shapes(sizes)
  first = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
  rows, cells = [], []
  for begin, shape, where, found in zip(
    first,
    shapes,
    (there, passed, spent),
    ((before, kind, passed), (kind, gap), (kind, amount)),
    strict=False,
  ):
    rows.append(np.nonzero(where)[0])
    own = [x[where].astype(int) for x in found]
    cells.append(begin + np.ravel_multi_index(own, shape))
  row, cell = np.concatenate(rows), np.concatenate(cells)
  return sparse.csr_array(
    (np.ones(len(row)), (row, cell)), (len(codes), int(first[-1]))
  )


def from_counts(counts: np.ndarray, sizes: Sizes, noise: float) -> Params:
  """The chain of sums of `counted` with noise, for `models.events.Chain`.

  Args:
    counts: [C].
    sizes: of the blocks.
    noise: standard deviation of that of each count; one that does not stand
      out from it by twice that counts as none, whatever it is.
  """
  strong = np.where(counts >= 2 * noise, np.maximum(counts, 0.0), 0.0)
  shapes, weight = _shapes(sizes), _BACK_OFF + _NOISY * noise
  ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
  moves, gaps, amounts = (
    x.reshape(shape)
    for x, shape in zip(np.split(strong, ends), shapes, strict=True)
  )

  def smooth(table: np.ndarray) -> np.ndarray:
    """Shares, each row's with those of all rows."""
    return _shares(table + weight * _shares(table.sum(axis=0) + _PRIOR))

  # Whether time passes between two kinds, where seldom seen, as after all.
  whole = weight * _shares(moves.sum(axis=1) + _PRIOR)[:, None]
  passed = _shares(moves + whole)
  later = smooth(gaps[:, 1:])
  gap = np.concatenate(
    [
      passed[..., :1],
      passed[..., 1:] * np.broadcast_to(later, (sizes.kinds, *later.shape)),
    ],
    axis=-1,
  )
  return {
    name: jnp.asarray(np.log(table), jnp.float32)
    for name, table in (
      ("kind", smooth(moves.sum(axis=-1))),
      ("gap", gap),
      ("amount", smooth(amounts)),
    )
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


def _before(kind: np.ndarray, sizes: Sizes) -> np.ndarray:
  """The kind before each, the last one where none is. [N, L] -> [N, L]."""
  before = np.full_like(kind, sizes.kinds - 1)
  before[:, 1:] = np.where(kind[:, :-1] >= 0, kind[:, :-1], sizes.kinds - 1)
  return before


def _shapes(sizes: Sizes) -> tuple[tuple[int, ...], ...]:
  """Of the tables of `counted`."""
  kinds, gaps, amounts = sizes
  return (kinds, kinds, 2), (kinds, gaps), (kinds, amounts)


def _count(sizes: tuple[int, ...], *codes: np.ndarray) -> np.ndarray:
  """How often codes occur together, as a table of some sizes."""
  table = np.zeros(sizes)
  np.add.at(table, codes, 1.0)
  return table


def _shares(counts: np.ndarray) -> np.ndarray:
  return counts / counts.sum(axis=-1, keepdims=True)


def _logs(counts: np.ndarray) -> jnp.ndarray:
  return jnp.asarray(np.log(_shares(counts)), jnp.float32)
