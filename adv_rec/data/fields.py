"""Rows of mixed fields as rows of one embedding table, and back by name.

A model of fields has one table. Each field owns a range of its rows, and the
first of a range stands for what is missing or was never seen in training:

  category   one row of the table, of its value
  number     the field's one row, times the standardised number
  list       a row for each of its values, averaged
  text       likewise, the values are its words in lower case
  list of F  likewise, with the values of the category F: recent items

Slots of short lists are filled up with a row past the end of the table, of
weight 0. A value is known if it occurs often enough in training; codes come
from nowhere else, and never run past the end.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adv_rec.data import tabular

VERSION = 1  # of the file
_WORD = re.compile(r"\w+")

Kind = Literal["category", "number", "list", "text"]


class Column(NamedTuple):
  """What a column of a table is to a model.

  Attributes:
    name: of the column.
    kind: see the top of this file. Lists are Arrow lists, or text with bars
      between the values.
    of: of a list, the category whose values it holds.
    length: of a list or text, the values that are kept: the first.
  """

  name: str
  kind: Kind
  of: str = ""
  length: int = 1


class Field(NamedTuple):
  """A column as it was in training.

  Attributes:
    column: see `Column`.
    first: its row of the table for unknown values; known ones follow.
    values: those that have a row each; of a number none.
    mean: of a number.
    scale: its standard deviation, 1 where that is 0.
  """

  column: Column
  first: int
  values: tuple[str, ...] = ()
  mean: float = 0.0
  scale: float = 1.0

  @property
  def rows(self) -> int:
    """Rows of the table that are its own."""
    if self.column.of:
      return 0
    return 2 if self.column.kind == "number" else 1 + len(self.values)


Fields = tuple[Field, ...]


def total(fields: Fields) -> int:
  """Rows of the whole table."""
  return sum(field.rows for field in fields)


def fit(table: pa.Table, columns: Sequence[Column], minimum: int = 1) -> Fields:
  """What training knows of each column.

  Args:
    table: the rows of training.
    columns: those to use.
    minimum: how often a value must occur to have a row of its own.

  Raises:
    ValueError: a column is missing or of the wrong type, or a list is of no
      category.
  """
  fields: dict[str, Field] = {}
  first = 0
  for column in columns:
    if column.name in fields:
      raise ValueError(f"column {column.name!r} is named twice")
    values = _cells(table, column)
    if column.of:
      if column.of not in fields or fields[column.of].column.kind != "category":
        raise ValueError(
          f"column {column.name!r} is a list of {column.of!r}, which is no"
          " category before it"
        )
      other = fields[column.of]
      field = Field(column, other.first, other.values)
    elif column.kind == "number":
      known = values[np.isfinite(values)]
      mean, scale = (known.mean(), known.std()) if len(known) else (0.0, 1.0)
      field = Field(column, first, (), float(mean), float(scale) or 1.0)
    else:
      field = Field(column, first, _vocabulary(values, minimum))
    fields[column.name] = field
    first += field.rows
  return tuple(fields.values())


def encode(table: pa.Table, fields: Fields) -> dict[str, np.ndarray]:
  """Rows of a table as a model takes them.

  Args:
    table: has the columns of all fields; others are not looked at.
    fields: from `fit`.

  Returns:
    "rows": [N, S] int32, rows of the table, S the slots of all fields in
    their order; "weights": [N, S] float32, by which they are multiplied
    before those of a field are added.

  Raises:
    ValueError: a column is missing or of the wrong type.
  """
  end, rows, weights = total(fields), [], []
  for field in fields:
    cells = _cells(table, field.column)
    if field.column.kind == "number":
      known = np.isfinite(cells)
      number = (cells - field.mean) / field.scale
      rows.append((field.first + known)[:, None])
      weights.append(np.where(known, number, 1.0)[:, None])
    elif field.column.kind == "category":
      rows.append((field.first + 1 + _codes(cells, field.values))[:, None])
      weights.append(np.ones((table.num_rows, 1)))
    else:
      ids, share = _lists(cells, field, end)
      rows.append(ids)
      weights.append(share)
  return {
    "rows": np.concatenate(rows, axis=1).astype(np.int32),
    "weights": np.concatenate(weights, axis=1).astype(np.float32),
  }


def save(path: pathlib.Path, fields: Fields) -> None:
  """Writes fields as JSON."""
  text = {
    "version": VERSION,
    "fields": [{**f._asdict(), "column": f.column._asdict()} for f in fields],
  }
  path.write_text(json.dumps(text, allow_nan=False) + "\n", "utf-8")


def load(path: pathlib.Path) -> Fields:
  """Reads what `save` has written.

  Raises:
    ValueError: the file is damaged, or of a later version.
  """
  try:
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    version = found["version"]
    fields = tuple(
      Field(Column(**f["column"]), f["first"], tuple(f["values"]), *numbers)
      for f in found["fields"]
      for numbers in [(f["mean"], f["scale"])]
    )
  except (ValueError, TypeError, KeyError) as error:
    raise ValueError(f"{path} holds no fields: {error!r}") from error
  if version != VERSION:
    raise ValueError(f"{path} has version {version}, expected {VERSION}")
  return fields


def text(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
  """A column as text without surrounding space; empty cells are null.

  Whole numbers are the same text whatever their type: a missing value turns
  them floating in many programs.

  Raises:
    ValueError: bytes that are not UTF-8, or another type.
  """
  kind = values.type
  if pa.types.is_floating(kind):
    found = tabular.numbers(values)
    known = np.isfinite(found)
    whole = (found[known] == np.rint(found[known])).all()
    found = np.where(known, found, 0)
    found = found.astype(np.int64) if whole else found
    values = pa.chunked_array([pa.array(found, mask=~known)])
  elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
    try:
      return text(values.cast(pa.string()), name)
    except pa.ArrowException:
      raise ValueError(
        f"column {name!r} holds text that is not UTF-8; save the file as UTF-8"
      ) from None
  elif pa.types.is_nested(kind):
    raise ValueError(f"column {name!r} holds {kind}; it is no category or text")
  words = pc.utf8_trim_whitespace(values.cast(pa.string()))
  return pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)


def _cells(table: pa.Table, column: Column) -> Any:
  """Numbers [N] float64, NaN where missing; text; or lists of text."""
  if column.name not in table.column_names:
    raise ValueError(
      f"the rows have no column {column.name!r}; they have"
      f" {', '.join(table.column_names)}"
    )
  values, name = table[column.name], column.name
  kind = values.type
  if column.kind == "number":
    if not (
      pa.types.is_integer(kind)
      or pa.types.is_floating(kind)
      or pa.types.is_boolean(kind)
      or pa.types.is_null(kind)
    ):
      raise ValueError(f"column {name!r} holds {kind}, not numbers")
    return tabular.numbers(values)
  if column.kind == "category":
    return text(values, name)
  if column.kind == "text":
    lines = text(values, name).to_pylist()
    words = [_WORD.findall((line or "").lower()) for line in lines]
    return pa.chunked_array([pa.array(words, pa.list_(pa.string()))])
  if pa.types.is_list(kind) or pa.types.is_large_list(kind):
    return values
  return pc.split_pattern(text(values, name), "|")


def _vocabulary(values: pa.ChunkedArray, minimum: int) -> tuple[str, ...]:
  """The values that are frequent enough, sorted."""
  if not pa.types.is_string(values.type):
    values = text(_flat(values), "")
  counts = pc.value_counts(values.drop_null())
  found = counts.field("values").filter(
    pc.greater_equal(counts.field("counts"), minimum)
  )
  return tuple(sorted(found.to_pylist()))


def _codes(values: pa.ChunkedArray, known: Sequence[str]) -> np.ndarray:
  """[N] int64; -1 for what is missing or unknown."""
  return tabular.codes(values, known) if len(values) else np.zeros(0, np.int64)


def _flat(values: Any) -> pa.ChunkedArray:
  """The values of all lists, one after another."""
  flat = pc.list_flatten(values)
  return flat if isinstance(flat, pa.ChunkedArray) else pa.chunked_array([flat])


def _lists(
  values: pa.ChunkedArray, field: Field, end: int
) -> tuple[np.ndarray, np.ndarray]:
  """Rows and weights of the first values of each list, [N, L] each."""
  size, length = len(values), field.column.length
  rows = np.full((size, length), end)
  values = values.combine_chunks()  # owners are counted within a chunk
  flat = text(_flat(values), field.column.name)
  owner = pc.list_parent_indices(values).to_numpy()
  place = np.arange(len(owner)) - np.searchsorted(owner, owner)
  kept = place < length
  codes = field.first + 1 + _codes(flat, field.values)
  rows[owner[kept], place[kept]] = codes[kept]
  rows[rows[:, 0] == end, 0] = field.first  # an empty list
  weights = (rows != end).astype(np.float64)
  return rows, weights / weights.sum(axis=1, keepdims=True)
