"""Reads logs from CSV and Parquet files, and says clearly what is wrong."""

from __future__ import annotations

import csv
import difflib
import glob
import gzip
import os
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import engines, values
from adv_rec.data.engines import Engine

_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_DELIMITERS = ",\t;|"


class Files(NamedTuple):
  """A log that lies in one or more files of one kind.

  Attributes:
    paths: CSV files (comma, tab, semicolon or bar, with a header, UTF-8,
      plain or gzip) or Parquet files.
    columns: role ("user", "item", "time", "value") -> column name.
    roles: the roles there are.
    required: those that must be named.
  """

  paths: tuple[str, ...]
  columns: Mapping[str, str]
  roles: tuple[str, ...] = values.ROLES
  required: tuple[str, ...] = ("user", "item")


def find(path: str | os.PathLike[str]) -> tuple[str, ...]:
  """The files that a path or a glob pattern names, sorted.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: a directory, a file of another kind, or both kinds at once.
  """
  path = os.fspath(path)
  if os.path.isdir(path):
    raise ValueError(
      f"{path} is a directory; name a file or a pattern such as "
      f"'{os.path.join(path, '*.csv')}'"
    )
  paths = [path] if os.path.exists(path) else sorted(glob.glob(path))
  if not paths:
    kind = "file matches" if glob.has_magic(path) else "file is at"
    raise FileNotFoundError(f"no {kind} {path}")
  for name in paths:
    if not name.lower().endswith((*_CSV, ".parquet")):
      raise ValueError(
        f"{name} is not named as CSV or Parquet; its name should end in "
        f"{', '.join(_CSV)} or .parquet"
      )
  if len({_is_parquet(name) for name in paths}) > 1:
    raise ValueError(f"{path} matches both CSV and Parquet; choose one kind")
  return tuple(paths)


def read(engine: Engine, files: Files) -> ibis.Table:
  """Reads a log and checks every row of it.

  Args:
    engine: does the work.
    files: what to read.

  Returns:
    A temporary table with a column for each role of `files.columns`, without
    nulls: user and item int64 or text; time int64, float64 or timestamp;
    value float64.

  Raises:
    ValueError: unreadable files, missing columns, or bad values. The message
      names the file, the column, and the first row concerned, counted from 1.
  """
  _check_columns(files)
  raw = _load(engine, files)
  readings = {role: _readings(raw, role, files) for role in files.columns}
  checks = {}
  for role, ways in readings.items():
    empty = values.missing(raw[role])
    checks[f"{role} missing"] = empty.sum().fill_null(0)
    for n, way in enumerate(ways):
      checks[f"{role} {n}"] = (~empty & way.isnull()).sum().fill_null(0)
  counts = raw.aggregate(rows=raw.count(), **checks).to_pyarrow().to_pylist()[0]
  if counts["rows"] == 0:
    raise ValueError(f"{_label(files)} has no rows")
  typed = {}
  for role, ways in readings.items():
    if count := counts[f"{role} missing"]:
      raise ValueError(_missing_complaint(files, role, count))
    # The first way that fits all rows, else the one that fits most of them.
    best = min(range(len(ways)), key=lambda n, r=role: counts[f"{r} {n}"])
    if counts[f"{role} {best}"]:
      raise ValueError(_wrong_complaint(files, role, best))
    typed[role] = ways[best]
  log = engine.materialise(raw.select(**typed))
  engine.drop(raw)
  return log


def _readings(table: ibis.Table, role: str, files: Files) -> list[Any]:
  column = table[role]
  ways = values.readings(column, role, not _is_parquet(files.paths[0]))
  if not ways:
    raise ValueError(
      f"{_label(files)}: column {files.columns[role]!r} ({role}) has the type "
      f"{column.type()}, which is not {values.EXPECTED[role]}"
    )
  return ways


def _check_columns(files: Files) -> None:
  columns = files.columns
  for role in columns:
    if role not in files.roles:
      raise ValueError(
        f"columns names an unknown role {role!r}; "
        f"the roles are {', '.join(files.roles)}"
      )
  for role in files.required:
    if role not in columns:
      raise ValueError(f"columns must say which column is the {role}")
  if len(set(columns.values())) < len(columns):
    raise ValueError(f"columns gives one column two roles: {dict(columns)}")
  first = None
  for path in files.paths:
    kinds = _kinds(path)
    for role, name in columns.items():
      if [column for column, _ in kinds].count(name) != 1:
        raise ValueError(no_column(path, role, name, [c for c, _ in kinds]))
    chosen = {name: kind for name, kind in kinds if name in columns.values()}
    if first is not None and chosen != first:
      raise ValueError(
        f"{path} has other column types than {files.paths[0]}: {chosen} "
        f"against {first}; write all files alike"
      )
    first = chosen


