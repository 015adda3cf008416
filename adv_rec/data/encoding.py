"""Rows of a table as codes and numbers, and back.

Each column becomes a choice among cells, and where it is continuous a number
in [-1, 1]:

  category   a cell for each category, one for all rare ones (if pooled), one
             for missing values
  number     a cell for each value that many rows share (a spike, such as 0),
             one for all others, one for missing values; the others by their
             quantile, scaled to [-1, 1]. A number with few distinct values
             has only spikes.

Codes are the numbers of the cells, one for each column with more than one
cell. They are made into one-hot vectors on the device, batch by batch: the
table in memory does not grow with the categories.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from adv_rec.data import tabular
from adv_rec.data.tabular import Column, Schema

_logger = logging.getLogger(__name__)

_SPIKE = 0.03  # share of the rows from which on a value has a cell of its own
_DISCRETE = 32  # numbers of at most so many values are all spikes
_KNOTS = 1024  # of the quantile function


class Code(NamedTuple):
  """How one column is encoded.

  Attributes:
    column: what it may hold.
    values: those with a cell of their own: categories, or spikes [S] sorted.
    pool: rare categories that share the next cell.
    weights: of these, their shares [R]; sum 1.
    knots: [Q], the quantile function of the numbers without a cell, at even
      levels from 0 to 1; empty where there are none.
  """

  column: Column
  values: np.ndarray
  pool: tuple[Any, ...] = ()
  weights: np.ndarray = np.zeros(0)
  knots: np.ndarray = np.zeros(0)

  @property
  def others(self) -> int:
    """Cells of what has no cell of its own: 0 or 1."""
    return int(bool(self.pool) or len(self.knots) > 0)

  @property
  def cells(self) -> int:
    """How many there are."""
    return len(self.values) + self.others + self.column.nulls


class Encoded(NamedTuple):
  """Rows of a table.

  Attributes:
    codes: [N, K] int32, the cell of each block.
    numbers: [N, F] float32 in [-1, 1]; 0 where a row has none.
  """

  codes: np.ndarray
  numbers: np.ndarray


class Transform(NamedTuple):
  """How the columns of a table are encoded; made by `fit`."""

  parts: tuple[Code, ...]

  @property
  def sizes(self) -> tuple[int, ...]:
    """Cells of each block, K of them."""
    return tuple(part.cells for part in self.parts if part.cells > 1)

  @property
  def numbers(self) -> int:
    """F."""
    return sum(len(part.knots) > 0 for part in self.parts)

  def encode(self, table: pa.Table, rng: np.random.Generator) -> Encoded:
    """Rows of a table, each of whose values is valid.

    A value that several rows share has an interval of levels; each row gets
    one of them at random, so that the levels of all rows are uniform.
    """
    codes, levels = [], []
    for part in self.parts:
      values = table[part.column.name]
      code, level = _encode(part, values, rng)
      if part.cells > 1:
        codes.append(code)
      if len(part.knots):
        levels.append(level)
    return Encoded(
      _beside(codes, table.num_rows, np.int32),
      _beside(levels, table.num_rows, np.float32),
    )

  def decode(self, rows: Encoded, rng: np.random.Generator) -> pa.Table:
    """The table that rows stand for: every value valid in the schema.

    Args:
      rows: codes below `sizes`; numbers beyond [-1, 1] count as its ends.
      rng: draws rare categories that share a cell, by their shares.
    """
    codes, levels = iter(rows.codes.T), iter(rows.numbers.T)
    only = np.zeros(len(rows.codes), np.int32)
    columns = {}
    for part in self.parts:
      code = next(codes) if part.cells > 1 else only
      level = next(levels) if len(part.knots) else None
      columns[part.column.name] = _decode(part, code, level, rng)
    return pa.table(columns)


def fit(
  table: pa.Table,
  schema: Schema,
  max_categories: int = 256,
  pool_rare: bool = False,
) -> Transform:
  """Learns how to encode a table.

  Args:
    table: valid in the schema.
    schema: of its columns.
    max_categories: the most cells for the categories of a column.
    pool_rare: whether the rarest of too many categories share one of these
      cells: which of them a generated row has is drawn by their shares,
      whatever the other columns say.

  Raises:
    ValueError: fewer than two rows, a value that the schema excludes, or a
      column of more categories, unless `pool_rare`.
  """
  if max_categories < 2:
    raise ValueError(f"max_categories is {max_categories}, must be at least 2")
  if table.num_rows < 2:
    raise ValueError(f"the table has {table.num_rows} rows; it takes 2 to fit")
  tabular.check(table, schema)
  for column in schema:
    num = len(column.categories)
    if num > max_categories and not pool_rare:
      raise ValueError(
        f"column {column.name!r} has {num} categories, more than"
        f" {max_categories}; one-hot vectors of all columns would have"
        f" {sum(len(c.categories) for c in schema)} cells. Leave it out, raise"
        " max_categories, or let the rarest share a cell (rare=pool)"
      )
  parts = tuple(
    _category(column, table[column.name], max_categories)
    if column.kind == "category"
    else _number(column, table[column.name])
    for column in schema
  )
  made = Transform(parts)
  width = sum(made.sizes) + made.numbers
  held = 4 * table.num_rows * (len(made.sizes) + made.numbers)
  _logger.info(
    "%d columns become vectors of %d; %d rows take %.1f MB as codes (%.1f MB"
    " as vectors)",
    len(parts),
    width,
    table.num_rows,
    held / 1e6,
    4 * table.num_rows * width / 1e6,
  )
  return made


def _category(column: Column, values: pa.ChunkedArray, most: int) -> Code:
  names = np.array(column.categories, dtype=object)
  if len(names) <= most:
    return Code(column, names)
  codes = tabular.codes(values, column.categories)
  counts = np.bincount(codes[codes >= 0], minlength=len(names))
  order = np.argsort(-counts, kind="stable")
  kept, rare = np.sort(order[: most - 1]), np.sort(order[most - 1 :])
  # One that the data does not have may come as well as one that it has once.
  weights = np.maximum(counts[rare], 1)
  return Code(column, names[kept], tuple(names[rare]), weights / weights.sum())


def _number(column: Column, values: pa.ChunkedArray) -> Code:
  found = tabular.numbers(values)
  present = found[~np.isnan(found)]
  distinct, counts = np.unique(present, return_counts=True)
  spikes = distinct[counts >= _SPIKE * len(found)]
  if len(distinct) <= _DISCRETE or len(spikes) == len(distinct):
    return Code(column, distinct)
  others = present[~np.isin(present, spikes)]
  levels = np.linspace(0, 1, _KNOTS)
  return Code(column, spikes, knots=np.quantile(others, levels))


def _encode(
  part: Code, values: pa.ChunkedArray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
  """(cells [N], numbers [N] or None) of a column."""
  absent, size = tabular.missing(values), len(part.values)
  if part.column.kind == "category":
    code = tabular.codes(values, list(part.values))
    return _cells(code, code >= 0, absent, part), None
  found = tabular.numbers(values)
  found[absent] = part.column.low
  code = np.minimum(np.searchsorted(part.values, found), max(size - 1, 0))
  spike = np.isin(found, part.values)
  cells = _cells(code, spike, absent, part)
  if not len(part.knots):
    return cells, None
  even = np.linspace(0, 1, len(part.knots))
  below = np.interp(found, part.knots, even)  # of equal knots the last
  above = 1 - np.interp(-found, -part.knots[::-1], even)  # ... and the first
  where = rng.uniform(0.05, 0.95, len(found))  # off the ends: they round
  levels = 2 * (below + where * (above - below)) - 1
  return cells, np.where(absent | spike, 0.0, levels)


def _cells(
  code: np.ndarray, own: np.ndarray, absent: np.ndarray, part: Code
) -> np.ndarray:
  size = len(part.values)
  return np.where(absent, size + part.others, np.where(own, code, size))


def _decode(
  part: Code,
  code: np.ndarray,
  level: np.ndarray | None,
  rng: np.random.Generator,
) -> pa.Array:
  column, size = part.column, len(part.values)
  kind = pa.type_for_alias(column.type)
  absent = code >= size + part.others
  if column.kind == "category":
    if part.pool:
      pooled = code == size
      rare = rng.choice(len(part.pool), int(pooled.sum()), p=part.weights)
      code = np.where(absent, 0, code)
      code[pooled] = size + rare
    names = pa.array([*part.values, *part.pool], kind)
    return names.take(pa.array(code, mask=absent))
  values = np.zeros(len(code))
  if level is not None:
    values = _quantile(level, part.knots)
  if size:
    own = code < size
    values = np.where(own, part.values[np.minimum(code, size - 1)], values)
  if column.kind == "integer":
    values = np.rint(values).astype(np.int64)
  elif column.decimals is not None:
    values = np.round(values, column.decimals)
  values = np.clip(values, column.low, column.high)
  return pa.array(values, mask=absent).cast(kind)


def _quantile(level: np.ndarray, knots: np.ndarray) -> np.ndarray:
  """np.interp between knots at even levels from -1 to 1, without a search."""
  last = len(knots) - 1
  place = (np.clip(level, -1, 1).astype(float) + 1) * (last / 2)
  below = np.minimum(place.astype(int), last - 1)
  rest = place - below
  return (1 - rest) * knots[below] + rest * knots[below + 1]


def _beside(columns: list, rows: int, kind: Any) -> np.ndarray:
  """Columns as an array [N, len(columns)]."""
  if not columns:
    return np.zeros((rows, 0), kind)
  return np.stack(columns, axis=1).astype(kind)
