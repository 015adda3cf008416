"""Known datasets: found, counted, and kept as given."""

import gzip
import json
import os
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import dataset, interactions, locate, published, sources
from adv_rec.data.interactions import Source
from adv_rec.data.protocol import Protocol

# users, items, train, validation, test, users and items without a train row
COUNTS = {
  "completejourney": (2389, 17141, 534956, 58282, 147116, 0, 125),
  "movielens_100k": (943, 1682, 72755, 7612, 19633, 0, 100),
  "apr_movielens_100k": (943, 1682, 99056, 0, 943, 0, 4),
  "apr_amazon": (3915, 2549, 73413, 0, 3915, 0, 0),
  "cfgan_ml100k": (943, 1653, 80000, 0, 19963, 0, 0),
  "irgan_ml100k": (943, 1682, 80000, 0, 20000, 0, 32),
  "ml100k_random": (943, 1682, 80808, 9596, 9596, 0, 27),
  "gowalla": (29858, 40981, 810128, 0, 217242, 0, 0),
  "lastfm": (1880, 4489, 42135, 0, 10533, 2, 13),
}


def raw_rows(data, part):
  pairs = getattr(data, part)
  users, items = data.users["id"][pairs.user], data.items["id"][pairs.item]
  return list(zip(users.tolist(), items.tolist(), strict=True))


def counts(directory):
  return json.loads((directory / "dataset.json").read_text())["counts"]


@pytest.mark.parametrize("name", sources.NAMES)
def test_counts(tmp_path, name):
  if name != "completejourney" and not os.environ.get(locate.VARIABLE):
    pytest.skip(f"{name} is looked for in ${locate.VARIABLE}, which is not set")
  data = interactions.prepare(
    sources.find(name), sources.protocol(name), tmp_path / "d"
  )
  users, items, train, validation, test, no_user, no_item = COUNTS[name]
  assert counts(tmp_path / "d") == {
    "users": users,
    "items": items,
    "interactions": train + validation + test,
    "train": train,
    "validation": validation,
    "test": test,
    "users_without_train": no_user,
    "items_without_train": no_item,
  }
  assert data.name == name
  for part in dataset.PARTS:
    pairs = getattr(data, part)
    assert pairs.user.size == 0 or pairs.user.max() < users
    assert pairs.item.size == 0 or pairs.item.max() < items
  used = [
    np.unique(
      np.concatenate([getattr(data, part)[role] for part in dataset.PARTS])
    )
    for role in (0, 1)
  ]
  assert used[0].tolist() == list(range(users))  # codes are dense
  assert used[1].tolist() == list(range(items))
  if name == "completejourney":
    category = dict(zip(data.items["id"], data.items["category"], strict=True))
    assert category[1082185] == "TROPICAL FRUIT"  # bananas, the top seller
    age = dict(zip(data.users["id"], data.users["age"], strict=True))
    assert age[1] == "65+" and age[2] is None
    assert sum(a is not None for a in age.values()) > 700
  if name == "movielens_100k":
    assert data.items["title"][0] == "Toy Story"
    assert data.items["genres"][0] == "Animation|Children's|Comedy"
    assert data.users["occupation"][0] == "technician"
    assert data.users["age"][0] == 24


def test_repeat_purchases_of_the_retail_logs(tmp_path):
  data = interactions.prepare(
    sources.find("completejourney"),
    sources.protocol("completejourney", "repeat"),
    tmp_path / "d",
  )
  found = counts(tmp_path / "d")
  assert [found[part] for part in dataset.PARTS] == [1090539, 120936, 134327]
  assert (found["users"], found["items"]) == (2394, 19895)
  assert found["users_without_train"] == 0
  times = [
    pq.read_table(tmp_path / "d" / f"{part}.parquet")["time"].to_numpy()
    for part in dataset.PARTS
  ]
  assert times[0].max() < times[1].min() <= times[1].max() < times[2].min()
  assert str(times[2].min())[:10] == "2017-11-25"
  bought = set(zip(*(c.tolist() for c in data.train), strict=True))
  test = set(zip(*(c.tolist() for c in data.test), strict=True))
  assert len(test & bought) > 0.4 * len(test)


