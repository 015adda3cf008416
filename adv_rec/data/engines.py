"""The engines that do a preparation: DuckDB in this process, or Spark.

Both run the same Ibis expressions and give the same rows. Here is all that
differs: how one starts, reads files, keeps the rows of a step, and hands rows
back as Arrow tables.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq


class DuckDB:
  """DuckDB: one machine, all its cores; spills to disk when memory is full."""

  def __init__(self, con: Any):
    self._con = con

  def read_parquet(self, paths: Sequence[str]) -> ibis.Table:
    """All rows of Parquet files."""
    table = self._con.read_parquet(list(paths))
    for field in pq.read_schema(paths[0]):
      # Ibis does not know this type of DuckDB's, but casts it.
      if (
        pa.types.is_timestamp(field.type)
        and table[field.name].type().is_unknown()
      ):
        micro = table[field.name].cast("timestamp('UTC')")
        table = table.mutate(**{field.name: micro})
    return table

  def read_csv(
    self, paths: Sequence[str], delimiter: str, columns: Sequence[str]
  ) -> ibis.Table:
    """CSV files with a header, every column as text.

    Args:
      paths: the files.
      delimiter: one character.
      columns: names to give to the columns, by position.
    """
    return self._con.read_csv(
      list(paths),
      header=True,
      delim=delimiter,
      quote='"',
      escape='"',
      auto_detect=False,
      columns=dict.fromkeys(columns, "string"),
    )

  def table(self, rows: pa.Table) -> ibis.Table:
    """An Arrow table, as the engine sees it."""
    return ibis.memtable(rows)

  def materialise(self, table: ibis.Table) -> ibis.Table:
    """A temporary table with the rows of an expression."""
    name = ibis.util.gen_name("step")
    return self._con.create_table(name, obj=table, temp=True)

  def drop(self, table: ibis.Table) -> None:
    """Frees what `materialise` made."""
    self._con.raw_sql(f'DROP TABLE "{table.op().name}"')

  def collect(self, table: ibis.Table) -> pa.Table:
    """The rows of an expression, in no particular order."""
    return table.to_pyarrow()


class Spark:
  """Spark; what a step leaves is kept as Parquet files in one folder.

  On a cluster the driver and all workers must see that folder, and the files
  to read, under the same path.
  """

  def __init__(self, session: Any, folder: pathlib.Path):
    self._session = session
    self._con = ibis.pyspark.connect(session)
    self._folder = folder

  def read_parquet(self, paths: Sequence[str]) -> ibis.Table:
    """All rows of Parquet files."""
    frame = self._session.read.parquet(*map(os.path.abspath, paths))
    kinds, columns = dict(frame.dtypes), []
    for field in pq.read_schema(paths[0]):
      column = f"`{field.name}`"
      # Spark knows no nanoseconds: they arrive as whole numbers, which are
      # rounded as DuckDB does.
      if pa.types.is_timestamp(field.type) and kinds[field.name] == "bigint":
        kind = "timestamp" if field.type.tz else "timestamp_ntz"
        below, above = f"(500L - {column})", f"({column} + 500L)"
        micro = f"if({column} < 0, -({below} div 1000L), {above} div 1000L)"
        column = f"cast(timestamp_micros({micro}) as {kind}) {column}"
      columns.append(column)
    return self._view(frame.selectExpr(*columns))

  def read_csv(
    self, paths: Sequence[str], delimiter: str, columns: Sequence[str]
  ) -> ibis.Table:
    """CSV files with a header, every column as text.

    A quoted field may hold line ends, so that one file is read by one task;
    write a large log as many files, or as Parquet. Spark puts U+FFFD where
    the bytes are not UTF-8, so that text with that character is refused.

    Args:
      paths: the files.
      delimiter: one character.
      columns: names to give to the columns, by position.
    """
    frame = self._session.read.csv(
      [os.path.abspath(path) for path in paths],
      schema=", ".join(f"`{name}` string" for name in columns),
      sep=delimiter,
      header=True,
      quote='"',
      escape='"',
      multiLine=True,
      enforceSchema=True,
      mode="FAILFAST",
    )
    wrong = "raise_error('not UTF-8 text; save it as UTF-8')"
    return self._view(
      frame.selectExpr(
        *(
          f"if(contains(`{c}`, '\ufffd'), {wrong}, `{c}`) `{c}`"
          for c in columns
        )
      )
    )

  def table(self, rows: pa.Table) -> ibis.Table:
    """An Arrow table, as the engine sees it."""
    path = self._folder / ibis.util.gen_name("rows")
    path.mkdir()
    pq.write_table(rows, path / "rows.parquet", coerce_timestamps="us")
    return self._view(self._session.read.parquet(str(path)))

  def materialise(self, table: ibis.Table) -> ibis.Table:
    """A temporary table with the rows of an expression."""
    return self._view(self._session.read.parquet(self._write(table)))

  def drop(self, table: ibis.Table) -> None:
    """Frees what `materialise` made."""
    [path, *_] = self._session.table(table.op().name).inputFiles() or [""]
    self._session.catalog.dropTempView(table.op().name)
    if path:
      shutil.rmtree(pathlib.Path(path.removeprefix("file:")).parent)

  def collect(self, table: ibis.Table) -> pa.Table:
    """The rows of an expression, in no particular order."""
    path = self._write(table)
    rows = pq.read_table(path)
    shutil.rmtree(path)
    return rows

  def _write(self, table: ibis.Table) -> str:
    path = str(self._folder / ibis.util.gen_name("step"))
    frame = self._session.sql(self._con.compile(table))
    # Times without a zone are what Ibis asks for and does not get.
    columns = [
      f"cast(`{name}` as timestamp_ntz) `{name}`"
      if kind == "timestamp"
      else f"`{name}`"
      for name, kind in frame.dtypes
    ]
    frame.selectExpr(*columns).write.parquet(path)
    return path

  def _view(self, frame: Any) -> ibis.Table:
    name = ibis.util.gen_name("view")
    frame.createTempView(name)
    return self._con.table(name)


_QUIET = """
appender.none.type = Null
appender.none.name = none
rootLogger.level = off
rootLogger.appenderRef.none.ref = none
"""

Engine = DuckDB | Spark
Start = Callable[[], contextlib.AbstractContextManager[Engine]]


@contextlib.contextmanager
def duckdb(memory: str = "") -> Iterator[DuckDB]:
  """DuckDB, for the time of a `with` block.

  Args:
    memory: what it may use, as "4g", before it spills to $TMPDIR; by default
      most of the machine's. Arrow tables of the result come on top.

  Raises:
    ValueError: `memory` is not an amount.
  """
  limit = {"memory_limit": _amount(memory)} if memory else {}
  with tempfile.TemporaryDirectory() as spill:
    con = ibis.duckdb.connect(temp_directory=spill, **limit)
    try:
      yield DuckDB(con)
    finally:
      con.disconnect()


@contextlib.contextmanager
def spark(master: str = "local[*]", memory: str = "") -> Iterator[Spark]:
  """Spark, for the time of a `with` block; intermediate rows go to $TMPDIR.

  A session that is there already is used as it is, and left running.

  Args:
    master: where it runs: "local[2]" for two cores of this machine, or the
      address of a cluster.
    memory: what Java may use here, as "4g"; by default what Spark's own
      settings say, usually 1g. Workers of a cluster have their own settings.

  Raises:
    ValueError: pyspark or Java is missing, Spark does not start, or `memory`
      is not an amount.
  """
  limit = {"spark.driver.memory": _amount(memory)} if memory else {}
  with tempfile.TemporaryDirectory() as folder:
    session, ours = _session(master, folder, limit)
    try:
      yield Spark(session, pathlib.Path(folder))
    finally:
      if ours:
        session.stop()


def _amount(memory: str) -> str:
  if not re.fullmatch(r"[1-9][0-9]*[mg]", memory):
    raise ValueError(f"memory={memory!r} is not an amount; write 4g or 500m")
  return memory


def _session(
  master: str, folder: str, settings: dict[str, str]
) -> tuple[Any, bool]:
  """A Spark session, and whether it was started here."""
  try:
    import pyspark.sql  # pyright: ignore[reportMissingImports]
  except ImportError as error:
    raise ValueError(
      "the engine spark needs pyspark: pip install 'adv_rec[spark]'"
    ) from error
  home = os.environ.get("JAVA_HOME")
  if not shutil.which("java", path=f"{home}/bin" if home else None):
    where = f"$JAVA_HOME ({home})" if home else "$PATH"
    raise ValueError(
      f"the engine spark needs Java, and there is none in {where}: install "
      "Java 17 or later (Debian: apt install openjdk-17-jre-headless)"
    )
  # What goes wrong comes as an exception, and need not be logged as well.
  logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
  quiet = pathlib.Path(folder, "log4j2.properties")
  quiet.write_text(_QUIET)
  settings = settings | {
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={quiet}",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.local.dir": folder,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Rows with too few or too many fields are wrong wherever they are.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
  }
  if master.startswith("local"):
    # The usual 200 are for clusters: most of the time would go into files.
    settings["spark.sql.shuffle.partitions"] = "16"
  builder = pyspark.sql.SparkSession.builder.appName("adv_rec").master(master)
  for name, value in settings.items():
    builder = builder.config(name, value)
  try:
    ours = pyspark.sql.SparkSession.getActiveSession() is None
    return builder.getOrCreate(), ours
  except Exception as error:  # of Python, of the gateway, or of Java
    text = " ".join(str(error).split())[:200]
    raise ValueError(
      f"Spark does not start with master={master!r}: {text}"
    ) from error
