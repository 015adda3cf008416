"""Preparation, splits and the prepared format, against brute force."""

import collections
import hashlib
import json
import math
import os

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import dataset, engines, interactions, steps
from adv_rec.data.interactions import Source
from adv_rec.data.protocol import Protocol


def random_log(seed, rows=600, users=40, items=30, value=False):
  """A log with repeated pairs, tied times, and gaps between the ids."""
  rng = np.random.default_rng(seed)
  table: dict[str, np.ndarray] = {
    "user": 7 * rng.integers(0, users, rows) + 3,
    "item": 5 * (rng.random(rows) ** 2 * items).astype(np.int64) - 20,
    "time": rng.integers(0, 25, rows),
  }
  if value:
    table |= {"value": rng.integers(1, 6, rows).astype(np.float64)}
  return pa.table(table)


def source(table, **kwargs):
  return Source("toy", {"log": table}, **kwargs)


def prepare(tmp_path, table, protocol, **kwargs):
  return interactions.prepare(
    source(table, **kwargs), protocol, tmp_path / "toy"
  )


def raw_rows(data, part):
  pairs = getattr(data, part)
  return list(
    zip(
      data.users["id"][pairs.user].tolist(),
      data.items["id"][pairs.item].tolist(),
      strict=True,
    )
  )


def all_rows(data):
  return [row for part in dataset.PARTS for row in raw_rows(data, part)]


def description(directory):
  return json.loads((directory / "dataset.json").read_text())


def brute_first(table):
  first = {}
  for row in table.select(["user", "item", "time"]).to_pylist():
    pair = row["user"], row["item"]
    first[pair] = min(first.get(pair, math.inf), row["time"])
  return first


def brute_k_core(pairs, k):
  pairs = set(pairs)
  while True:
    users = collections.Counter(u for u, _ in pairs)
    items = collections.Counter(i for _, i in pairs)
    kept = {(u, i) for u, i in pairs if users[u] >= k and items[i] >= k}
    if kept == pairs:
      return pairs
    pairs = kept


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 5, 9])
def test_k_core_equals_brute_force(seed, k):
  first = brute_first(random_log(seed))
  users, items = zip(*first, strict=True)
  log = ibis.memtable(pa.table({"user": users, "item": items}))
  with engines.duckdb() as engine:
    core, rounds = steps.k_core(engine, log, k)
    found = core.to_pyarrow().to_pydict()
  expected = brute_k_core(first, k)
  assert set(zip(found["user"], found["item"], strict=True)) == expected
  assert len(found["user"]) == len(expected)
  assert rounds >= 1


def brute_rounds(rows, k):
  """Users first, then items, round by round: (rows left, rounds)."""
  rounds, before = 0, None
  while len(rows) != before:
    rounds, before = rounds + 1, len(rows)
    for role in ("user", "item"):
      degree = collections.Counter(row[role] for row in rows)
      rows = [row for row in rows if degree[row[role]] >= k]
  return rows, rounds


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 4, 6, 30])
def test_k_core_counts_rows_and_rounds(seed, k):
  table = random_log(seed, rows=250, users=60, value=True)
  with engines.duckdb() as engine:
    core, rounds = steps.k_core(engine, engine.table(table), k)
    found = core.to_pyarrow().to_pylist()
  expected, expected_rounds = brute_rounds(table.to_pylist(), k)
  assert rounds == expected_rounds

  def key(row):
    return tuple(row.values())

  assert sorted(found, key=key) == sorted(expected, key=key)


