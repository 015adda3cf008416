"""Tables of mixed columns: what each column may hold, where rows come from.

A schema says of each column which values are valid; whatever is generated is
checked against nothing else. Categories are text or truth values; numbers are
whole or not.
"""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from adv_rec.data import locate

VERSION = 1  # of the schema's file
_MISSING = ["", "nan", "NaN", "null", "NULL", "None"]
_MOST_DECIMALS = 6
_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


class Column(NamedTuple):
  """What a column may hold.

  Attributes:
    name: of the column.
    kind: "category", "integer" or "float".
    type: Arrow's name of its type, such as "int64".
    categories: the values of a category, sorted.
    low: the least value of a number.
    high: the greatest.
    nulls: whether a value may be missing.
    decimals: digits after the point of a float; None: as many as there are.
  """

  name: str
  kind: str
  type: str
  categories: tuple[Any, ...] = ()
  low: float | int | None = None
  high: float | int | None = None
  nulls: bool = False
  decimals: int | None = None


Schema = tuple[Column, ...]


def infer(table: pa.Table) -> Schema:
  """The schema of a table: all that occurs in it is valid, nothing else.

  Args:
    table: text and bool columns are categories. NaN is a missing value.

  Raises:
    ValueError: fewer than two rows, no column, two of one name, a column
      without values, infinite numbers, or a type that is none of these.
  """
  if table.num_columns == 0:
    raise ValueError("the table has no columns")
  if table.num_rows < 2:
    raise ValueError(
      f"the table has {table.num_rows} rows; a distribution takes at least 2"
    )
  names = table.column_names
  for name in names:
    if names.count(name) > 1:
      raise ValueError(f"the table has more than one column {name!r}")
  return tuple(_column(name, table[name]) for name in names)


def check(table: pa.Table, schema: Schema) -> None:
  """Raises ValueError unless each value of a table is valid in a schema."""
  names = [column.name for column in schema]
  if table.column_names != names:
    raise ValueError(
      f"the table has the columns {table.column_names}, the schema {names}"
    )
  for column in schema:
    values = table[column.name]
    if str(values.type) != column.type:
      raise ValueError(
        f"column {column.name!r} is of type {values.type}, its schema says"
        f" {column.type}"
      )
    if missing(values).any() and not column.nulls:
      raise ValueError(
        f"column {column.name!r} has missing values, which its schema excludes"
      )
    bad = _invalid(values, column)
    if bad.any():
      row = int(np.argmax(bad))
      raise ValueError(
        f"column {column.name!r} holds {values[row].as_py()!r} in row"
        f" {row + 1}, which its schema excludes"
      )


def missing(values: pa.ChunkedArray) -> np.ndarray:
  """Where a column has no value: null or NaN. [N] bool."""
  return values.is_null(nan_is_null=True).to_numpy()


def numbers(values: pa.ChunkedArray) -> np.ndarray:
  """A column of numbers as [N] float64, NaN where it has none."""
  return values.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)


def codes(values: pa.ChunkedArray, categories: Sequence[Any]) -> np.ndarray:
  """Positions among categories, [N] int64; -1 for what is not among them."""
  known = pa.array(categories, values.type)
  found = pc.index_in(values, value_set=known)  # a null is in no set here
  return pc.fill_null(found, -1).to_numpy().astype(np.int64)


def save(path: pathlib.Path, schema: Schema) -> None:
  """Writes a schema as JSON."""
  text = {"version": VERSION, "columns": [c._asdict() for c in schema]}
  path.write_text(json.dumps(text, indent=2, allow_nan=False) + "\n", "utf-8")


def load(path: pathlib.Path) -> Schema:
  """Reads what `save` has written.

  Raises:
    ValueError: the file is damaged, or of a later version.
  """
  try:
    found = json.loads(path.read_text("utf-8"))
    version = found["version"]
    columns = [
      Column(**{**column, "categories": tuple(column["categories"])})
      for column in found["columns"]
    ]
  except (ValueError, TypeError, KeyError) as error:
    raise ValueError(f"{path} is no schema: {error!r}") from error
  if version != VERSION:
    raise ValueError(f"{path} has version {version}, expected {VERSION}")
  return tuple(columns)


