"""Batches as a function of the step: nothing to save, nothing to replay.

A batcher is a function (start, stop) -> {name: [stop - start, B, ...]}: the
batches of the steps start..stop-1. Step s reads the positions s B .. (s + 1) B
- 1 of an endless stream of epochs, each a fresh permutation of all rows, so
that every row is seen exactly once an epoch, no row is dropped, and a resumed
run needs no iterator state. Shuffles and negatives are drawn per epoch on the
host, seeded by (seed, epoch).

A third argument, part=(p, P), asks for the p-th of P equal parts of each batch
only, for one of several processes: together they have the rows that one has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

Part = tuple[int, int]


class Batches(Protocol):
  """What a batcher is; see the top of this file."""

  def __call__(
    self, start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    """The rows of one part of the batches, {name: [stop - start, B / P]}."""
    ...


EpochRows = Callable[[int], Mapping[str, np.ndarray]]


def stream(epoch_rows: EpochRows, num_rows: int, batch_size: int) -> Batches:
  """Cuts an endless stream of epochs into batches.

  Args:
    epoch_rows: epoch -> {name: [num_rows, ...]}, in shuffled order.
    num_rows: rows of an epoch.
    batch_size: rows of a batch; may exceed num_rows.

  Raises:
    ValueError: there are no rows, or the batch size is not positive.
  """
  if num_rows < 1:
    raise ValueError("there are no training rows; check the data's split")
  if batch_size < 1:
    raise ValueError(f"batch_size must be at least 1, got {batch_size}")
  # Two: a range of steps may begin in one epoch and end in the next.
  epoch_rows = functools.lru_cache(maxsize=2)(epoch_rows)

  def batches(
    start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    first, last = start * batch_size, stop * batch_size
    pieces = []
    for epoch in range(first // num_rows, -(-last // num_rows)):
      begin = max(first - epoch * num_rows, 0)
      end = min(last - epoch * num_rows, num_rows)
      rows = epoch_rows(epoch)
      pieces.append({name: x[begin:end] for name, x in rows.items()})
    whole = {
      name: np.concatenate([piece[name] for piece in pieces]).reshape(
        stop - start, batch_size, *pieces[0][name].shape[1:]
      )
      for name in pieces[0]
    }
    return _share(whole, part)

  return batches


def fresh(
  draw: Callable[[int, np.random.Generator], np.ndarray],
  batch_size: int,
  seed: int,
) -> Batches:
  """New examples in every step, a function of (seed, step).

  Args:
    draw: (B, generator) -> examples [B, ...].
    batch_size: B.
    seed: of the draws.

  Returns:
    (start, stop, part) -> {"real": [stop - start, B / P, ...]}.

  Raises:
    ValueError: the batch size is not positive.
  """
  if batch_size < 1:
    raise ValueError(f"batch_size must be at least 1, got {batch_size}")

  def batches(
    start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    own = share(batch_size, part)
    rows = [
      draw(batch_size, np.random.default_rng([seed, step]))[own]
      for step in range(start, stop)
    ]
    return {"real": np.stack(rows)}

  return batches


def share(size: int, part: Part) -> slice:
  """The rows of one part of a batch of `size` rows.

  Raises:
    ValueError: the parts are not equal, or there is no such part.
  """
  p, parts = part
  if size % parts or not 0 <= p < parts:
    raise ValueError(
      f"part {p} of {parts}: a batch of {size} rows cannot be shared like"
      " this; choose a batch_size that is a multiple of the processes"
    )
  return slice(p * size // parts, (p + 1) * size // parts)


def _share(rows: dict[str, np.ndarray], part: Part) -> dict[str, np.ndarray]:
  return {name: x[:, share(x.shape[1], part)] for name, x in rows.items()}


def triples(
  users: np.ndarray, items: np.ndarray, num_items: int, seed: int
) -> EpochRows:
  """Epochs of (user, positive, negative) for pairwise ranking.

  The negative is uniform over the items that the user has no interaction
  with in `users`, `items` (Rendle et al. 2009, section 4.2).

  Args:
    users: [N] int, user of each interaction.
    items: [N] int, item of each interaction.
    num_items: I.
    seed: of shuffles and negatives.

  Raises:
    ValueError: a user has every item, so that there is no negative.
  """
  sampler = NegativeSampler(users, items, num_items)
  users, items = sampler.users, sampler.items

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, epoch])
    negative = sampler(rng)
    order = rng.permutation(len(users))
    return {
      "user": users[order],
      "positive": items[order],
      "negative": negative[order],
    }

  return epoch_rows


class NegativeSampler:
  """Draws, for each interaction, an item its user has no interaction with.

  Attributes:
    users: [N] int32, sorted by (user, item).
    items: [N] int32, likewise.
  """

  def __init__(self, users: np.ndarray, items: np.ndarray, num_items: int):
    keys = np.sort(users.astype(np.int64) * num_items + items)
    self.users = (keys // num_items).astype(np.int32)
    self.items = (keys % num_items).astype(np.int32)
    self._num_items = num_items
    # The n-th free item of a user is n + (interactions at or below it). With
    # distinct history h_0 < h_1 < ..., h_j - j free items lie below h_j, so
    # that a binary search among these replaces drawing until nothing collides.
    unique = keys[np.diff(keys, prepend=-1) > 0]  # np.unique is slower
    owner = unique // num_items
    counts = np.bincount(owner, minlength=int(self.users.max(initial=-1)) + 1)
    begin = np.cumsum(counts) - counts
    rank = np.arange(len(unique)) - begin[owner]
    self._span = num_items + 1
    self._free_below = owner * self._span + unique % num_items - rank
    self._begin = begin[self.users]
    self._free = num_items - counts[self.users]
    if (self._free < 1).any():
      user = self.users[np.argmin(self._free)]
      raise ValueError(
        f"user code {user} has interacted with all {num_items} items, so no"
        " negative can be drawn; drop such users or raise the k-core"
      )

  def __call__(self, rng: np.random.Generator) -> np.ndarray:
    """One negative for each interaction. [N] int32."""
    nth = (rng.random(len(self.users)) * self._free).astype(np.int64)
    keys = self.users * np.int64(self._span) + nth
    taken = np.searchsorted(self._free_below, keys, side="right") - self._begin
    return (nth + taken).astype(np.int32)


def histories(
  indptr: np.ndarray, items: np.ndarray, pad: int, seed: int
) -> EpochRows:
  """Epochs of users with all their items, for losses over whole rows.

  Args:
    indptr: [U + 1], as `Dataset.history` gives it.
    items: [N] int, the items of user u at indptr[u] .. indptr[u + 1] - 1.
    pad: the id that fills the rows up; past the end of the item table.
    seed: of the shuffles.

  Returns:
    epoch -> {"user": [V], "items": [V, L]} for the V users who have items, L
    the most that one of them has.
  """
  users = np.flatnonzero(np.diff(indptr)).astype(np.int32)
  rows = padded_lists(indptr, items, pad)[users]

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng([seed, epoch]).permutation(len(users))
    return {"user": users[order], "items": rows[order]}

  return epoch_rows


def padded_lists(indptr: np.ndarray, items: np.ndarray, pad: int) -> np.ndarray:
  """Lists of different lengths as one array, filled up on the right.

  Args:
    indptr: [U + 1], as `Dataset.history` gives it.
    items: [N] int, the items of user u at indptr[u] .. indptr[u + 1] - 1.
    pad: the id that fills the rows up.

  Returns:
    [U, L] int32, L the length of the longest list.
  """
  lengths = np.diff(indptr)
  rows = np.full((len(lengths), lengths.max(initial=0)), pad, np.int32)
  rows[np.arange(rows.shape[1]) < lengths[:, None]] = items
  return rows


def newest(
  users: np.ndarray,
  items: np.ndarray,
  num_users: int,
  length: int,
  pad: int,
) -> np.ndarray:
  """The last items of each user in their order, filled up on the left.

  Args:
    users: [N] int, user of each interaction.
    items: [N] int, likewise; those of a user from the oldest to the newest.
    num_users: U.
    length: L, items to keep.
    pad: the id that fills the rows up.

  Returns:
    [U, L] int32, the newest item last.
  """
  order = np.argsort(users, kind="stable")
  users, items = users[order], items[order]
  ends = np.cumsum(np.bincount(users, minlength=num_users))
  age = ends[users] - 1 - np.arange(len(users))
  kept = age < length
  rows = np.full((num_users, length), pad, np.int32)
  rows[users[kept], length - 1 - age[kept]] = items[kept]
  return rows


def sequences(rows: np.ndarray, pad: int, seed: int) -> EpochRows:
  """Epochs of sequences, for losses over each next item.

  Args:
    rows: [U, L], from `newest`.
    pad: the id that fills them up; sequences of fewer than two items, in
      which nothing comes next, are left out.
    seed: of the shuffles.

  Returns:
    epoch -> {"items": [V, L]}.
  """
  rows = rows[(rows[:, -2:] != pad).all(axis=1)]

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng([seed, epoch]).permutation(len(rows))
    return {"items": rows[order]}

  return epoch_rows


def with_local_rows(
  batches: Batches, tables: Mapping[str, tuple[tuple[str, ...], int]]
) -> Batches:
  """Replaces ids by local ids and adds the unique ids, for row-sparse steps.

  Args:
    batches: yields int arrays [K, B]; asked for whole batches, whatever the
      part, since the unique ids are those of the whole.
    tables: table -> (the fields that hold its ids, its number of rows). The
      unique ids come as field "TABLE_rows" [K, L], padded by the number of
      rows (an id past the end), L = min(rows, ids in a batch) rounded up to
      a multiple of 128, the same for every step.
  """

  def localized(
    start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    batch = dict(batches(start, stop))
    for table, (fields, rows) in tables.items():
      ids = np.concatenate([batch[field] for field in fields], axis=1)
      length = -(-min(rows, ids.shape[1]) // 128) * 128
      unique = np.full((stop - start, length), rows, np.int32)
      local = np.empty(ids.shape, np.int32)
      for step in range(stop - start):
        found, local[step] = np.unique(ids[step], return_inverse=True)
        unique[step, : len(found)] = found
      columns = np.split(local, len(fields), axis=1)
      batch.update(zip(fields, columns, strict=True))
      batch[f"{table}_rows"] = unique
    return _share(batch, part)

  return localized
