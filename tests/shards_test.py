"""Batches from shards: every row once an epoch, a function of the step."""

import collections
import math

import numpy as np
import pyarrow as pa
import pytest

from adv_rec.data import dataset, interactions, shards, writer
from adv_rec.data.interactions import Source
from adv_rec.data.protocol import Protocol

USERS, ITEMS, SHARDS = 40, 90, 5


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """The same log in one file and in shards: {0: ..., SHARDS: ...}."""
  rng = np.random.default_rng(0)
  rows = 1200
  table = pa.table(
    {
      "user": 3 * (rng.random(rows) ** 2 * USERS).astype(np.int64),
      "item": rng.integers(0, ITEMS, rows),
      "time": rng.integers(0, 99, rows),
    }
  )
  places = {}
  for count in (0, SHARDS):
    places[count] = tmp_path_factory.mktemp("log") / "data"
    interactions.prepare(
      Source("log", {"log": table}),
      Protocol(feedback="all", k_core=5),
      places[count],
      shards=count,
    )
  return places


def pairs(batch):
  return list(
    zip(
      batch["user"].ravel().tolist(),
      batch["positive"].ravel().tolist(),
      strict=True,
    )
  )


def batcher(prepared, batch_size, lanes, parts=("train",), seed=1):
  opened = shards.open_shards(prepared[SHARDS], parts)
  items = dataset.load(prepared[0]).num_items
  return shards.triples(opened, items, batch_size, seed, lanes)


def test_shards_hold_the_rows_of_one_file(prepared):
  whole, sharded = (dataset.load(prepared[n]) for n in (0, SHARDS))
  assert not sharded.partial
  for part in dataset.PARTS:
    for a, b in zip(getattr(whole, part), getattr(sharded, part), strict=True):
      assert (a == b).all()
  names = [f"train-{n:05}-of-00005.parquet" for n in range(SHARDS)]
  assert names == sorted(p.name for p in prepared[SHARDS].glob("train*"))
  rows = dataset.describe(prepared[SHARDS])["shards"]
  assert rows == [(whole.train.user % SHARDS == n).sum() for n in range(SHARDS)]


def test_some_shards_are_a_sample_of_users(prepared):
  whole = dataset.load(prepared[0])
  some = dataset.load(prepared[SHARDS], shards=(1, 3))
  assert some.partial and some.num_users == whole.num_users
  for part in dataset.PARTS:
    user, item = getattr(whole, part)
    chosen = np.isin(user % SHARDS, (1, 3))
    assert (getattr(some, part).user == user[chosen]).all()
    assert (getattr(some, part).item == item[chosen]).all()
  with pytest.raises(ValueError, match=r"has 5 shards.*no shard 5"):
    dataset.load(prepared[SHARDS], shards=(0, 5))


