"""Finds the files of a dataset on this machine, and reads plain tables."""

from __future__ import annotations

import importlib.util
import os
import pathlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.csv

VARIABLE = "ADV_REC_DATA"
_TYPES = {
  "user": pa.int64(),
  "item": pa.int64(),
  "id": pa.int64(),
  "time": pa.int64(),
  "value": pa.float64(),
  "age": pa.int64(),
}

Place = str | os.PathLike[str] | None


def environment(folder: str) -> pathlib.Path | None:
  """$ADV_REC_DATA/folder, or None where the variable is not set."""
  root = os.environ.get(VARIABLE)
  return pathlib.Path(root) / folder if root else None


def package(name: str, folder: str) -> pathlib.Path | None:
  """A folder of an installed package, which is not imported, or None."""
  spec = importlib.util.find_spec(name)
  if spec is None or not spec.submodule_search_locations:
    return None
  return pathlib.Path(spec.submodule_search_locations[0]) / folder


def present(names: Iterable[str], places: Sequence[Place]) -> bool:
  """Whether the first place that is set, or a later one, has all files."""
  return any(_all(names, place) for place in _in_order(places))


def files(
  dataset: str, names: Sequence[str], places: Sequence[Place], how: str
) -> list[pathlib.Path]:
  """The files of a dataset, from the first place that has all of them.

  Args:
    dataset: its name, for the message.
    names: the files; each may also be there as NAME.gz.
    places: an explicit folder or None, then the usual folders; an explicit
      folder is the only place looked at.
    how: how to get the data.

  Returns:
    The paths, in the order of `names`.

  Raises:
    FileNotFoundError: no place has all the files.
  """
  tried = _in_order(places)
  for place in tried:
    if found := _all(names, place):
      return found
  where = f" in {', '.join(str(place) for place in tried)}" if tried else ""
  raise FileNotFoundError(
    f"{dataset} is not found{where}: it needs {', '.join(names)} (or .gz); "
    f"to get it: {how}; then name its folder, or set {VARIABLE}"
  )


def table(
  path: pathlib.Path,
  columns: Sequence[str],
  delimiter: str,
  header: bool = False,
  encoding: str = "utf8",
) -> pa.Table:
  """A delimited text file, plain or gzip, without quoting.

  Args:
    path: the file.
    columns: the names to give to its columns. Ids, user, item, time and age
      are int64, value is float64, all others text.
    delimiter: one character.
    header: whether to skip the first line.
    encoding: of the text.

  Returns:
    The table, without nulls in user, item, time, value and id.

  Raises:
    ValueError: the file is not of this form.
  """
  try:
    result = pyarrow.csv.read_csv(
      path,
      pyarrow.csv.ReadOptions(
        column_names=list(columns), skip_rows=int(header), encoding=encoding
      ),
      pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
      pyarrow.csv.ConvertOptions(
        column_types={c: _TYPES.get(c, pa.string()) for c in columns},
        strings_can_be_null=False,
      ),
    )
  except (pa.ArrowException, OSError) as error:
    text = " ".join(str(error).split())[:200]
    raise ValueError(f"{path} cannot be read: {text}") from error
  for name in {"user", "item", "time", "value", "id"}.intersection(columns):
    if result[name].null_count:
      row = result[name].is_null().to_pylist().index(True) + 1
      raise ValueError(f"{path}: the {name} is missing in row {row}")
  return result


def _in_order(places: Sequence[Place]) -> list[pathlib.Path]:
  explicit, *usual = places
  if explicit is not None:
    return [pathlib.Path(explicit)]
  return [pathlib.Path(place) for place in usual if place is not None]


def _all(names: Iterable[str], place: pathlib.Path) -> list[pathlib.Path]:
  """The paths of all files in one place, or an empty list."""
  found = []
  for name in names:
    paths = (place / name, place / f"{name}.gz")
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
      return []
    found.append(path)
  return found