def test_original_movielens_layout(tmp_path):
  flags = {2: 1, 5: 1}
  items = "".join(
    f"{i}|Caf\xe9 {i} (1995)|01-Jan-1995||http://x|"
    + "|".join(str(flags.get(n, 0)) for n in range(19))
    + "\n"
    for i in range(1, 4)
  )
  ratings = "".join(
    f"{u}\t{i}\t{i}\t{100 - i}\n" for u in (5, 6) for i in (1, 2, 3)
  )
  (tmp_path / "u.data").write_text(ratings)
  (tmp_path / "u.item").write_bytes(items.encode("latin-1"))
  (tmp_path / "u.user").write_text("5|30|F|other|1\n6|31|M|none|2\n")
  data = interactions.prepare(
    sources.find("movielens_100k", tmp_path),
    sources.protocol("movielens_100k"),
    tmp_path / "out",
  )
  assert raw_rows(data, "test") == [(5, 1), (6, 1)]
  assert raw_rows(data, "train") == [(5, 3), (6, 3)]
  assert data.items["title"].tolist() == ["Caf\xe9 1", "Caf\xe9 2", "Caf\xe9 3"]
  assert set(data.items["genres"]) == {"Adventure|Comedy"}
  assert data.users["age"].tolist() == [30, 31]


@pytest.mark.parametrize("name", sources.NAMES)
def test_missing_data_says_how_to_get_it(tmp_path, name, monkeypatch):
  monkeypatch.setenv(locate.VARIABLE, str(tmp_path / "elsewhere"))
  with pytest.raises(FileNotFoundError) as error:
    sources.find(name, tmp_path)
  message = str(error.value)
  assert str(tmp_path) in message and "elsewhere" not in message
  assert any(word in message for word in ("pip install", "GitHub", "RecBole"))
  assert "\n" not in message
  if name in published.SPLITS:
    with pytest.raises(FileNotFoundError, match="elsewhere"):
      sources.find(name)


def test_unknown_dataset_gets_a_hint():
  with pytest.raises(ValueError, match="did you mean movielens_100k"):
    sources.find("movielens100k")


def test_published_names_of_the_files(tmp_path):
  for part, row in (
    ("training", "0\t1\t1\t1\n1\t2\t1\t1\n"),
    ("test", "0\t2\t1\t1\n"),
  ):
    (tmp_path / f"{part}set.tsv").write_text(row)
  source = sources.find("apr_amazon", tmp_path)
  train: Any = source.parts["train"]
  assert train["item"].to_pylist() == [1, 2]


def test_adjacency_keeps_users_without_items(tmp_path):
  (tmp_path / "train.txt").write_text("0 3 4\n1\n2 3\n")
  (tmp_path / "test.txt.gz").write_bytes(gzip.compress(b"0 5\n7 \n"))
  data = interactions.prepare(
    sources.find("gowalla", tmp_path),
    sources.protocol("gowalla"),
    tmp_path / "out",
  )
  assert data.users["id"].tolist() == [0, 1, 2, 7]
  assert raw_rows(data, "train") == [(0, 3), (0, 4), (2, 3)]
  assert raw_rows(data, "test") == [(0, 5)]
  assert counts(tmp_path / "out")["users_without_train"] == 2
  (tmp_path / "train.txt").write_text("0 3 4\n1 x\n")
  with pytest.raises(ValueError, match=r"train\.txt, line 2: expected whole"):
    sources.find("gowalla", tmp_path)


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("1 2 3.0\n1 x 3.0\n", "train cannot be read: .*#1"),
    ("1 2 3.0\n1  3.0\n", "the item is missing in row 2"),
    ("1 2 3.0\n1 2\n", "Expected 3 columns, got 2"),
    ("", "train cannot be read: Empty CSV"),
  ],
)
def test_broken_published_file(tmp_path, content, message):
  (tmp_path / "ML100K.train").write_text(content)
  (tmp_path / "ML100K.test").write_text("1 2 3.0\n")
  with pytest.raises(ValueError, match=message):
    sources.find("cfgan_ml100k", tmp_path)


