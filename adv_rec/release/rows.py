"""The rows of a release: drawn or read, checked and written chunk by chunk."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import tqdm

CHUNK = 65_536  # rows that are held at a time; part of what a seed means


def drawn(
  draw: Callable[[int, int], pa.Table], rows: int, seed: int
) -> Iterator[pa.Table]:
  """Rows chunk by chunk.

  Args:
    draw: (rows, seed) -> a table.
    rows: how many.
    seed: chunks have seeds of their own, made of it and their number.
  """
  for number, start in enumerate(range(0, rows, CHUNK)):
    of = np.random.default_rng([seed, number]).integers(2**31)
    yield draw(min(CHUNK, rows - start), int(of))


def write(
  chunks: Iterator[pa.Table],
  rows: int,
  check: Callable[[pa.Table], None],
  paths: list[pathlib.Path],
  progress: bool,
) -> None:
  """Writes rows to each of some files.

  Args:
    chunks: of the rows.
    rows: how many there are.
    check: raises ValueError where a chunk must not be released.
    paths: files that end in .parquet or .csv.
    progress: whether to show a bar.
  """
  with contextlib.ExitStack() as stack:
    bar = stack.enter_context(
      tqdm.tqdm(total=rows, unit="row", desc="rows", disable=not progress)
    )
    writers = []
    for made in chunks:
      check(made)
      if not writers:
        writers = [
          stack.enter_context(_writer(path, made.schema)) for path in paths
        ]
      for writer in writers:
        writer.write_table(made)
      bar.update(made.num_rows)


def read(
  path: pathlib.Path, types: Mapping[str, pa.DataType]
) -> Iterator[pa.Table]:
  """The chunks of a released file.

  Args:
    path: Parquet, or CSV.
    types: column -> its type, which CSV does not say.

  Raises:
    ValueError: it cannot be read, or has other columns or types.
  """
  try:
    if path.suffix == ".parquet":
      yield from map(_table, pq.ParquetFile(path).iter_batches(CHUNK))
      return
    options = pyarrow.csv.ConvertOptions(
      column_types=types, strings_can_be_null=True, null_values=[""]
    )
    options.quoted_strings_can_be_null = False
    with pyarrow.csv.open_csv(path, convert_options=options) as reader:
      yield from map(_table, reader)
  except pa.ArrowException as error:
    text = " ".join(str(error).split())[:200]
    raise ValueError(f"{path} cannot be read: {text}") from error


def made(path: pathlib.Path) -> tuple[int, Iterator[pa.Table]]:
  """Rows that a run has drawn: how many there are, and chunks of them."""
  file = pq.ParquetFile(path)
  return file.metadata.num_rows, map(_table, file.iter_batches(CHUNK))


def table(path: pathlib.Path, most: int) -> pa.Table:
  """The first rows of a released file (Parquet), whole chunks of it."""
  found, rows = [], 0
  for chunk in made(path)[1]:
    found.append(chunk)
    rows += chunk.num_rows
    if rows >= most:
      break
  return pa.concat_tables(found).slice(0, most)


def _table(batch: pa.RecordBatch) -> pa.Table:
  return pa.Table.from_batches([batch])


def _writer(path: pathlib.Path, schema: pa.Schema):
  if path.suffix == ".csv":
    return pyarrow.csv.CSVWriter(path, schema)
  return pq.ParquetWriter(path, schema)