@pytest.mark.parametrize("lanes", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [16, 60, 1000])
def test_each_row_once_an_epoch(prepared, lanes, batch_size):
  train = dataset.load(prepared[0]).train
  n = len(train.user)
  batches = batcher(prepared, batch_size, lanes)
  count = -(-3 * n // batch_size)
  stream = pairs(batches(0, count))
  epochs = count * batch_size / n
  expected = collections.Counter(
    zip(train.user.tolist(), train.item.tolist(), strict=True)
  )
  found = collections.Counter(stream)
  for pair, times in expected.items():
    assert math.floor(epochs) * times <= found[pair]
    assert found[pair] <= math.ceil(epochs) * times
  assert found.keys() == expected.keys()
  if batch_size == 16:
    full = batcher(prepared, n, lanes)
    for epoch in range(3):
      rows = pairs(full(epoch, epoch + 1))
      assert collections.Counter(rows) == expected
    assert pairs(full(0, 1)) != pairs(full(1, 2))


def test_negatives_are_uniform_over_what_the_user_has_not(prepared):
  data = dataset.load(prepared[0])
  history = set(zip(*(c.tolist() for c in data.train), strict=True))
  n = len(data.train.user)
  found = batcher(prepared, n, 2)(0, 60)
  drawn = list(
    zip(
      found["user"].ravel().tolist(),
      found["negative"].ravel().tolist(),
      strict=True,
    )
  )
  assert not history.intersection(drawn)
  user = int(np.argmax(np.bincount(data.train.user)))
  mine = np.array([i for u, i in drawn if u == user])
  free = sorted(
    set(range(data.num_items)) - {i for u, i in history if u == user}
  )
  counts = np.bincount(mine, minlength=data.num_items)[free]
  expected = len(mine) / len(free)
  chi2 = ((counts - expected) ** 2 / expected).sum()
  assert len(free) > 9 and chi2 < len(free) + 5 * np.sqrt(2 * len(free))


@pytest.mark.parametrize("processes", [2, 3, 6])
@pytest.mark.parametrize("lanes", [2, 5])
def test_processes_share_the_same_batches(prepared, processes, lanes):
  whole = batcher(prepared, 60, lanes)(3, 40)
  parts = [
    batcher(prepared, 60, lanes)(3, 40, (p, processes))
    for p in range(processes)
  ]
  for name, rows in whole.items():
    joined = np.concatenate([part[name] for part in parts], axis=1)
    assert (joined == rows).all()


def test_a_process_reads_the_shards_of_its_lanes_only():
  # Four lanes of equal size on two processes: no lane is read by both.
  seen = collections.defaultdict(set)

  def opened(process):
    def read(shard):
      seen[process].add(shard)
      users = np.repeat(np.arange(shard, 80, 8, dtype=np.int32), 4)
      return dataset.Pairs(users, np.tile(np.arange(4, dtype=np.int32), 10))

    return shards.Shards((40,) * 8, read)

  for process in (0, 1):
    shards.triples(opened(process), 9, 32, 0, 4)(0, 20, (process, 2))
  assert seen == {0: {0, 4, 1, 5}, 1: {2, 6, 3, 7}}


def test_batches_depend_on_the_step_and_the_seed_alone(prepared):
  batches = batcher(prepared, 48, 3)
  whole = batches(0, 50)
  for start, stop in ((30, 31), (7, 45), (0, 3)):
    again = batcher(prepared, 48, 3)(start, stop)
    for name, rows in again.items():
      assert (rows == whole[name][start:stop]).all()
  other = batcher(prepared, 48, 3, seed=2)(0, 50)
  assert (other["user"] != whole["user"]).any()


def test_validation_rows_may_be_trained_on(prepared):
  data = dataset.load(prepared[0])
  n = len(data.train.user) + len(data.validation.user)
  found = pairs(batcher(prepared, n, 2, parts=("train", "validation"))(0, 1))
  columns = [
    np.concatenate(c) for c in zip(data.train, data.validation, strict=True)
  ]
  assert sorted(found) == sorted(
    zip(columns[0].tolist(), columns[1].tolist(), strict=True)
  )


def test_one_shard_a_lane_is_in_memory():
  reads = []

  def read(shard):
    reads.append(shard)
    return dataset.Pairs(np.full(20, shard, np.int32), np.arange(20) % 5)

  opened = shards.Shards((20,) * 6, read)
  shards.triples(opened, 9, 10, 0, 2)(0, 12)
  # One epoch: each shard is read once, although lanes go through it in pieces.
  assert sorted(reads) == list(range(6))


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"lanes": 6}, "6 lanes for 5 shards"),
    ({"lanes": 0}, "0 lanes"),
    ({"batch_size": 0}, "batch_size must be"),
    ({"batch_size": 2, "lanes": 5}, "too small for 5 lanes"),
  ],
)
def test_settings_are_refused(prepared, settings, message):
  with pytest.raises(ValueError, match=message):
    batcher(prepared, **{"batch_size": 16, "lanes": 2, **settings})


def test_what_is_no_shard_is_refused(prepared, tmp_path):
  with pytest.raises(ValueError, match="prepare it with --shards=N"):
    shards.open_shards(prepared[0])
  full = shards.Shards(
    (2,), lambda _: dataset.Pairs(np.zeros(2, np.int32), np.arange(2))
  )
  with pytest.raises(ValueError, match="shard 0: a user has interacted with"):
    shards.triples(full, 2, 1, 0, 1)(0, 1)
  target = tmp_path / "data"
  one = pa.table({"id": range(9)})
  rows = pa.table({"user": range(9), "item": range(9)})
  stems = dataset.stems("train", 2)
  parts = {
    stem: rows.take([u for u in range(9) if u % 2 == n])
    for n, stem in enumerate(stems)
  }
  writer.write(target, "d", parts, one, one, {}, shards=2)
  path = target / f"{stems[1]}.parquet"
  path.write_bytes(path.read_bytes()[:-1] + b"?")
  batches = shards.triples(shards.open_shards(target), 9, 9, 0, 2)
  with pytest.raises(ValueError, match=r"00001-of-00002\.parquet is not the"):
    batches(0, 1)
  path.unlink()
  with pytest.raises(FileNotFoundError, match="is missing"):
    shards.open_shards(target)
