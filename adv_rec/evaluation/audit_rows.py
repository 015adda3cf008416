"""Rows of several tables as numbers that can be compared: Gower's distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BLOCK = 1 << 21  # distances that are held at a time


class Columns(NamedTuple):
  """What the columns of encoded rows are.

  Attributes:
    names: C of them.
    numeric: [C] bool; the others hold codes of categories.
    widths: [C], the range of the real numbers; 1 for categories.
  """

  names: tuple[str, ...]
  numeric: np.ndarray
  widths: np.ndarray


def encode(
  source: pa.Table, control: pa.Table, synthetic: pa.Table
) -> tuple[Columns, tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Tables of the same columns, in any order, as arrays of the same meaning.

  Numbers, dates and times are numbers; text and truth values are categories.

  Returns:
    (columns in the source's order, the tables as [N, C] float64: numbers, and
    codes of categories; NaN where a value is missing).

  Raises:
    ValueError: columns that only some of the tables have, that are of
      different kinds, of a type that is not understood, or infinite numbers.
  """
  tables = {"source": source, "control": control, "synthetic": synthetic}
  _check_names(tables)
  names = tuple(source.column_names)
  columns = [_column(name, tables) for name in names]
  numeric = np.array([is_number for is_number, _ in columns])
  rows = tuple(
    np.stack([arrays[i] for _, arrays in columns], axis=1)
    for i in range(len(tables))
  )
  real = np.concatenate(rows[:2])
  some = ~np.isnan(real)  # a column without any value has no range
  low = np.min(real, axis=0, initial=np.inf, where=some)
  high = np.max(real, axis=0, initial=-np.inf, where=some)
  widths = np.where(numeric & (high > low), high - low, 1.0)
  return Columns(names, numeric, widths), (rows[0], rows[1], rows[2])


def nearest(
  queries: np.ndarray,
  rows: np.ndarray,
  columns: Columns,
  chosen: Sequence[int],
  count: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
  """The closest rows by Gower's distance (1971, Biometrics 27(4)).

  The mean over columns of |x - y| / range for numbers, and of 0 or 1 for
  categories; a missing value is at 0 from another, at 1 from any other value.

  Args:
    queries: [Q, C].
    rows: [N, C], N at least `count`.
    columns: of both.
    chosen: the columns that are compared.
    count: k.

  Returns:
    (distances [Q, k], from the least on, positions in `rows` [Q, k]).
  """
  widths = columns.widths[list(chosen)]
  left = (queries[:, chosen] / widths).astype(np.float32)
  right = (rows[:, chosen] / widths).astype(np.float32)
  block = max(1, _BLOCK // len(right))
  found = [
    _nearest(left[i : i + block], right, columns.numeric[list(chosen)], count)
    for i in range(0, len(left), block)
  ]
  distances, positions = zip(*found, strict=True)
  return np.concatenate(distances), np.concatenate(positions)


def keys(rows: np.ndarray) -> list[bytes]:
  """What is equal for two rows if, and only if, they are. [N, C] -> N."""
  plain = rows + 0.0  # of the two zeros one
  plain[np.isnan(plain)] = np.nan  # and one of many NaN
  return [row.tobytes() for row in np.ascontiguousarray(plain)]


def distinct(rows: np.ndarray) -> np.ndarray:
  """The first of each kind of row. [N, C] -> [at most N, C]."""
  first: dict[bytes, int] = {}
  for i, key in enumerate(keys(rows)):
    first.setdefault(key, i)
  return rows[list(first.values())]


def _nearest(left, right, numeric, count):
  total = np.zeros((len(left), len(right)), np.float32)
  for j, is_number in enumerate(numeric):
    x, y = left[:, j, None], right[None, :, j]
    if not is_number:
      # NaN is not equal to itself, but missing is to missing.
      total += (x != y) & ~(np.isnan(x) & np.isnan(y))
      continue
    away = np.abs(x - y)
    if np.isnan(x).any() or np.isnan(y).any():
      away = np.where(np.isnan(away), np.isnan(x) != np.isnan(y), away)
    total += away
  if count == 1:
    order = total.argmin(axis=1)[:, None]
  else:
    order = np.argpartition(total, count - 1, axis=1)[:, :count]
    values = np.take_along_axis(total, order, axis=1)
    order = np.take_along_axis(order, values.argsort(axis=1), axis=1)
  return np.take_along_axis(total, order, axis=1) / len(numeric), order


def _check_names(tables: Mapping[str, pa.Table]) -> None:
  wanted = tables["source"].column_names
  for label, table in tables.items():
    found = table.column_names
    for name in found:
      if found.count(name) > 1:
        raise ValueError(f"the {label} table has two columns {name!r}")
      if name not in wanted:
        raise ValueError(
          f"the {label} table has a column {name!r} that the source has not;"
          f" the source has {', '.join(wanted[:20])}"
        )
    for name in wanted:
      if name not in found:
        raise ValueError(
          f"the {label} table has no column {name!r}, which the source has;"
          f" it has {', '.join(found[:20])}"
        )


def _column(
  name: str, tables: Mapping[str, pa.Table]
) -> tuple[bool, list[np.ndarray]]:
  """(is it of numbers, its values in each table)."""
  values = {label: table[name] for label, table in tables.items()}
  kinds = {label: _kind(name, v.type) for label, v in values.items()}
  known = {label: kind for label, kind in kinds.items() if kind != "nothing"}
  if len(set(known.values())) > 1:
    text = ", ".join(f"{kind} in the {label}" for label, kind in known.items())
    raise ValueError(f"column {name!r} is {text}: make them alike")
  if "categories" in known.values():
    texts = [v.cast(pa.string()) for v in values.values()]
    together = pa.chunked_array([c for v in texts for c in v.chunks], "string")
    every = pc.unique(together).drop_null()
    codes = [pc.index_in(v, value_set=every).cast("float64") for v in texts]
    return False, [_array(code) for code in codes]
  short = any(v.type in (pa.float16(), pa.float32()) for v in values.values())
  arrays = []
  for label, v in values.items():
    if pa.types.is_date(v.type) or pa.types.is_timestamp(v.type):
      v = v.cast(pa.timestamp("us"), safe=False).cast("int64")
    array = _array(v.cast("float64", safe=False))
    if np.isinf(array).any():
      row = int(np.argmax(np.isinf(array))) + 1
      raise ValueError(
        f"column {name!r} of the {label} holds an infinite number in row {row}"
      )
    # What one table holds in 32 bits can equal the others only in 32 bits.
    arrays.append(array.astype(np.float32).astype(float) if short else array)
  return True, arrays


def _kind(name: str, kind: pa.DataType) -> str:
  types = pa.types
  if types.is_null(kind):
    return "nothing"
  if types.is_string(kind) or types.is_large_string(kind):
    return "categories"
  if types.is_boolean(kind):
    return "categories"
  if types.is_date(kind) or types.is_timestamp(kind):
    return "times"
  if types.is_integer(kind) or types.is_floating(kind):
    return "numbers"
  if types.is_decimal(kind):
    return "numbers"
  raise ValueError(
    f"column {name!r} has the type {kind}; columns are text, bool, numbers,"
    " dates or times: cast it, or leave it out"
  )


def _array(values: pa.ChunkedArray) -> np.ndarray:
  return np.asarray(values.to_numpy(), np.float64)
