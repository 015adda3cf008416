"""The prepared format on disk: whole, atomic, and checked when read."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest

from adv_rec.data import dataset, writer


def toy(directory, seed=0):
  """Writes a random dataset and reads it back."""
  rng = np.random.default_rng(seed)
  parts = {
    part: pa.table(
      {
        "user": rng.integers(0, 9, size),
        "item": rng.integers(0, 20, size),
        "time": rng.integers(0, 5, size),
      }
    )
    for part, size in (("train", 100), ("validation", 20), ("test", 0))
  }
  users = pa.table({"id": [f"u{n}" for n in range(9)]})
  items = pa.table({"id": range(20), "price": [n / 2 for n in range(20)]})
  writer.write(directory, "toy", parts, users, items, {"seed": seed})
  return parts, dataset.load(directory)


def test_round_trip(tmp_path):
  parts, data = toy(tmp_path / "toy")
  for part in dataset.PARTS:
    pairs = getattr(data, part)
    assert pairs.user.dtype == pairs.item.dtype == np.int32
    rows = parts[part].to_pandas().sort_values(["user", "time", "item"])
    assert pairs.user.tolist() == rows["user"].tolist()
    assert pairs.item.tolist() == rows["item"].tolist()
  assert data.users["id"].tolist() == [f"u{n}" for n in range(9)]
  assert data.items["price"].tolist() == [n / 2 for n in range(20)]
  assert (data.num_users, data.num_items) == (9, 20)
  assert data.protocol == {"seed": 0}


def test_history_is_the_set_of_each_users_items(tmp_path):
  _, data = toy(tmp_path / "toy")
  indptr, items = data.history("train", "validation")
  assert indptr[0] == 0 and indptr[-1] == len(items)
  assert len(indptr) == data.num_users + 1
  for user in range(data.num_users):
    expected = set()
    for pairs in (data.train, data.validation):
      expected |= set(pairs.item[pairs.user == user].tolist())
    assert items[indptr[user] : indptr[user + 1]].tolist() == sorted(expected)
  assert data.history()[1].size == 0
  with pytest.raises(ValueError, match="valid"):
    data.history("valid")


def test_write_replaces_a_dataset_and_nothing_else(tmp_path):
  target = tmp_path / "toy"
  _, old = toy(target)
  _, new = toy(target, seed=1)
  assert new.fingerprint != old.fingerprint
  assert dataset.load(target).fingerprint == new.fingerprint
  (target / "notes.txt").write_text("mine")
  with pytest.raises(FileExistsError, match="something else"):
    toy(target)
  assert sorted(os.listdir(tmp_path)) == ["toy"]
  (tmp_path / "file").write_text("")
  for place in ("file", "file/below"):
    with pytest.raises(NotADirectoryError):
      writer.check_target(tmp_path / place)


def test_failed_write_leaves_the_old_dataset(tmp_path, monkeypatch):
  _, old = toy(tmp_path / "toy")

  def full(*args, **kwargs):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(writer.pq, "write_table", full)
  with pytest.raises(OSError, match="No space"):
    toy(tmp_path / "toy", seed=1)
  assert dataset.load(tmp_path / "toy").fingerprint == old.fingerprint
  assert os.listdir(tmp_path) == ["toy"]


def test_load_names_the_broken_file(tmp_path):
  with pytest.raises(FileNotFoundError, match="no such directory"):
    dataset.load(tmp_path / "toy")
  target = tmp_path / "toy"
  toy(target)
  content = (target / "items.parquet").read_bytes()
  (target / "items.parquet").write_bytes(content[:-1] + b"?")
  with pytest.raises(ValueError, match=r"items\.parquet is not the file"):
    dataset.load(target)
  (target / "items.parquet").write_bytes(content)
  text = (target / "dataset.json").read_text()
  counts = json.loads(text)
  counts["counts"]["train"] += 1
  (target / "dataset.json").write_text(json.dumps(counts))
  with pytest.raises(ValueError, match=r"train.parquet has \d+ rows where"):
    dataset.load(target)
  (target / "dataset.json").write_text("{")
  with pytest.raises(ValueError, match="not the description"):
    dataset.load(target)
  (target / "dataset.json").write_text(text)
  (target / "test.parquet").unlink()
  with pytest.raises(FileNotFoundError, match=r"test\.parquet is missing"):
    dataset.load(target)


def test_write_refuses_codes_outside_the_catalogue(tmp_path):
  one = pa.table({"id": [7]})
  train = pa.table({"user": [0], "item": [1]})
  with pytest.raises(ValueError, match="item codes run from 1 to 1"):
    writer.write(tmp_path / "d", "d", {"train": train}, one, one, {})
  assert not os.listdir(tmp_path)