def adult(path: str | os.PathLike[str] | None = None) -> pa.Table:
  """The census table Adult: 32,561 rows, 15 columns; "income" is its target.

  Becker & Kohavi 1996, UCI Machine Learning Repository, CC BY 4.0; the same
  rows that the package ctgan carries.

  Args:
    path: the folder of adult.csv; None looks in the usual places.

  Raises:
    FileNotFoundError: it is not here; the message says how to get it.
  """
  (file,) = locate.files(
    "adult",
    ["adult.csv"],
    [path, locate.environment("adult")],
    "https://archive.ics.uci.edu/dataset/2/adult, adult.data with a header",
  )
  return read(file)


def read(path: str | os.PathLike[str]) -> pa.Table:
  """A table of one's own: CSV with a header (plain or gzip), or Parquet.

  In CSV, empty cells, nan, null and None are missing values; columns of text
  categories keep their spaces. Dictionary columns become plain ones.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: the file is of another kind, or cannot be read.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no file is at {path}")
  name = path.name.lower()
  if not name.endswith((*_CSV, ".parquet")):
    raise ValueError(
      f"{path} is not named as CSV or Parquet; its name should end in"
      f" {', '.join(_CSV)} or .parquet"
    )
  if not path.stat().st_size:
    raise ValueError(f"{path} is empty")
  try:
    if name.endswith(".parquet"):
      table = pq.ParquetFile(path).read()
    else:
      table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(
          delimiter="\t" if ".tsv" in name else ","
        ),
        convert_options=pyarrow.csv.ConvertOptions(
          strings_can_be_null=True, null_values=_MISSING
        ),
      )
  except PermissionError:
    raise
  except (
    pa.ArrowException,
    OSError,
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
  ) as error:
    text = " ".join(str(error).split())[:200]
    raise ValueError(f"{path} cannot be read: {text}") from error
  for i, field in enumerate(table.schema):
    if pa.types.is_dictionary(field.type):
      plain = table.column(i).cast(field.type.value_type)
      table = table.set_column(i, field.name, plain)
  return table.replace_schema_metadata(None)


def split(
  table: pa.Table, share: float, seed: int
) -> tuple[pa.Table, pa.Table]:
  """Two parts of a table, rows at random: (1 - share, share)."""
  order = np.random.default_rng([seed]).permutation(table.num_rows)
  cut = table.num_rows - round(share * table.num_rows)
  return table.take(np.sort(order[:cut])), table.take(np.sort(order[cut:]))


def _column(name: str, values: pa.ChunkedArray) -> Column:
  kind, where = values.type, f"column {name!r}"
  absent = missing(values)
  if absent.all():
    raise ValueError(f"{where} has no values; leave it out")
  common = {"name": name, "type": str(kind), "nulls": bool(absent.any())}
  if (
    pa.types.is_string(kind)
    or pa.types.is_large_string(kind)
    or pa.types.is_boolean(kind)
  ):
    found = pc.unique(values).drop_null().to_pylist()
    return Column(kind="category", categories=tuple(sorted(found)), **common)
  if not (pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())):
    raise ValueError(
      f"{where} has the type {kind}; columns are text, bool, whole numbers or"
      " floats: cast it, or leave it out"
    )
  if pa.types.is_integer(kind):
    ends = pc.min_max(values).as_py()
    return Column(kind="integer", low=ends["min"], high=ends["max"], **common)
  present = numbers(values)[~absent]
  if not np.isfinite(present).all():
    row = int(np.argmax(np.isinf(numbers(values)))) + 1
    raise ValueError(f"{where} holds an infinite number in row {row}")
  return Column(
    kind="float",
    low=float(present.min()),
    high=float(present.max()),
    decimals=_decimals(present, kind),
    **common,
  )


def _decimals(values: np.ndarray, kind: pa.DataType) -> int | None:
  """The least number of digits that says each value in its type."""
  exact = np.float32 if kind == pa.float32() else np.float64
  for digits in range(_MOST_DECIMALS + 1):
    if (np.round(values, digits).astype(exact) == values.astype(exact)).all():
      return digits
  return None


def _invalid(values: pa.ChunkedArray, column: Column) -> np.ndarray:
  """Where a column holds a value, and one that its schema excludes."""
  present = ~missing(values)
  if column.kind == "category":
    return present & (codes(values, column.categories) < 0)
  found = numbers(values)
  return present & ~((found >= column.low) & (found <= column.high))