def test_plain_table_types(tmp_path):
  path = pathlib.Path(tmp_path) / "t.txt"
  path.write_text('h\n1|5|"a|\n')
  table = locate.table(path, ["id", "age", "name", "x"], "|", header=True)
  assert table.to_pylist() == [{"id": 1, "age": 5, "name": '"a', "x": ""}]


def given(**parts):
  return Source(
    "given",
    {
      part: pa.table({"user": users, "item": items})
      for part, (users, items) in parts.items()
    },
  )


GIVEN = Protocol(feedback="all", k_core=0, split="given", validation_fraction=0)


def test_given_split_is_kept_with_ids_of_the_test_alone(tmp_path):
  origin = given(train=([5, 5, 9], [1, 1, 4]), test=([9, 11], [2, 1]))
  data = interactions.prepare(origin, GIVEN, tmp_path / "given")
  assert raw_rows(data, "train") == [(5, 1), (5, 1), (9, 4)]
  assert raw_rows(data, "test") == [(9, 2), (11, 1)]
  assert len(data.validation.user) == 0
  found = counts(tmp_path / "given")
  assert (found["users"], found["items"]) == (3, 3)
  assert (found["users_without_train"], found["items_without_train"]) == (1, 1)


def test_a_table_with_a_missing_id_is_refused(tmp_path):
  origin = given(train=([5, None, 9], [1, 1, 4]), test=([9, 5], [2, 1]))
  with pytest.raises(ValueError, match="train has 1 rows without a user"):
    interactions.prepare(origin, GIVEN, tmp_path / "given")
  with pytest.raises(ValueError, match="given: train needs the columns user"):
    parts = {"train": pa.table({"user": [1]}), "test": pa.table({"user": [1]})}
    interactions.prepare(Source("given", parts), GIVEN, tmp_path / "given")
  with pytest.raises(ValueError, match="given: test has no rows"):
    train = pa.table({"user": [5, 6], "item": [1, 2]})
    origin = Source("given", {"train": train, "test": train.slice(0, 0)})
    interactions.prepare(origin, GIVEN, tmp_path / "given")
  with pytest.raises(ValueError, match="toy has no rows"):
    interactions.prepare(
      Source("toy", {"log": train.slice(0, 0)}),
      Protocol(split="random"),
      tmp_path / "given",
    )
  assert not os.listdir(tmp_path)


def test_validation_may_be_cut_from_a_given_train_part(tmp_path):
  rng = np.random.default_rng(0)
  users = [0] * 1 + [1] * 2 + [2] * 25 + [3] * 8
  items = rng.permutation(200)[: len(users)]
  origin = given(train=(users, items), test=([0, 1], [300, 301]))
  protocol = Protocol(
    feedback="all", k_core=0, split="given", validation_fraction=0.2, seed=1
  )
  data = interactions.prepare(origin, protocol, tmp_path / "cut")
  assert np.bincount(data.validation.user, minlength=4).tolist() == [0, 1, 5, 1]
  assert sorted(raw_rows(data, "train") + raw_rows(data, "validation")) == (
    sorted(zip(users, items.tolist(), strict=True))
  )
  assert raw_rows(data, "test") == [(0, 300), (1, 301)]


def test_min_value_on_a_given_split_keeps_the_catalogue(tmp_path):
  rows = {"user": [1, 1, 2], "item": [1, 2, 3], "value": [5.0, 1.0, 4.0]}
  parts = {"train": pa.table(rows), "test": pa.table(rows)}
  protocol = Protocol(
    feedback="all", k_core=0, split="given", validation_fraction=0, min_value=4
  )
  data = interactions.prepare(
    Source("given", parts), protocol, tmp_path / "given"
  )
  assert raw_rows(data, "train") == [(1, 1), (2, 3)]
  assert data.items["id"].tolist() == [1, 2, 3]
