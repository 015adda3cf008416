"""Content as features, and cold items held out."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import cold, content

ALL = np.ones(6, bool)
TABLE = {
  "kind": np.array(["a", "a", "b", "b", None, "c"], object),
  "maker": np.array(["7", "8", "7", "8", "7", "7"], object),
  "price": np.array([1.0, 1.0, 9.0, 9.0, np.nan, 5.0]),
}


def names(encoder, ids):
  """Rows of numbers as sets of features."""
  known = {number: name for name, number in encoder.vocabulary.items()}
  return [{known[n] for n in row if n < encoder.size} for row in ids]


def test_values_that_several_items_share_are_features():
  both = "kind", "maker"
  encoder = content.fit(TABLE, ALL, both, pairs=[both])
  assert names(encoder, content.encode(encoder, TABLE)) == [
    {"kind=a", "maker=7"},
    {"kind=a", "maker=8"},
    {"kind=b", "maker=7"},
    {"kind=b", "maker=8"},
    {"maker=7"},  # an empty cell says nothing
    {"maker=7"},  # one item's own value neither
  ]
  every = content.fit(
    TABLE, ALL, ["kind"], pairs=[("kind", "maker")], at_least=1
  )
  assert names(every, content.encode(every, TABLE))[0] == {
    "kind=a",
    "kind=a & maker=7",
  }


def test_features_are_those_of_known_items_only():
  known = np.arange(6) < 4
  encoder = content.fit(TABLE, known, at_least=1)
  new = {"kind": ["c", "b"], "maker": ["9", "8"], "price": [2.0, np.nan]}
  found = names(encoder, content.encode(encoder, {**new}))
  assert found[1] == {"kind=b", "maker=8"}
  assert not any(name.startswith(("kind", "maker")) for name in found[0])
  # A column that is not there is left out.
  alone = names(encoder, content.encode(encoder, {"kind": ["b"]}))
  assert alone == [{"kind=b"}]


def test_decimal_numbers_are_cut_at_deciles():
  price = np.arange(100) / 7
  encoder = content.fit({"price": price}, np.ones(100, bool))
  ids = content.encode(encoder, {"price": price})
  assert encoder.size == 10
  assert (np.bincount(ids[:, 0]) == 10).all()


def test_titles_are_read_word_by_word():
  title = [f"{c} tea number {n}" for n, c in enumerate(["Green", "Red"] * 4)]
  table = {"title": np.array(title, object)}
  encoder = content.fit(table, np.ones(8, bool))
  first = names(encoder, content.encode(encoder, table))[0]
  assert first == {"title~green", "title~tea", "title~number"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_items_is_read_in_the_order_of_the_log(kind, tmp_path):
  path = tmp_path / f"items.{kind}"
  table = pa.table({"sku": [30, 10, 20], "size": ["L", None, "S"]})
  if kind == "parquet":
    pq.write_table(table, path)
  else:
    path.write_text("sku;size\n30;L\n10;\n20;S\n")
  found = content.of_items(
    content.read(path, "sku"), np.array([10, 20, 30]), "items"
  )
  assert found.to_pydict() == {"size": [None, "S", "L"]}


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("sku,size\n1,L\n", "no column 'id' .*its columns are sku, size"),
    ("id\n1\n", "no column beside 'id'"),
    ("id,size\n1,L\n1,S\n", "has the item '1' twice"),
    ("id,size\n1,L\n,S\n", "empty in row 2"),
    ("id,size\n1,L\n", "no row for 1 of the 2 items of the log.*first is 2"),
  ],
)
def test_a_bad_table_of_items_is_refused(text, message, tmp_path):
  path = tmp_path / "items.csv"
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    content.of_items(content.read(path), np.array([1, 2]), "items.csv")


def test_content_that_says_nothing_is_refused():
  with pytest.raises(ValueError, match="say nothing"):
    content.fit({"a": np.array(list("abc"), object)}, np.ones(3, bool))
  with pytest.raises(ValueError, match="no column 'b'; they have a"):
    content.fit({"a": np.array(list("aab"), object)}, np.ones(3, bool), ["b"])


def cells(pairs, chosen=None):
  chosen = slice(None) if chosen is None else chosen
  return set(
    zip(pairs.user[chosen].tolist(), pairs.item[chosen].tolist(), strict=True)
  )


def test_cold_items_are_in_no_training_row_and_all_of_them_is_held_out(
  planted_data,
):
  found = cold.hold_out(planted_data, "train+validation", 0.1, 0.2, 5)
  kinds = np.bincount(found.kind)
  assert kinds.tolist() == [64 - 6 - 13, 6, 13]
  parts = [getattr(planted_data, p) for p in ("train", "validation", "test")]
  every = set().union(*map(cells, parts))
  data = found.data
  assert (found.kind[data.train.item] == cold.WARM).all()
  for part, kind in (("validation", 1), ("test", 2)):
    expected = {(u, i) for u, i in every if found.kind[i] == kind}
    assert cells(getattr(data, part)) == expected
  later = {c for c in cells(parts[2]) if found.kind[c[1]] != cold.VALIDATION}
  assert cells(found.later) == later
  warm = {c for c in cells(parts[0]) | cells(parts[1]) if not found.kind[c[1]]}
  assert cells(data.train) == warm


def test_no_item_that_settings_are_chosen_by_is_ever_tested(planted_data):
  draws = [
    cold.hold_out(planted_data, "train", 0.1, 0.2, seed) for seed in range(30)
  ]
  chosen_by = np.array([found.kind == cold.VALIDATION for found in draws])
  tested = np.array([found.kind == cold.TEST for found in draws])
  sets = chosen_by[: cold.DRAWS].sum(axis=0)
  assert sets.max() == 1 and sets.sum() == cold.DRAWS * 6
  assert (chosen_by == np.tile(chosen_by[: cold.DRAWS], (6, 1))).all()
  assert not (tested & sets.astype(bool)).any()
  assert (tested.sum(axis=0) > 0).sum() == 64 - 30  # all others are, at times
  assert draws[0].data.fingerprint == draws[1].data.fingerprint
  assert draws[0].data.fingerprint.startswith("cold-")
  other = cold.hold_out(planted_data, "train", 0.1, 0.3, 0)
  assert other.data.fingerprint != draws[0].data.fingerprint
  assert other.data.protocol["cold"] == {
    "validation_share": 0.1,
    "test_share": 0.3,
  }


def test_lists_are_over_places(planted_data):
  items = np.array([3, 9, 40])
  indptr, places = cold.lists(planted_data.train, 96, items)
  held = {
    (user, int(items[place]))
    for user in range(96)
    for place in places[indptr[user] : indptr[user + 1]]
  }
  assert held == {c for c in cells(planted_data.train) if c[1] in items}


def test_shares_that_leave_nothing_are_refused(planted_data):
  with pytest.raises(ValueError, match="more than there are"):
    cold.hold_out(planted_data, "train", 0.15, 0.3, 0)
  with pytest.raises(ValueError, match="validation has no interactions"):
    cold.hold_out(planted_data, "train", 0.001, 0.2, 0)
  partial = dataclasses.replace(planted_data, partial=True)
  with pytest.raises(ValueError, match="in memory"):
    cold.hold_out(partial, "train", 0.1, 0.2, 0)