def no_column(path: str, role: str, name: str, found: list[str]) -> str:
  """The complaint about a column that is not there, or there twice."""
  if name in found:
    return f"{path} has more than one column {name!r} ({role})"
  close = difflib.get_close_matches(name, found, 1, cutoff=0.5)
  hint = f"; did you mean {close[0]!r}?" if close else ""
  return (
    f"{path} has no column {name!r} ({role}); its columns are "
    f"{', '.join(found[:20])}{', ...' if len(found) > 20 else ''}{hint}"
  )


def _kinds(path: str) -> list[tuple[str, str]]:
  """The columns of a file and their types."""
  if not os.path.getsize(path):
    raise ValueError(f"{path} is empty")
  if _is_parquet(path):
    try:
      return [(f.name, str(f.type)) for f in pq.read_schema(path)]
    except PermissionError:
      raise
    except (pa.ArrowException, OSError) as error:
      raise ValueError(
        f"{path} is not a readable Parquet file: {_line(error)}"
      ) from error
  return [(name, "text") for name in header(path)[0]]


def header(path: str) -> tuple[list[str], str]:
  """The column names of a CSV file, and its delimiter.

  Raises:
    ValueError: there is none, or the file is no text.
  """
  try:
    with (gzip.open if path.lower().endswith(".gz") else open)(path, "rb") as f:
      line = f.readline(1 << 20)
    text = line.decode("utf-8-sig").rstrip("\r\n")
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8") from error
  except (gzip.BadGzipFile, EOFError, zlib.error) as error:
    raise ValueError(f"{path} is not a whole gzip file") from error
  if not text.strip():
    raise ValueError(f"{path} has no header in its first line")
  if "\0" in text:
    raise ValueError(f"{path} is not a CSV file (it is binary)")
  delimiter = max(_DELIMITERS, key=text.count)
  return next(csv.reader([text], delimiter=delimiter)), delimiter


def _open(engine: Engine, files: Files) -> ibis.Table:
  """The columns in question, as they are in the files."""
  if _is_parquet(files.paths[0]):
    table = engine.read_parquet(files.paths)
    return table.select(**files.columns)
  # Files may have their columns in different orders: one read per order.
  layouts: dict[tuple, list[str]] = {}
  for path in files.paths:
    names, delimiter = header(path)
    layouts.setdefault((tuple(names), delimiter), []).append(path)
  tables = []
  for (names, delimiter), paths in layouts.items():
    # Columns go by position: engines fold the case of names, files do not.
    positions = [f"c{n}" for n in range(len(names))]
    table = engine.read_csv(paths, delimiter, positions)
    tables.append(
      table.select(
        **{r: f"c{names.index(name)}" for r, name in files.columns.items()}
      )
    )
  return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _load(engine: Engine, files: Files) -> ibis.Table:
  try:
    return engine.materialise(_open(engine, files))
  except Exception as error:  # each engine has its own exceptions
    text = _line(error).replace("Invalid Input Error: ", "")
    if "unicode" in text:
      text = f"{text.split(' Original')[0]}: not UTF-8 text; save it as UTF-8"
    raise ValueError(f"{_label(files)} cannot be read: {text}") from error


def _missing_complaint(files: Files, role: str, count: int) -> str:
  path, place, _ = _first(files, role, lambda t: values.missing(t[role]))
  return (
    f"{path}: column {files.columns[role]!r} ({role}) is empty or NaN in "
    f"{count} row{'s' if count > 1 else ''}, first in {place}; "
    "remove or fill them"
  )


def _wrong_complaint(files: Files, role: str, way: int) -> str:
  def wrong(table):
    return _readings(table, role, files)[way].isnull()

  path, place, value = _first(files, role, wrong)
  return (
    f"{path}: column {files.columns[role]!r} ({role}) holds {value!r} in "
    f"{place}, which is not {values.EXPECTED[role]}"
  )


def _first(
  files: Files, role: str, bad: Callable[[ibis.Table], Any]
) -> tuple[str, str, Any]:
  """Where `bad` holds first, file by file: (path, place in it, value)."""
  # On DuckDB whatever the engine: others read the rows in any order.
  with engines.duckdb() as engine:
    for path in files.paths:
      # A copy of the file, numbered as read. Not the file itself, where DuckDB
      # answers from the statistics of Parquet, which leave NaN out.
      table = _open(engine, files._replace(paths=(path,)))
      table = engine.materialise(table.mutate(row=ibis.row_number()))
      table = table.select("row", value=table[role], bad=bad(table))
      table = table.filter(ibis._.bad).order_by("row").limit(1)
      if found := table.to_pyarrow().to_pylist():
        below = "" if _is_parquet(path) else " below the header"
        return path, f"row {found[0]['row'] + 1}{below}", found[0]["value"]
  raise AssertionError(f"no bad row in column {role} after all")


def _is_parquet(path: str) -> bool:
  return path.lower().endswith(".parquet")


def _label(files: Files) -> str:
  more = len(files.paths) - 1
  return files.paths[0] + (f" (and {more} more)" if more else "")


def _line(error: Exception) -> str:
  return " ".join(str(error).split("Possible")[0].split())[:300]
