"""Examples of a label to predict, 0 or 1, and the parts they are dealt to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adv_rec.data import fields, tabular
from adv_rec.data.fields import Column

PARTS = ("train", "validation", "test")
LABEL, GROUP, PART = "label", "group", "part"  # columns every table has


class Examples(NamedTuple):
  """Rows to learn from.

  Attributes:
    name: of the dataset.
    table: the columns of `columns`, and besides "label" (0 or 1), "part" (one
      of `PARTS`) and "group" (text: whose rows are ranked among themselves).
    columns: what a model may look at.
    kept: the share of all examples of label 0 and of label 1 that are in the
      table; (1, 1) where none were left out.
  """

  name: str
  table: pa.Table
  columns: tuple[Column, ...]
  kept: tuple[float, float] = (1.0, 1.0)


def make(
  name: str,
  table: pa.Table,
  columns: Sequence[Column],
  label: np.ndarray,
  part: np.ndarray,
  group: pa.ChunkedArray | None = None,
  kept: tuple[float, float] = (1.0, 1.0),
) -> Examples:
  """Examples of arrays, checked.

  Args:
    name: of the dataset.
    table: has the columns.
    columns: what a model may look at.
    label: [N] 0 or 1.
    part: [N], positions in `PARTS`.
    group: [N]; by default all rows are one group.
    kept: see `Examples`.

  Raises:
    ValueError: a part has no rows, or only one label.
  """
  for number, of_part in enumerate(PARTS):
    found = label[part == number]
    if len(np.unique(found)) < 2:
      what = f"only the label {int(found[0])}" if len(found) else "no rows"
      raise ValueError(
        f"{name}: the {of_part} part has {what}; a model of two labels is"
        " learnt and measured on both, so give more rows, or another split"
      )
  names = np.array(PARTS)[part]
  added = {
    LABEL: pa.array(label.astype(np.int8)),
    PART: pa.array(names),
    GROUP: pa.nulls(len(label), pa.string())
    if group is None
    else fields.text(group, GROUP),
  }
  given = {column.name: table[column.name] for column in columns}
  return Examples(name, pa.table({**given, **added}), tuple(columns), kept)


def own(
  path: str | os.PathLike[str],
  columns: Sequence[Column],
  label: str,
  group: str = "",
  time: str = "",
  part: str = "",
  shares: tuple[float, float] = (0.1, 0.1),
) -> Examples:
  """A table of one's own, CSV or Parquet; see `tabular.read`.

  Rows are dealt to parts as a column says; else by time, the last being the
  test; else at random.

  Args:
    path: the file.
    columns: what a model may look at.
    label: the column to predict: 0 and 1, or true and false.
    group: a column, such as the user, within which rows are ranked.
    time: a column of numbers, dates or times.
    part: a column of "train", "validation" and "test".
    shares: of validation and test, where no column says so.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: an unreadable file, no such column, or one of another kind.
  """
  table = tabular.read(path)
  if not columns:
    raise ValueError(
      f"{path}: no column is named to predict {label!r} from; name them, as in"
      " data.columns.categories=city+device,data.columns.numbers=age"
    )
  taken = {LABEL, GROUP, PART}
  for column in columns:
    if column.name in {label, part} - {""}:
      raise ValueError(
        f"column {column.name!r} is the label or the part itself"
      )
    if column.name in taken:
      raise ValueError(
        f"a column to predict from is called {column.name!r}, which has a"
        " meaning of its own here; rename it"
      )
  wanted = [label, group, time, part, *(column.name for column in columns)]
  for column in filter(None, wanted):
    if column not in table.column_names:
      raise ValueError(
        f"{path} has no column {column!r}; it has"
        f" {', '.join(table.column_names)}"
      )
  labels = _labels(table[label], label)
  if part:
    parts = _given(table[part], part)
  elif time:
    parts = by_time(_times(table[time], time), shares)
  else:
    parts = at_random(table.num_rows, shares)
  name = os.path.basename(os.fspath(path)).split(".")[0]
  whose = table[group] if group else None
  return make(name, table, columns, labels, parts, whose)


def at_random(
  rows: int, shares: tuple[float, float], seed: int = 0
) -> np.ndarray:
  """Positions in `PARTS` at random. [N] int."""
  order = np.random.default_rng([seed]).permutation(rows)
  return _cut(rows, shares)[order]


def by_time(times: np.ndarray, shares: tuple[float, float]) -> np.ndarray:
  """Positions in `PARTS`, the last in time are the test. [N] int.

  Rows of one moment go to one part, the later one.
  """
  ordered, parts = np.sort(times), _cut(len(times), shares)
  result = np.zeros(len(times), int)
  for number in (1, 2):
    if (parts >= number).any():
      result[times >= ordered[np.argmax(parts >= number)]] = number
  return result


def _cut(rows: int, shares: tuple[float, float]) -> np.ndarray:
  """Positions in `PARTS`, in their order. [N] int."""
  validation, test = (round(share * rows) for share in shares)
  counts = [rows - validation - test, validation, test]
  return np.repeat(np.arange(3), counts)


def _labels(values: pa.ChunkedArray, name: str) -> np.ndarray:
  if empty := int(tabular.missing(values).sum()):
    raise ValueError(
      f"column {name!r} is empty in {empty} row{'s' if empty > 1 else ''}; a"
      " label is 0 or 1"
    )
  found = fields.text(values, name)
  known = {"0": 0, "1": 1, "false": 0, "true": 1}
  distinct = found.unique().to_pylist()
  if strange := [x for x in distinct if str(x).lower() not in known]:
    raise ValueError(
      f"column {name!r} holds {strange[0]!r}; a label is 0 or 1, or true or"
      " false"
    )
  if len(distinct) < 2:
    there = f"only the label {distinct[0]}" if distinct else "no rows"
    raise ValueError(f"column {name!r} has {there}: there is nothing to tell")
  codes = tabular.codes(found, distinct)
  return np.array([known[x.lower()] for x in distinct])[codes]


def _given(values: pa.ChunkedArray, name: str) -> np.ndarray:
  codes = tabular.codes(fields.text(values, name), PARTS)
  if (codes < 0).any():
    row = int(np.argmax(codes < 0))
    raise ValueError(
      f"column {name!r} holds {values[row].as_py()!r} in row {row + 1}; a part"
      f" is one of {', '.join(PARTS)}"
    )
  return codes


def _times(values: pa.ChunkedArray, name: str) -> np.ndarray:
  kind = values.type
  if pa.types.is_temporal(kind):
    values = values.cast(pa.timestamp("us")).cast(pa.int64())
  elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
    raise ValueError(
      f"column {name!r} holds {kind}; a time is a number, a date or a time"
    )
  if tabular.missing(values).any():
    row = int(np.argmax(tabular.missing(values)))
    raise ValueError(f"column {name!r} is empty in row {row + 1}")
  return tabular.numbers(values)


def rows(examples: pa.Table, part: str) -> pa.Table:
  """The rows of one part."""
  return examples.filter(pc.equal(examples[PART], part))


def counts(table: pa.Table) -> Mapping[str, int]:
  """Rows of each part."""
  return {part: rows(table, part).num_rows for part in PARTS}
