"""Own logs: what is read, and the one line that says what is wrong."""

import gzip
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import dataset, engines, files, interactions, sources
from adv_rec.data.protocol import Protocol

COLUMNS = {"user": "customer", "item": "sku", "time": "day"}
RATED = {**COLUMNS, "value": "stars"}
GOOD = "customer,sku,day\n" + "".join(
  f"{u},{i},{10 * u + i}\n" for u in range(4) for i in range(4)
)


def read(path, columns=None):
  log = files.Files(files.find(path), columns or COLUMNS)
  with engines.duckdb() as engine:
    return files.read(engine, log).to_pyarrow()


def save(folder, name, content):
  if isinstance(content, pa.Table):
    pq.write_table(content, folder / name)
  else:
    content = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(content)
  return folder / name


def table(**columns):
  """A Parquet log of 20 good rows, with some columns replaced."""
  rng = np.random.default_rng(0)
  log = {
    "customer": rng.integers(0, 3, 20),
    "sku": rng.integers(0, 3, 20),
    "day": np.arange(20),
    "stars": np.arange(20.0),
  }
  return pa.table(log | columns)


def changed(values, row, value):
  values = list(values)
  values[row] = value
  return values


BAD = {
  "empty": ("l.csv", "", r"l\.csv is empty"),
  "header only": ("l.csv", "customer,sku,day\n", r"l\.csv has no rows"),
  "no header": ("l.csv", "\n1,2,3\n", "has no header in its first line"),
  "other kind": ("l.xlsx", "x", r"l\.xlsx is not named as CSV or Parquet"),
  "binary": ("l.csv", b"PK\0\3" * 9 + b"\n", "is not a CSV file"),
  "not gzip": ("l.csv.gz", GOOD, "is not a whole gzip file"),
  "cut gzip": ("l.csv.gz", gzip.compress(GOOD.encode())[:-9], "cannot be read"),
  "not parquet": ("l.parquet", GOOD, "is not a readable Parquet file"),
  "torn parquet": (
    "l.parquet",
    b"PAR1" + b"x" * 60 + (50).to_bytes(4, "little") + b"PAR1",
    r"l\.parquet is not a readable Parquet file",
  ),
  "cut parquet": ("l.parquet", b"PAR1" * 30, "is not a readable Parquet file"),
  "latin-1 header": (
    "l.csv", "customer,sku,day,größe\n".encode("latin-1"), "not UTF-8 text",
  ),
  "latin-1 rows": (
    "l.csv", (GOOD + "1,caf\xe9,3\n").encode("latin-1"),
    r"Line: 18: not UTF-8 text",
  ),
  "utf-16": ("l.csv", GOOD.encode("utf-16"), "not UTF-8 text"),
  "missing column": (
    "l.csv", GOOD.replace("sku", "skus"),
    r"has no column 'sku' \(item\); its columns are customer, skus, day; "
    "did you mean 'skus'",
  ),
  "column twice": (
    "l.csv", "customer,sku,day,sku\n1,2,3,4\n", "more than one column 'sku'",
  ),
  "short row": ("l.csv", GOOD + "1,2\n", r"Line: 18 .*Columns: 3 Found: 2"),
  "long row": ("l.csv", GOOD + "1,2,3,4\n", r"Line: 18 .*Found: 4"),
  "open quote": ("l.csv", GOOD + '1,"2,3\n1,2,3\n', "unterminated quote"),
  "no user": (
    "l.csv", GOOD + ",2,3\n1,2,3\nNaN,2,3\n",
    r"'customer' \(user\) is empty or NaN in 2 rows, first in row 17 below",
  ),
  "no time": ("l.csv", GOOD + "1,2,\n", r"'day' \(time\) is empty .* row 17 "),
  "text time": (
    "l.csv", GOOD + "1,2,yesterday\n",
    r"'day' \(time\) holds 'yesterday' in row 17 below .* ISO 8601",
  ),
  "american time": (
    "l.csv", "customer,sku,day\n1,2,04/03/2021\n2,3,04/04/2021\n",
    r"holds '04/03/2021' in row 1 .* ISO 8601",
  ),
  "impossible time": (
    "l.csv", "customer,sku,day\n1,2,2021-02-28\n2,3,2021-02-29\n",
    "holds '2021-02-29' in row 2",
  ),
  "infinite time": (
    "l.parquet", table(day=changed(np.arange(20.0), 4, np.inf)),
    r"'day' \(time\) holds inf in row 5",
  ),
  "null item": (
    "l.parquet", table(sku=changed(range(20), 3, None)),
    r"'sku' \(item\) is empty or NaN in 1 row, first in row 4",
  ),
  "fractional id": (
    "l.parquet", table(sku=changed(np.arange(20.0), 6, 1.5)),
    r"'sku' \(item\) holds 1.5 in row 7",
  ),
  "list id": (
    "l.parquet", table(sku=[[1]] * 20), r"'sku' \(item\) has the type array",
  ),
  "one user": (
    "l.parquet", table(customer=[1] * 20), "has a single user; .* two",
  ),
  "one item": ("l.parquet", table(sku=["x"] * 20), "has a single item"),
}  # fmt: skip


