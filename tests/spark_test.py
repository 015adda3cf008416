"""Spark writes what DuckDB writes; slow, since Spark takes its time to start.

One Spark at a time: the tests share one.
"""

import contextlib
import gzip
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import dataset, engines, files, interactions, sources
from adv_rec.data.interactions import Source
from adv_rec.data.protocol import Protocol

GIVEN = Protocol(
  feedback="all", k_core=0, split="given", validation_fraction=0.2
)


@pytest.fixture(scope="module")
def spark():
  """A function that starts Spark, which is already there."""
  with engines.spark("local[2]") as engine:
    yield lambda: contextlib.nullcontext(engine)


def log(seed, rows=400):
  """Tied times, repeated pairs, ids as text with what sorts unlike letters."""
  rng = np.random.default_rng(seed)
  users = np.array([f"{n}é" if n % 3 else f"Z{n}" for n in range(30)])
  return pa.table(
    {
      "user": users[rng.integers(0, 30, rows)],
      "item": 5 * rng.integers(0, 20, rows) - 20,
      "time": rng.integers(0, 60, rows),
      "value": rng.integers(1, 6, rows).astype(np.float64),
    }
  )


def assert_same(tmp_path, source, protocol, spark, shards=0):
  interactions.prepare(source, protocol, tmp_path / "duckdb", shards=shards)
  interactions.prepare(
    source, protocol, tmp_path / "spark", engine=spark, shards=shards
  )
  for name in (*dataset.files(shards), dataset.DESCRIPTION):
    expected, found = (
      (tmp_path / engine / name).read_bytes() for engine in ("duckdb", "spark")
    )
    assert found == expected, name


@pytest.mark.slow
@pytest.mark.parametrize(
  "protocol",
  [
    Protocol(k_core=4),
    Protocol(k_core=3, split="random", min_value=2, seed=3),
    Protocol(k_core=4, split="leave_one_out"),
    Protocol(
      feedback="all",
      k_core=4,
      split="temporal_global",
      mask="none",
    ),
  ],
  ids=lambda protocol: protocol.split,
)
def test_same_bytes_of_a_small_log(tmp_path, spark, protocol):
  users = pa.table(
    {
      "id": ["1é", "Z3", "nobody"],
      "age": [None, 30, 40],
      "vip": [True, None, False],
    }
  )
  source = Source("toy", {"log": log(0)}, users=users)
  assert_same(tmp_path, source, protocol, spark, shards=3)


@pytest.mark.slow
def test_same_bytes_of_a_given_split(tmp_path, spark):
  rows = log(1)
  source = Source("toy", {"train": rows.slice(50), "test": rows.slice(0, 50)})
  assert_same(tmp_path, source, GIVEN, spark)


@pytest.mark.slow
def test_same_bytes_of_csv_files(tmp_path, spark):
  renamed = {"Z0": 'a "quoted, name"', "Z3": "two\nlines"}
  rows = [
    row | {"user": renamed.get(row["user"], row["user"])}
    for row in log(2).to_pylist()
  ]
  lines = [
    '"{}",{},2024-01-01T00:{:02}:00+02:00'.format(
      row["user"].replace('"', '""'), row["item"], row["time"] % 60
    )
    for row in rows
  ]
  first = "\r\n".join(["user,item,time", *lines[:200]]) + "\r\n"
  swapped = "\n".join(
    ["time;user;item"]
    + [f"{t};{u};{i}" for u, i, t in (x.rsplit(",", 2) for x in lines[200:])]
  )
  (tmp_path / "a.csv").write_text("\ufeff" + first, newline="")
  (tmp_path / "b.csv.gz").write_bytes(gzip.compress(swapped.encode()))
  source = sources.log(
    tmp_path / "*.csv*", {"user": "user", "item": "item", "time": "time"}
  )
  assert_same(tmp_path, source, Protocol(k_core=2), spark)
  written = pq.read_table(tmp_path / "spark" / "users.parquet")["id"]
  assert {'a "quoted, name"', "two\nlines"} <= set(written.to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_same_times_of_parquet(tmp_path, spark, unit, zone):
  rows = log(3, rows=50)
  # From before 1970, where rounding shows.
  scale = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
  seconds = rows["time"].to_numpy() - 30
  times = pa.array(seconds * scale + 500 * (unit == "ns"), "int64")
  rows = rows.set_column(2, "time", times.cast(pa.timestamp(unit, zone)))
  pq.write_table(rows, tmp_path / "log.parquet")
  columns = {name: name for name in ("user", "item", "time", "value")}
  read = files.Files((str(tmp_path / "log.parquet"),), columns)
  found = []
  for start in (engines.duckdb, spark):
    with start() as engine:
      found.append(engine.collect(files.read(engine, read)))
  order = [(name, "ascending") for name in columns]
  expected, found = (table.sort_by(order).to_pylist() for table in found)
  assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("1,2,x\n", "column 'time' .time. holds 'x' in row 2 below the header"),
    (",2,3\n", "column 'user' .user. is empty or NaN in 1 row"),
    ("1,2\n", "cannot be read"),
    ("1,2,3,4\n", "cannot be read"),
    ("caf\xe9,2,3\n", "not UTF-8 text"),
  ],
)
def test_bad_rows_are_refused_alike(tmp_path, spark, content, message):
  path: pathlib.Path = tmp_path / "log.csv"
  path.write_bytes(b"user,item,time\n0,1,2\n" + content.encode("latin-1"))
  roles = {name: name for name in ("user", "item", "time")}
  for start in (engines.duckdb, spark):
    with start() as engine, pytest.raises(ValueError, match=message):
      files.read(engine, files.Files((str(path),), roles))


@pytest.mark.slow
@pytest.mark.parametrize("which", ["first", "repeat"])
def test_same_bytes_of_the_retail_logs(tmp_path, spark, which):
  name = "completejourney"
  source, protocol = sources.find(name), sources.protocol(name, which)
  assert_same(tmp_path, source, protocol, spark)


def test_missing_java_is_said_in_one_line(monkeypatch, tmp_path):
  pytest.importorskip("pyspark")
  monkeypatch.setenv("JAVA_HOME", str(tmp_path))
  with (
    pytest.raises(ValueError, match=r"needs Java.*apt install"),
    engines.spark("local[1]"),
  ):
    pass


def test_missing_pyspark_is_said_in_one_line(monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "pyspark.sql", None)
  with (
    pytest.raises(ValueError, match=r"pip install 'adv_rec\[spark\]'"),
    engines.spark(),
  ):
    pass
