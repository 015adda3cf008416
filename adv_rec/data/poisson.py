"""Poisson batches: each unit of privacy is in each batch with probability q.

That is the sampling which the accounts of DP-SGD are about; epochs of shuffled
rows are another mechanism, with another, larger epsilon (Chua et al. 2024,
arXiv:2403.17673). A unit is a row, or all rows of a customer, of which a batch
holds a bounded number.

The size of such a batch is random and private. So batches are filled up to a
fixed capacity, "mask" says which rows are there, and the mask must stay where
the data stays. If more units are drawn than fit, those that stay are drawn at
random among them, without a sign to anybody. This cut makes the mechanism
another one: units are no longer drawn independently. Accounts must know of the
capacity (`sampling` carries it).

Batches are a function of (secret, step). The secret takes the place of a seed,
since a sample that others know of protects nobody better than no sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from adv_rec.data.batching import Part, share

_TAIL = 1e-12  # chance of a cut in one batch at the default capacity


class Sampling(NamedTuple):
  """What accounts need to know of a sampler.

  Attributes:
    kind: "poisson".
    units: N; public, as is all the rest.
    probability: q, with which a unit is drawn into a batch.
    capacity: the most units that a batch holds.
  """

  kind: str
  units: int
  probability: float
  capacity: int


class Poisson:
  """A batcher of Poisson samples; see the top of this file.

  Called as any batcher, it gives beside the rows

    mask    [S, B] bool, which rows are there; the others are 0.
    noise   [S, B, 2] uint32, fresh words for whoever adds noise; the same in
            all rows of a sample.

  B is updates x capacity x most rows; the rows of a unit follow each other.
  With several updates a step, update i finds a sample of its own in the rows
  i, i + updates, ..., as `training.step` deals them.

  Attributes:
    sampling: what it does, for accounts.
    padded: rows of a sample: capacity x most.
    updates: samples of a step.
  """

  def __init__(
    self,
    rows: Mapping[str, np.ndarray],
    expected: float,
    secret: bytes,
    *,
    owners: np.ndarray | None = None,
    most: int = 1,
    capacity: int | None = None,
    updates: int = 1,
  ):
    """Prepares the draws.

    Args:
      rows: name -> [N, ...].
      expected: units that a batch is expected to have; q = expected / N.
      secret: at most 64 bytes, of what the samples and the noise are drawn.
      owners: [N] int, the customer of each row, who is then the unit; None:
        each row is a unit.
      most: rows of a customer that a batch holds. If there are more, each
        batch has others, drawn at random.
      capacity: units that a batch has room for; None: so many that a cut has a
        chance of 1e-12, rounded up to a multiple of 8.
      updates: samples of a step.

    Raises:
      ValueError: no rows, numbers out of range, or rows of unequal number.
    """
    lengths = {len(x) for x in rows.values()}
    if len(lengths) != 1 or lengths == {0}:
      raise ValueError(f"rows of a batch number {sorted(lengths)}; give some")
    (num,) = lengths
    if owners is None and most != 1:
      raise ValueError(f"most={most} rows of a unit that is one row")
    owners = np.arange(num) if owners is None else np.asarray(owners)
    if len(owners) != num:
      raise ValueError(f"{len(owners)} owners of {num} rows")
    _, owners = np.unique(owners, return_inverse=True)
    self._rows = dict(rows)
    self._order = np.argsort(owners, kind="stable")
    self._counts = np.bincount(owners)
    self._begin = np.cumsum(self._counts) - self._counts
    units = len(self._counts)
    q = expected / units
    if not 0 < q <= 1 or most < 1 or updates < 1:
      raise ValueError(
        f"expected={expected} of {units} units, most={most}, updates={updates}:"
        " expected must be above 0 and at most the units, the others at least 1"
      )
    if capacity is None:
      capacity = -(-(int(stats.binom.isf(_TAIL, units, q)) + 1) // 8) * 8
    if capacity < 1:
      raise ValueError(f"capacity={capacity} must be at least 1")
    self.sampling = Sampling("poisson", units, q, capacity)
    self.padded, self.updates = capacity * most, updates
    self._most, self._secret = most, secret

  def __call__(
    self, start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    """The rows of one part of the batches, {name: [stop - start, B / P]}."""
    own = share(self.padded * self.updates, part)
    draws = [
      self._sample(draw)
      for draw in range(start * self.updates, stop * self.updates)
    ]

    def dealt(name: str) -> np.ndarray:
      x = np.stack([draw[name] for draw in draws])
      x = x.reshape(stop - start, self.updates, *x.shape[1:]).swapaxes(1, 2)
      size = self.padded * self.updates
      return x.reshape(stop - start, size, *x.shape[3:])[:, own]

    return {name: dealt(name) for name in draws[0]}

  def _sample(self, draw: int) -> dict[str, np.ndarray]:
    """One sample; `draw` counts them over all steps."""
    seed = int.from_bytes(self._digest("units", draw))
    rng = np.random.default_rng(seed)
    # A binomial number of units, drawn without replacement, is each unit by
    # itself with probability q (arXiv:2406.17298, lemma 1).
    units, q = self.sampling.units, self.sampling.probability
    size = min(int(rng.binomial(units, q)), self.sampling.capacity)
    chosen = rng.choice(units, size, replace=False)
    counts = self._counts[chosen]
    unit = np.repeat(np.arange(size), counts)
    nth = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
    if (counts > self._most).any():
      by_chance = np.lexsort([rng.random(len(unit)), unit])
      place = np.empty_like(nth)
      place[by_chance] = nth  # units stay in their order, rows change places
    else:
      place = nth
    kept = place < self._most
    row = self._order[self._begin[chosen[unit[kept]]] + nth[kept]]
    at = unit[kept] * self._most + place[kept]
    mask = np.zeros(self.padded, bool)
    mask[at] = True
    found = {"mask": mask}
    for name, x in self._rows.items():
      filled = np.zeros((self.padded, *x.shape[1:]), x.dtype)
      filled[at] = x[row]
      found[name] = filled
    words = np.frombuffer(self._digest("noise", draw)[:8], np.uint32)
    found["noise"] = np.broadcast_to(words, (self.padded, 2))
    return found

  def _digest(self, purpose: str, draw: int) -> bytes:
    text = f"{purpose} {draw}".encode()
    return hashlib.blake2b(text, key=self._secret, digest_size=32).digest()