def test_first_bad_row_of_a_large_file(tmp_path):
  # Several row groups and blocks, read by several threads.
  stars = np.arange(300_000.0)
  stars[[123_456, 250_000]] = np.nan
  log = pa.table(
    {"customer": stars, "sku": range(300_000), "day": range(300_000)}
  )
  pq.write_table(log, tmp_path / "l.parquet", row_group_size=20_000)
  with pytest.raises(ValueError, match=r"in 2 rows, first in row 123457;"):
    read(tmp_path / "l.parquet")
  users = ["" if np.isnan(u) else f"{u:.0f}" for u in stars]
  text = "customer,sku,day\n" + "".join(f"{u},1,2\n" for u in users)
  with pytest.raises(ValueError, match=r"in 2 rows, first in row 123457 "):
    read(save(tmp_path, "l.csv", text))


def one_line(error, tmp_path, before):
  """The message is one line, and nothing was written."""
  assert "\n" not in str(error.value)
  assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("case", BAD)
def test_bad_log_gives_one_line_and_no_directory(tmp_path, case):
  name, content, message = BAD[case]
  path = save(tmp_path, name, content)
  with pytest.raises(ValueError, match=message) as error:
    interactions.prepare(
      sources.log(path, COLUMNS), Protocol(k_core=0), tmp_path / "out"
    )
  one_line(error, tmp_path, [name])