def test_k_core_takes_more_than_one_round():
  # A chain: the core of order 2 of a path is empty, found end by end.
  path = [(n // 2, (n + 1) // 2) for n in range(8)]
  users, items = zip(*path, strict=True)
  log = ibis.memtable(pa.table({"user": users, "item": items}))
  with engines.duckdb() as engine:
    core, rounds = steps.k_core(engine, log, 2)
    assert core.count().to_pyarrow().as_py() == 0
  assert rounds > 2


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fractions", [(0.2, 0.1), (0.34, 0.5), (0.01, 0.0)])
def test_temporal_split_equals_brute_force(tmp_path, seed, fractions):
  table = random_log(seed)
  data = prepare(
    tmp_path,
    table,
    Protocol(
      k_core=4, test_fraction=fractions[0], validation_fraction=fractions[1]
    ),
  )
  first = brute_first(table)
  core = brute_k_core(first, 4)
  parts = {"train": [], "validation": [], "test": []}
  for user in sorted({u for u, _ in core}):
    items = sorted((first[u, i], i) for u, i in core if u == user)
    n = len(items)
    test = max(1, math.floor(fractions[0] * n))
    rest = n - test
    validation = max(1, math.floor(fractions[1] * rest)) if fractions[1] else 0
    cuts = [0, rest - validation, rest, n]
    for part, start, stop in zip(parts, cuts[:-1], cuts[1:], strict=True):
      parts[part] += [(user, item) for _, item in items[start:stop]]
  for part, rows in parts.items():
    assert raw_rows(data, part) == rows
  assert data.users["id"].tolist() == sorted({u for u, _ in core})
  assert data.items["id"].tolist() == sorted({i for _, i in core})


def test_leave_one_out_takes_the_last_two(tmp_path):
  table = random_log(0)
  data = prepare(tmp_path, table, Protocol(k_core=4, split="leave_one_out"))
  first = brute_first(table)
  core = brute_k_core(first, 4)
  last = {
    user: [i for _, i in sorted((first[u, i], i) for u, i in core if u == user)]
    for user in {u for u, _ in core}
  }
  assert dict(raw_rows(data, "test")) == {u: i[-1] for u, i in last.items()}
  assert dict(raw_rows(data, "validation")) == {
    u: i[-2] for u, i in last.items()
  }
  assert len(data.train.user) == len(core) - 2 * len(last)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fractions", [(0.2, 0.1), (0.5, 0.5), (0.01, 0.0)])
def test_one_cut_in_time_equals_brute_force(tmp_path, seed, fractions):
  table = random_log(seed, rows=150)
  data = prepare(
    tmp_path,
    table,
    Protocol(
      feedback="all",
      k_core=2,
      split="temporal_global",
      test_fraction=fractions[0],
      validation_fraction=fractions[1],
      mask="none",
    ),
  )
  rows = [tuple(row.values()) for row in table.to_pylist()]
  while True:  # the core counts rows, not pairs
    users = collections.Counter(u for u, _, _ in rows)
    items = collections.Counter(i for _, i, _ in rows)
    kept = [r for r in rows if users[r[0]] >= 2 and items[r[1]] >= 2]
    if len(kept) == len(rows):
      break
    rows = kept
  times = sorted(t for _, _, t in rows)
  n = len(times)
  test = max(1, math.floor(fractions[0] * n))
  validation = math.floor(fractions[1] * (n - test))
  validation = max(1, validation) if fractions[1] else 0
  # A time that has a row among the last ones goes there whole.
  cuts = [times[n - test - validation], times[n - test]]
  parts = {"train": [], "validation": [], "test": []}
  for user, item, time in sorted(rows, key=lambda r: (r[0], r[2], r[1])):
    late = sum(time >= cut for cut in cuts)
    parts[tuple(parts)[late]].append((user, item))
  known = {user for user, _ in parts["train"]}
  assert fractions[1] != 0.5 or known != {u for u, _, _ in rows}
  for part, expected in parts.items():
    assert raw_rows(data, part) == [r for r in expected if r[0] in known]
  assert data.users["id"].tolist() == sorted(known)
  steps = description(tmp_path / "toy")["filters"]
  assert steps[-1]["step"] == "users with a train row"
  assert steps[-1]["users"] == len(known)
  assert steps[-2]["users"] == len({u for u, _, _ in rows})
  assert data.protocol["mask"] == "none"


def test_one_cut_in_time_needs_times_to_cut_between(tmp_path):
  table = random_log(0)
  table = table.set_column(2, "time", pa.array([7] * len(table)))
  protocol = Protocol(feedback="all", k_core=0, split="temporal_global")
  with pytest.raises(ValueError, match="train has no rows; too many rows"):
    prepare(tmp_path, table, protocol)
  assert not os.listdir(tmp_path)


def test_random_split_partitions_and_depends_on_the_seed_only(tmp_path):
  table = random_log(1)
  temporal = prepare(tmp_path / "t", table, Protocol(k_core=4))
  runs = {}
  for name, seed, rows in (
    ("a", 0, table),
    ("b", 0, table.take(np.random.default_rng(0).permutation(len(table)))),
    ("c", 1, table),
  ):
    protocol = Protocol(k_core=4, split="random", seed=seed)
    runs[name] = prepare(tmp_path / name, rows, protocol)
  for part in dataset.PARTS:
    assert raw_rows(runs["a"], part) == raw_rows(runs["b"], part)
    counts = np.bincount(getattr(runs["a"], part).user)
    assert (counts == np.bincount(getattr(temporal, part).user)).all()
  assert raw_rows(runs["a"], "test") != raw_rows(runs["c"], "test")
  union = all_rows(runs["a"])
  assert len(union) == len(set(union))
  assert set(union) == brute_k_core(brute_first(table), 4)


def test_random_split_is_the_order_of_an_md5_hash(tmp_path):
  table = random_log(2).select(["user", "item"])
  protocol = Protocol(k_core=4, split="random", seed=5, validation_fraction=0)
  data = prepare(tmp_path, table, protocol)
  pairs = raw_rows(data, "train") + raw_rows(data, "test")
  for user in data.users["id"]:
    mine = [(u, i) for u, i in pairs if u == user]
    mine.sort(
      key=lambda p: hashlib.md5(f"5:{p[0]}:{p[1]}".encode()).hexdigest()
    )
    test = {p for p in raw_rows(data, "test") if p[0] == user}
    assert set(mine[-len(test) :]) == test


def test_feedback_all_keeps_every_row(tmp_path):
  table = random_log(3, value=True)
  data = prepare(tmp_path, table, Protocol(feedback="all", k_core=0))
  rows = all_rows(data)
  raw = zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)
  assert sorted(rows) == sorted(raw)


def test_first_keeps_the_value_of_the_first_time(tmp_path):
  table = random_log(3, rows=1500, value=True)
  prepare(tmp_path, table, Protocol(k_core=0, min_value=2))
  expected = {}
  for row in table.to_pylist():
    pair = row["user"], row["item"]
    if row["value"] >= 2:
      new = -row["time"], row["value"]
      expected[pair] = max(expected.get(pair, new), new)
  data = dataset.load(tmp_path / "toy")
  for part in dataset.PARTS:
    written = pq.read_table(tmp_path / "toy" / f"{part}.parquet")
    for pair, time, value in zip(
      raw_rows(data, part),
      written["time"].to_pylist(),
      written["value"].to_pylist(),
      strict=True,
    ):
      assert expected.pop(pair) == (-time, value)
  assert not expected


def test_counts_after_each_step_are_recorded_and_reported(tmp_path):
  table = random_log(4, value=True)
  lines = []
  interactions.prepare(
    source(table),
    Protocol(k_core=3, min_value=2),
    tmp_path / "toy",
    lines.append,
  )
  kept = table.filter(pa.compute.greater_equal(table["value"], 2))
  sizes = [len(table), len(kept), len(brute_first(kept))]
  core = brute_k_core(brute_first(kept), 3)
  written = description(tmp_path / "toy")
  assert [s["interactions"] for s in written["filters"]] == [*sizes, len(core)]
  assert written["filters"][-1]["users"] == len({u for u, _ in core})
  assert written["counts"]["interactions"] == len(core)
  for step, line in zip(written["filters"], lines, strict=False):
    assert line.startswith(step["step"])
    assert f"{step['interactions']:,} interactions" in line


def test_features_follow_the_codes(tmp_path):
  table = random_log(5)
  ids = sorted(set(table["user"].to_pylist()), reverse=True)
  known = [u for u in ids if u % 3] + [10**6]
  users = pa.table(
    {
      "id": known,
      "age": [u + 1 for u in known],
      "name": [f"u{u}" for u in known],
    }
  )
  items = pa.table(
    {"id": range(-20, 200), "category": [f"c{i}" for i in range(-20, 200)]}
  )
  data = prepare(tmp_path, table, Protocol(k_core=3), users=users, items=items)
  for u, age, name in zip(
    data.users["id"], data.users["age"], data.users["name"], strict=True
  ):
    assert (
      (age == u + 1 and name == f"u{u}")
      if u % 3
      else (math.isnan(age) and name is None)
    )
  assert data.items["category"].tolist() == [f"c{i}" for i in data.items["id"]]


def test_two_runs_give_the_same_bytes(tmp_path):
  table = random_log(6, value=True)
  order = np.random.default_rng(1).permutation(len(table))
  for name, rows in (("a", table), ("b", table.take(order))):
    interactions.prepare(source(rows), Protocol(k_core=3), tmp_path / name)
  names = sorted(os.listdir(tmp_path / "a"))
  assert names == sorted([*dataset.files(), "dataset.json"])
  for name in names:
    a, b = (tmp_path / run / name for run in "ab")
    assert a.read_bytes() == b.read_bytes(), name


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"feedback": "last"}, "feedback 'last'"),
    ({"mask": "all"}, "mask 'all'"),
    ({"mask": "none"}, "needs feedback='all'"),
    ({"split": "weekly"}, "split 'weekly'"),
    ({"k_core": -1}, "k_core is -1"),
    ({"test_fraction": 1.0}, "test_fraction is 1.0"),
    ({"test_fraction": math.nan}, "test_fraction is nan"),
    ({"validation_fraction": -0.1}, "validation_fraction is -0.1"),
    ({"min_value": math.inf}, "min_value is inf"),
    ({"split": "given"}, "a given split keeps its rows"),
  ],
)
def test_protocol_refuses(settings, message):
  with pytest.raises(ValueError, match=message):
    Protocol(**settings)
