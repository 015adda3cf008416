"""Item content as features: what is known of a product before it is sold.

A table of items has a column id and columns of content. Each cell becomes
features that an item has or has not:

  text and whole numbers   one feature a value
  decimal numbers          one feature a tenth of the known values
  words                    one feature a word of the text
  pairs                    one feature a pair of values of two columns, such
                           as the category and the brand

An empty cell says nothing. Only features that enough of the known items share
are kept: one that a single item has cannot tell anything about another.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from adv_rec.data import files

Columns = Mapping[str, np.ndarray]  # name -> [I]; None or NaN where unknown
_WORD = re.compile(r"\w+")
_BINS = 10


class Encoder(NamedTuple):
  """How columns become features.

  Attributes:
    columns: names of the columns that are read.
    words: those of them that are read word by word.
    pairs: pairs of columns whose pairs of values are features.
    edges: column of decimal numbers -> [9] deciles.
    vocabulary: feature -> its number, 0 to F - 1.
  """

  columns: tuple[str, ...]
  words: tuple[str, ...]
  pairs: tuple[tuple[str, str], ...]
  edges: dict[str, np.ndarray]
  vocabulary: dict[str, int]

  @property
  def size(self) -> int:
    """F, the number of features."""
    return len(self.vocabulary)


def fit(
  table: Columns,
  known: np.ndarray,
  columns: Sequence[str] = (),
  words: Collection[str] = (),
  pairs: Sequence[tuple[str, str]] = (),
  at_least: int = 2,
) -> Encoder:
  """The features of the items that are known.

  Args:
    table: content of all items, beside maybe "id".
    known: [I] bool, the items to learn the features from.
    columns: those to read; none reads all but "id".
    words: those to read word by word, beside those of text in which most
      values are met once only.
    pairs: columns whose pairs of values are features too.
    at_least: known items that must share a feature.

  Raises:
    ValueError: there is no such column, or no feature.
  """
  present = [name for name in table if name != "id"]
  for name in (*columns, *words, *itertools.chain.from_iterable(pairs)):
    if name not in present:
      raise ValueError(
        f"the items have no column {name!r}; they have {', '.join(present)}"
      )
  chosen = tuple(columns) or tuple(present)
  rows = {
    name: np.asarray(table[name])[known]
    for name in {*chosen, *itertools.chain.from_iterable(pairs)}
  }
  encoder = Encoder(
    chosen,
    tuple(n for n in chosen if n in words or _is_prose(rows[n])),
    tuple(pairs),
    {n: _deciles(x) for n, x in rows.items() if x.dtype.kind == "f"},
    {},
  )
  counts = Counter(itertools.chain.from_iterable(_features(encoder, rows)))
  kept = sorted(name for name, count in counts.items() if count >= at_least)
  if not kept:
    raise ValueError(
      f"the columns {', '.join(chosen)} say nothing: no value is shared by"
      f" {at_least} items"
    )
  return encoder._replace(vocabulary={name: n for n, name in enumerate(kept)})


def encode(encoder: Encoder, table: Columns) -> np.ndarray:
  """Features of items, new ones too. -> [I, L] int32, filled up with F.

  Features that the encoder does not know are left out, and so is a column
  that the table does not have.
  """
  known = encoder.vocabulary
  rows = [
    [known[name] for name in dict.fromkeys(names) if name in known]
    for names in _features(encoder, table)
  ]
  length = max(map(len, rows), default=0)
  ids = np.full((len(rows), max(length, 1)), encoder.size, np.int32)
  for row, numbers in zip(ids, rows, strict=True):
    row[: len(numbers)] = numbers
  return ids


def read(path: str | os.PathLike[str], column: str = "id") -> pa.Table:
  """A table of items of your own.

  Args:
    path: a CSV or Parquet file.
    column: that holds the ids.

  Returns:
    The table with the ids as text in its column "id".

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: the file cannot be read, has no such column, no content, or an
      id that is missing or there twice.
  """
  (path, *more) = files.find(path)
  if more:
    raise ValueError(f"{path} and {more[0]}: a table of items is one file")
  table = _load(path, column)
  if len(table.column_names) < 2:
    raise ValueError(f"{path} has no column beside {column!r}: no content")
  cells = table[column].to_pylist()
  ids = [None if x is None else str(x) for x in cells]
  if None in ids or "" in ids:
    row = next(n for n, x in enumerate(ids) if not x)
    raise ValueError(f"{path}: column {column!r} is empty in row {row + 1}")
  if twice := [x for x, count in Counter(ids).items() if count > 1]:
    raise ValueError(f"{path} has the item {twice[0]!r} twice")
  names = [name for name in table.column_names if name != column]
  if "id" in names:
    raise ValueError(
      f"{path} has a column 'id' beside the ids in {column!r}; rename it"
    )
  return pa.table({"id": ids, **{name: table[name] for name in names}})


def of_items(table: pa.Table, ids: np.ndarray, label: str = "") -> pa.Table:
  """The rows of some items, in their order, without the column id.

  Args:
    table: with the column id.
    ids: [I] raw ids.
    label: where the table comes from; then an item without a row is an error,
      else its cells are empty.

  Raises:
    ValueError: an item has no row.
  """
  wanted = ids.tolist()
  place = {str(raw): n for n, raw in enumerate(table["id"].to_pylist())}
  rows = [place.get(str(raw)) for raw in wanted]
  missing = [raw for raw, row in zip(wanted, rows, strict=True) if row is None]
  if label and missing:
    raise ValueError(
      f"{label} has no row for {len(missing):,} of the {len(wanted):,} items of"
      f" the log, the first is {missing[0]!r}; add them, with empty cells if"
      " need be"
    )
  return table.drop_columns("id").take(pa.array(rows, pa.int64()))


def columns(table: pa.Table) -> dict[str, np.ndarray]:
  """Columns as the functions above take them.

  Raises:
    ValueError: a column holds neither text nor numbers.
  """
  found = {}
  for name in table.column_names:
    column, kind = table[name], table[name].type
    if pa.types.is_dictionary(kind):
      column = column.cast(kind.value_type)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
      found[name] = column.cast(pa.float64()).to_numpy()
    elif pa.types.is_nested(kind):
      raise ValueError(
        f"column {name!r} of the items has the type {kind}; use text or numbers"
      )
    else:
      found[name] = np.array(column.cast(pa.string()).to_pylist(), object)
  return found


def _load(path: str, column: str) -> pa.Table:
  try:
    if path.lower().endswith(".parquet"):
      names = pq.read_schema(path).names
      if names.count(column) == 1:
        return pq.read_table(path).replace_schema_metadata()
    else:
      names, delimiter = files.header(path)
      if names.count(column) == 1:
        return pyarrow.csv.read_csv(
          pathlib.Path(path),
          parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
          convert_options=pyarrow.csv.ConvertOptions(
            column_types={column: pa.string()}, strings_can_be_null=True
          ),
        )
  except pa.ArrowException as error:
    text = " ".join(str(error).split())[:200]
    raise ValueError(f"{path} cannot be read: {text}") from error
  raise ValueError(files.no_column(path, "id of the items", column, names))


def _features(encoder: Encoder, table: Columns) -> list[list[str]]:
  """The names of the features of each item, known to the encoder or not."""
  wanted = {*encoder.columns, *itertools.chain.from_iterable(encoder.pairs)}
  values = {
    name: _values(np.asarray(table[name]), encoder.edges.get(name))
    for name in sorted(wanted)
    if name in table
  }
  rows: list[list[str]] = [[] for _ in next(iter(table.values()), ())]
  for name in filter(values.__contains__, encoder.columns):
    for row, value in zip(rows, values[name], strict=True):
      if value is not None and name in encoder.words:
        row += [f"{name}~{word}" for word in _WORD.findall(value.lower())]
      elif value is not None:
        row.append(f"{name}={value}")
  for one, two in encoder.pairs:
    if one in values and two in values:
      both = zip(rows, values[one], values[two], strict=True)
      for row, x, y in both:
        if x is not None and y is not None:
          row.append(f"{one}={x} & {two}={y}")
  return rows


def _values(column: np.ndarray, edges: np.ndarray | None) -> list[str | None]:
  if edges is None:
    return [_text(x) for x in column.tolist()]
  numbers = np.array([np.nan if x is None else x for x in column], float)
  bins = np.searchsorted(edges, numbers)
  return [
    None if np.isnan(x) else str(n) for x, n in zip(numbers, bins, strict=True)
  ]


def _text(value: Any) -> str | None:
  if value is None or value != value or not str(value).strip():
    return None
  if isinstance(value, float) and value.is_integer():
    value = int(value)  # whole numbers turn floating beside an empty cell
  return str(value).strip()


def _deciles(column: np.ndarray) -> np.ndarray:
  known = column[~np.isnan(column)]
  if not len(known):
    return np.zeros(0)
  return np.quantile(known, np.arange(1, _BINS) / _BINS)


def _is_prose(column: np.ndarray) -> bool:
  """Text in which most values are met once only: titles, descriptions."""
  if column.dtype.kind == "f":
    return False
  counts = Counter(filter(None, map(_text, column.tolist())))
  once = sum(count == 1 for count in counts.values())
  many_words = any(len(_WORD.findall(text)) > 1 for text in counts)
  return many_words and once > 0.5 * sum(counts.values())