BAD_VALUES = {
  "text": ("l.csv", "customer,sku,day,stars\n1,2,3,good\n", "holds 'good'"),
  "infinite": ("l.csv", "customer,sku,day,stars\n1,2,3,inf\n", "holds 'inf'"),
  "NaN": (
    "l.parquet", table(stars=changed(range(20), 9, np.nan)),
    r"'stars' \(value\) is empty or NaN in 1 row, first in row 10",
  ),
  "boolean": ("l.parquet", table(stars=[True] * 20), "has the type boolean"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_VALUES)
def test_bad_value_gives_one_line(tmp_path, case):
  name, content, message = BAD_VALUES[case]
  path = save(tmp_path, name, content)
  with pytest.raises(ValueError, match=message) as error:
    interactions.prepare(
      sources.log(path, RATED), Protocol(k_core=0), tmp_path / "out"
    )
  one_line(error, tmp_path, [name])


@pytest.mark.parametrize(
  ("columns", "settings", "message"),
  [
    ({"user": "customer", "item": "sku"}, {}, "'temporal' needs a time"),
    ({"user": "customer"}, {}, "which column is the item"),
    ({**COLUMNS, "price": "day"}, {}, "unknown role 'price'; the roles are"),
    ({**COLUMNS, "item": "customer"}, {}, "gives one column two roles"),
    (COLUMNS, {"min_value": 2}, "min_value needs a value"),
    (COLUMNS, {"k_core": 5}, "nothing is left after the step '5-core .*16 int"),
    (
      COLUMNS,
      {"k_core": 0, "test_fraction": 0.9},
      "leaves 4 users without a training row",
    ),
    (
      COLUMNS,
      {"feedback": "all", "k_core": 0, "split": "given"},
      "is one log, which does not go with split='given'",
    ),
  ],
)
def test_bad_settings_give_one_line(tmp_path, columns, settings, message):
  path = save(tmp_path, "l.csv", GOOD)
  with pytest.raises(ValueError, match=message) as error:
    interactions.prepare(
      sources.log(path, columns), Protocol(**settings), tmp_path / "out"
    )
  one_line(error, tmp_path, ["l.csv"])


def test_find(tmp_path):
  for name in ("b.csv", "a.csv", "c.parquet"):
    save(tmp_path, name, GOOD if name < "c" else table())
  found = files.find(tmp_path / "*.csv")
  assert [os.path.basename(path) for path in found] == ["a.csv", "b.csv"]
  with pytest.raises(ValueError, match="both CSV and Parquet"):
    files.find(tmp_path / "*")
  with pytest.raises(ValueError, match="is a directory; name a file"):
    files.find(tmp_path)
  with pytest.raises(FileNotFoundError, match="no file matches"):
    files.find(tmp_path / "*.tsv")
  with pytest.raises(FileNotFoundError, match="no file is at"):
    files.find(tmp_path / "d.csv")


@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.csv.gz"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_csv_dialects(tmp_path, name, delimiter):
  rows = ["\ufeffday,SKU,sku,customer", '3,x,"a b ""c""",7', "2021,y,d,8"]
  text = "\r\n".join(row.replace(",", delimiter) for row in rows) + "\r\n"
  content = text.encode()
  path = save(
    tmp_path, name, gzip.compress(content) if name[-1] == "z" else content
  )
  assert read(path).to_pylist() == [
    {"user": 7, "item": 'a b "c"', "time": 3},
    {"user": 8, "item": "d", "time": 2021},
  ]


@pytest.mark.parametrize(
  ("written", "ids"),
  [
    (["1", "-2", "30"], [1, -2, 30]),
    (["1", "02", "30"], ["1", "02", "30"]),
    (["1", "2.0", "3"], ["1", "2.0", "3"]),
    (["1", "9" * 30, "3"], ["1", "9" * 30, "3"]),
    (["äö", "2", "x y"], ["äö", "2", "x y"]),
  ],
)
def test_ids_of_a_csv(tmp_path, written, ids):
  text = "customer,sku,day\n" + "".join(f"1,{i},5\n" for i in written)
  assert read(save(tmp_path, "l.csv", text))["item"].to_pylist() == ids


@pytest.mark.parametrize(
  ("written", "seconds"),
  [
    (["3", "-4"], [3, -4]),
    (["3", "4.5", "1e3"], [3.0, 4.5, 1000.0]),
    (["2021-03-04", "1970-01-02"], [1614816000, 86400]),
    (["1970-01-01 00:01", "1970-01-01T00:00:01.5"], [60, 1.5]),
    (["1970-01-01T02:00:00+02:00", "1970-01-01T00:00:07Z"], [0, 7]),
  ],
)
def test_times_of_a_csv(tmp_path, written, seconds):
  text = "customer,sku,day\n" + "".join(f"1,2,{t}\n" for t in written)
  times = read(save(tmp_path, "l.csv", text))["time"]
  if pa.types.is_timestamp(times.type):
    assert times.type == pa.timestamp("us")
    times = [t / 1e6 for t in times.cast("int64").to_pylist()]
  else:
    times = times.to_pylist()
  assert times == seconds


@pytest.mark.parametrize(
  "day",
  [
    pa.array([0, 86400 * 10**9], pa.timestamp("ns")),
    pa.array([0, 86400 * 10**6], pa.timestamp("us", "Asia/Tokyo")),
    pa.array([0, 1], pa.date32()),
    pa.array(["1970-01-01", "1970-01-02"]),
  ],
)
def test_times_of_a_parquet_file(tmp_path, day):
  log = pa.table({"customer": [1.0, 2.0], "sku": ["1", "2"], "day": day})
  found = read(save(tmp_path, "l.parquet", log))
  assert found["time"].cast("int64").to_pylist() == [0, 86400 * 10**6]
  assert found["user"].type == pa.int64()
  assert found["item"].to_pylist() == ["1", "2"]


def test_many_files_in_different_orders(tmp_path):
  save(tmp_path, "a.csv", "customer,sku,day\n1,2,3\n")
  save(tmp_path, "b.csv", "day;more;sku;customer\n6;;5;4\n")
  found = read(tmp_path / "?.csv").sort_by("user").to_pylist()
  assert found == [
    {"user": 1, "item": 2, "time": 3},
    {"user": 4, "item": 5, "time": 6},
  ]
  save(tmp_path, "c.csv", "customer,sku,day\n1,2,3\n1,,3\n")
  with pytest.raises(ValueError, match=r"c\.csv: column 'sku' .* in row 2 "):
    read(tmp_path / "?.csv")
  save(tmp_path, "a.parquet", table())
  save(tmp_path, "b.parquet", table(sku=["x"] * 20))
  with pytest.raises(ValueError, match="other column types"):
    read(tmp_path / "?.parquet")


def test_the_same_log_in_any_format_gives_the_same_dataset(tmp_path):
  rows = [line.split(",") for line in GOOD.splitlines()[1:]]
  users, items, days = (
    [int(value) for value in column] for column in zip(*rows, strict=True)
  )
  log = pa.table({"customer": users, "sku": items, "day": days})
  save(tmp_path, "l.csv", GOOD)
  save(tmp_path, "l.parquet", log)
  results = []
  for name in ("l.csv", "l.parquet"):
    source = sources.log(tmp_path / name, COLUMNS)
    assert source.name == "l"
    interactions.prepare(source, Protocol(k_core=4), tmp_path / "out")
    parts = [*dataset.PARTS, "users", "items"]
    results.append(
      [(tmp_path / "out" / f"{part}.parquet").read_bytes() for part in parts]
    )
  assert results[0] == results[1]
