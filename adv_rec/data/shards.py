"""Training triples of a dataset in shards: a few shards in memory at a time.

A batcher like those of `batching`: a function of (seed, step) alone, each row
exactly once an epoch, the same rows in the same order however many processes
share a batch.

Shards are dealt to lanes (shard s to lane s modulo the number of lanes), and
every batch takes rows from all lanes, in proportion to their size. A lane goes
through its shards one after another, in an order drawn for each epoch, and
through the rows of a shard in an order drawn for each epoch and shard. So
memory holds one shard a lane, and a process that asks for its part of each
batch reads only the lanes that this part comes from.

Compared with a full shuffle, the rows of a batch come from as many shards as
there are lanes, not from all: users of one shard meet more often in an epoch.
Which users share a shard says nothing of them (code modulo shards).
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from adv_rec.data import dataset
from adv_rec.data.batching import Batches, NegativeSampler, Part, share
from adv_rec.data.dataset import Pairs

Rows = dict[str, np.ndarray]


class Shards(NamedTuple):
  """The interactions to train on, shard by shard.

  Attributes:
    rows: rows of each shard.
    read: shard -> its interactions; the users of a shard are in no other.
  """

  rows: tuple[int, ...]
  read: Callable[[int], Pairs]


def open_shards(
  directory: dataset.Path, parts: Sequence[str] = ("train",)
) -> Shards:
  """The shards of a prepared dataset.

  Args:
    directory: what `prepare` wrote with shards.
    parts: what to train on: "train", and also "validation", which is held in
      memory.

  Raises:
    FileNotFoundError: the directory or one of its files is missing.
    ValueError: the dataset has no shards; while reading, a damaged file.
  """
  directory = pathlib.Path(directory)
  description = dataset.describe(directory)
  rows = np.array(description["shards"], np.int64)
  if not rows.size:
    raise ValueError(
      f"{directory} is not in shards; prepare it with --shards=N"
    )
  names = dataset.stems("train", len(rows))
  extra = [
    dataset.pairs(
      dataset.read_checked(directory, f"{part}.parquet", description)
    )
    for part in parts
    if part != "train"
  ]
  for pairs in extra:
    rows = rows + np.bincount(pairs.user % len(rows), minlength=len(rows))

  def read(shard: int) -> Pairs:
    table = dataset.read_checked(
      directory, f"{names[shard]}.parquet", description
    )
    found = [dataset.pairs(table)]
    for pairs in extra:
      mine = pairs.user % len(names) == shard
      found.append(Pairs(*(column[mine] for column in pairs)))
    return Pairs(*map(np.concatenate, zip(*found, strict=True)))

  return Shards(tuple(map(int, rows)), read)


def triples(
  shards: Shards,
  num_items: int,
  batch_size: int,
  seed: int,
  lanes: int,
) -> Batches:
  """Batches of (user, positive, negative) for pairwise ranking.

  The negative is uniform over the items that the user has no interaction
  with, as in `batching.triples`.

  Args:
    shards: what to train on.
    num_items: I.
    batch_size: B, rows of a global batch.
    seed: of shuffles and negatives.
    lanes: shards in memory at a time, at most; no more than there are shards.

  Returns:
    (start, stop, part=(0, 1)) -> {"user", "positive", "negative"}, each
    [stop - start, B / P]: of each batch the rows p B / P .. (p + 1) B / P - 1
    for part (p, P).

  Raises:
    ValueError: there are no rows, fewer shards than lanes, or a batch with
      less than a row of some lane; when called, parts that do not divide the
      batch, or a user who has every item.
  """
  _check(shards, batch_size, lanes)
  dealt = [range(lane, len(shards.rows), lanes) for lane in range(lanes)]
  ends = np.cumsum([sum(shards.rows[s] for s in shard) for shard in dealt])
  bounds = [0, *map(int, ends)]
  total = bounds[-1]
  for lane in range(lanes):
    if (bounds[lane + 1] - bounds[lane]) * batch_size < total:
      raise ValueError(
        f"a batch of {batch_size} rows is too small for {lanes} lanes: lane "
        f"{lane} has {bounds[lane + 1] - bounds[lane]} of {total} rows; use "
        "fewer lanes or larger batches"
      )
  readers = [
    _Lane(shards, dealt[lane], num_items, seed, lane) for lane in range(lanes)
  ]

  def taken(lane: int, position: int) -> int:
    """Rows that the lanes before `lane` gave to the first `position` rows."""
    # Exact, and a whole epoch at multiples of `total`: each row comes once.
    return position * bounds[lane] // total

  def batches(start: int, stop: int, part: Part = (0, 1)) -> Rows:
    own_rows = share(batch_size, part)
    first, last = own_rows.start, own_rows.stop
    out = {
      name: np.empty((stop - start, last - first), np.int32)
      for name in ("user", "positive", "negative")
    }
    times = [step * batch_size for step in range(start, stop + 1)]
    for lane, reader in enumerate(readers):
      before = [taken(lane, t) for t in times]
      own = [taken(lane + 1, t) - b for t, b in zip(times, before, strict=True)]
      cuts = []  # (step, place in this part, positions in the lane's stream)
      for n in range(stop - start):
        offset = before[n + 1] - before[n]  # of the lane in the batch
        low = own[n] + max(first - offset, 0)
        high = min(own[n] + last - offset, own[n + 1])
        if low < high:
          cuts.append((n, offset + low - own[n] - first, low, high))
      if cuts:
        origin = cuts[0][2]
        rows = reader(origin, cuts[-1][3])
        for n, place, low, high in cuts:
          for name, column in rows.items():
            piece = column[low - origin : high - origin]
            out[name][n, place : place + len(piece)] = piece
    return out

  return batches


class _Lane:
  """The endless stream of rows of some shards; keeps one shard in memory."""

  def __init__(
    self,
    shards: Shards,
    own: Sequence[int],
    num_items: int,
    seed: int,
    lane: int,
  ):
    self._shards, self._own = shards, np.array(own)
    self._rows = np.array(shards.rows, np.int64)
    self._num_items, self._seed, self._lane = num_items, seed, lane
    self._total = int(self._rows[self._own].sum())
    self._kept: tuple[tuple[int, int], Rows] | None = None

  def __call__(self, start: int, stop: int) -> Rows:
    """The rows at the positions start .. stop - 1 of the stream."""
    parts = []
    while start < stop:
      epoch, position = divmod(start, self._total)
      order = np.random.default_rng(
        [self._seed, epoch, 0, self._lane]
      ).permutation(self._own)
      ends = np.cumsum(self._rows[order])
      n = int(np.searchsorted(ends, position, side="right"))
      begin = position - (int(ends[n]) - int(self._rows[order[n]]))
      count = min(int(ends[n]) - position, stop - start)
      rows = self._shuffled(epoch, int(order[n]))
      parts.append({k: x[begin : begin + count] for k, x in rows.items()})
      start += count
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

  def _shuffled(self, epoch: int, shard: int) -> Rows:
    if self._kept is None or self._kept[0] != (epoch, shard):
      self._kept = None  # before the next is read: one in memory, not two
      self._kept = (epoch, shard), self._read(epoch, shard)
    return self._kept[1]

  def _read(self, epoch: int, shard: int) -> Rows:
    rng = np.random.default_rng([self._seed, epoch, 1, shard])
    pairs = self._shards.read(shard)
    # Users are numbered within the shard, so that the sampler's tables are as
    # small as the shard.
    users, local = np.unique(pairs.user, return_inverse=True)
    try:
      sampler = NegativeSampler(local, pairs.item, self._num_items)
    except ValueError as error:  # which names the user's number in the shard
      raise ValueError(
        f"shard {shard}: a user has interacted with all {self._num_items} "
        "items, so no negative can be drawn; drop such users or raise the "
        "k-core"
      ) from error
    negative = sampler(rng)
    order = rng.permutation(len(negative))
    return {
      "user": users[sampler.users[order]].astype(np.int32),
      "positive": sampler.items[order],
      "negative": negative[order],
    }


def _check(shards: Shards, batch_size: int, lanes: int) -> None:
  if not sum(shards.rows):
    raise ValueError("there are no training rows; check the data's split")
  if batch_size < 1:
    raise ValueError(f"batch_size must be at least 1, got {batch_size}")
  if not 1 <= lanes <= len(shards.rows):
    raise ValueError(
      f"{lanes} lanes for {len(shards.rows)} shards: use 1 to "
      f"{len(shards.rows)}"
    )
