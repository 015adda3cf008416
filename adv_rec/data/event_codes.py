"""Sequences of events as codes, and back.

An event is three codes, each with a last value or spare room for what is none:

  kind    a type with a category, as they occur together; the rare categories
          of a type share one kind
  gap     time since the event before: a cell for each frequent value (0: the
          same basket), and bins with equally many of the others
  amount  likewise

A sequence is some events in a row of one user, [L, 3]. Where the user has no
more of them the kind is `Coding.end`, once; what an event does not have, and
what comes after the end, is -1. The first event has no gap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from adv_rec.data import encoding, tabular
from adv_rec.data.encoding import Encoded, Transform
from adv_rec.data.events import Log

KIND, GAP, AMOUNT = range(3)


class Kind(NamedTuple):
  """A type with one category, or with all its rare ones.

  Attributes:
    type: of the event.
    categories: one, or the rare ones.
    weights: of these, their shares [R]; sum 1.
    low: the least amount.
    high: the greatest.
  """

  type: Any
  categories: tuple[Any, ...]
  weights: np.ndarray
  low: float
  high: float


class Bins(NamedTuple):
  """Cells of a number: frequent values, then bins of its quantiles.

  Attributes:
    transform: of the number as a table of one column "x".
    most: bins, where there are numbers that are not frequent values.
  """

  transform: Transform
  most: int

  @property
  def spikes(self) -> int:
    """Cells of frequent values."""
    return len(self.transform.parts[0].values)

  @property
  def cells(self) -> int:
    """All of them."""
    return self.spikes + self.most * self.transform.numbers

  def encode(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The cell of each number. [N] -> [N]."""
    rows = self.transform.encode(pa.table({"x": x}), rng)
    size = len(self.transform.sizes)
    cell = rows.codes[:, 0] if size else np.zeros(len(x), np.int32)
    if not self.transform.numbers:
      return cell
    level = (rows.numbers[:, 0] + 1) / 2
    binned = np.clip((level * self.most).astype(int), 0, self.most - 1)
    return np.where(cell < self.spikes, cell, self.spikes + binned)

  def decode(self, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A number of each cell, at a level uniform in its bin. [N] -> [N]."""
    spike = np.minimum(cell, self.spikes)
    level = (np.maximum(cell - self.spikes, 0) + rng.random(len(cell))) / max(
      self.most, 1
    )
    rows = Encoded(
      _column(spike, len(self.transform.sizes)),
      _column(2 * level - 1, self.transform.numbers),
    )
    return self.transform.decode(rows, rng)["x"].to_numpy()


class Coding(NamedTuple):
  """How the events of a log are encoded; made by `fit`."""

  kinds: tuple[Kind, ...]
  gap: Bins
  amount: Bins

  @property
  def end(self) -> int:
    """The kind that says that there are no more events."""
    return len(self.kinds)

  @property
  def sizes(self) -> tuple[int, int, int]:
    """Kinds, the end among them; cells of gaps; of amounts."""
    return len(self.kinds) + 1, self.gap.cells, self.amount.cells


class Sequences(NamedTuple):
  """All events of each user as codes.

  Attributes:
    codes: [N, 3] int32; gaps are since the user's event before.
    begin: [U + 1], where the events of each user begin.
  """

  codes: np.ndarray
  begin: np.ndarray

  def windows(self, length: int, end: int, rng: np.random.Generator):
    """Some events in a row of each user, where they begin at random.

    Args:
      length: L, events.
      end: `Coding.end`.
      rng: draws the beginnings.

    Returns:
      [U, L, 3] int32; see the top of this file.
    """
    counts = np.diff(self.begin)
    starts = np.maximum(counts - length + 1, 1)
    start = (rng.random(len(counts)) * starts).astype(int)
    place = start[:, None] + np.arange(length)
    there = place < counts[:, None]
    rows = np.minimum(self.begin[:-1, None] + place, len(self.codes) - 1)
    codes = np.where(there[..., None], self.codes[rows], -1)
    codes[:, 0, GAP] = -1
    short = np.flatnonzero(counts < length)
    codes[short, counts[short], KIND] = end
    return codes.astype(np.int32)


def fit(log: Log, max_categories: int = 16, bins: int = 16) -> Coding:
  """Learns how to encode a log.

  Args:
    log: what to learn from.
    max_categories: that are told from the others, by the number of events;
      one of them is what all rare ones share.
    bins: of numbers that are not frequent values.
  """
  counts = log.column("category").value_counts().to_pylist()
  counts.sort(key=lambda entry: (-entry["counts"], str(entry["values"])))
  names = [entry["values"] for entry in counts]
  kept = len(names) if len(names) <= max_categories else max_categories - 1
  kinds = []
  _, kind, category, _, amount = log.table.column_names
  pairs = log.table.group_by([kind, category]).aggregate(
    [([], "count_all"), (amount, "min"), (amount, "max")]
  )
  by_type: dict[Any, dict[Any, tuple]] = {}
  for kind, name, *rest in zip(
    *(column.to_pylist() for column in pairs.columns), strict=True
  ):
    by_type.setdefault(kind, {})[name] = tuple(rest)
  for kind in sorted(by_type):
    found = by_type[kind]
    own = [name for name in names[:kept] if name in found]
    rare = [name for name in names[kept:] if name in found]
    for group in [*([name] for name in own), rare]:
      if group:
        count, low, high = np.array([found[n] for n in group], float).T
        weights = count / count.sum()
        kinds.append(Kind(kind, tuple(group), weights, low.min(), high.max()))
  gaps, first = _gaps(log)
  return Coding(
    tuple(kinds), _bins(gaps[~first], bins), _bins(log.amount, bins)
  )


def encode(log: Log, coding: Coding, rng: np.random.Generator) -> Sequences:
  """A log as codes; events of a kind that the coding lacks are left out.

  Args:
    log: of two events and more.
    coding: from `fit`.
    rng: draws the cell of a value that lies on the edge of bins.

  Returns:
    The codes of users with at least one event.
  """
  kind = np.full(len(log.user), -1)
  types, categories = log.column("type"), log.column("category")
  for code, found in enumerate(coding.kinds):
    same = tabular.codes(types, [found.type]) == 0
    same &= tabular.codes(categories, list(found.categories)) >= 0
    kind[same] = code
  if (kind < 0).any():
    log, kind = log.take(kind >= 0), kind[kind >= 0]
  gaps, _ = _gaps(log)
  codes = [kind, coding.gap.encode(gaps, rng)]
  codes.append(coding.amount.encode(log.amount, rng))
  begin = np.searchsorted(log.user, np.arange(log.num_users + 1))
  return Sequences(np.stack(codes, axis=1).astype(np.int32), begin)


def decode(
  codes: np.ndarray,
  coding: Coding,
  log: Log,
  users: pa.Array,
  rng: np.random.Generator,
) -> Log:
  """The log that sequences stand for, every value valid in a given log.

  A sequence begins at random where it ends before the given log does; events
  of one that lasts longer than that log are cut off.

  Args:
    codes: [N, L, 3]; see the top of this file.
    coding: what they mean.
    log: what it was fitted on: names, types, range of times.
    users: the id of each sequence [N].
    rng: draws values within cells, rare categories and beginnings.
  """
  there = (codes[..., KIND] >= 0) & (codes[..., KIND] < coding.end)
  user, place = np.nonzero(there)
  kind, gap, amount = codes[there].T
  gaps = coding.gap.decode(np.maximum(gap, 0), rng)
  since = np.zeros(there.shape, gaps.dtype)
  since[user, place] = np.where(place == 0, 0, gaps)
  since = np.cumsum(since, axis=1)
  low, high = log.time.min(), log.time.max()
  spare = np.maximum(high - low - since[:, -1], 0)
  start = low + (rng.random(len(codes)) * spare).astype(gaps.dtype)
  time = start[user] + since[user, place]
  if np.issubdtype(time.dtype, np.integer):  # as fine as those of the log
    step = max(np.gcd.reduce(log.time - low), 1)
    time = low + (time - low) // step * step
  types, categories = _names(kind, coding, log, rng)
  amounts = coding.amount.decode(amount, rng)
  ends = np.array([(found.low, found.high) for found in coding.kinds])
  amounts = np.clip(amounts, *ends[kind].T)
  columns = [
    users.take(pa.array(user)),
    types,
    categories,
    _times(time, log),
    pa.array(amounts).cast(log.column("amount").type, safe=False),
  ]
  made = pa.table(dict(zip(log.table.column_names, columns, strict=True)))
  inside = time <= high
  return Log(made, user, time, amounts.astype(float), log.day).take(inside)


def _names(kind: np.ndarray, coding: Coding, log: Log, rng) -> list[pa.Array]:
  """The types and the categories of kinds."""
  pairs, first = [], []
  for found in coding.kinds:
    first.append(len(pairs))
    pairs += [(found.type, name) for name in found.categories]
  chosen = np.array(first)[kind]
  for code, found in enumerate(coding.kinds):
    if len(found.categories) > 1:
      rows = kind == code
      drawn = rng.choice(len(found.categories), rows.sum(), p=found.weights)
      chosen[rows] += drawn
  return [
    pa.array([pair[i] for pair in pairs], log.column(role).type).take(
      pa.array(chosen)
    )
    for i, role in enumerate(("type", "category"))
  ]


def _times(time: np.ndarray, log: Log) -> pa.Array:
  kind: Any = log.column("time").type
  if not pa.types.is_temporal(kind):
    return pa.array(time).cast(kind, safe=False)
  zone = getattr(kind, "tz", None)
  return pa.array(time).cast(pa.timestamp("us", zone)).cast(kind, safe=False)


def _gaps(log: Log) -> tuple[np.ndarray, np.ndarray]:
  """Time since the event before [N], 0 where there is none; where that is."""
  first = np.diff(log.user, prepend=-1) > 0
  return np.where(first, 0, np.diff(log.time, prepend=log.time[:1])), first


def _bins(x: np.ndarray, bins: int) -> Bins:
  table = pa.table({"x": x})
  return Bins(encoding.fit(table, tabular.infer(table)), bins)


def _column(values: np.ndarray, there: int) -> np.ndarray:
  return values[:, None][:, : int(there > 0)]
