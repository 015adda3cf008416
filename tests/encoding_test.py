"""Tables as codes and numbers: schemas, round trips, conditions, bad input."""

import math

import numpy as np
import pyarrow as pa
import pytest

from adv_rec.data import conditions as drawing
from adv_rec.data import encoding, tabular
from adv_rec.data.conditions import Conditions
from adv_rec.data.encoding import Encoded
from adv_rec.data.tabular import Column


def mixed(rows=400):
  """A column of each kind, with nulls, spikes and many or few values."""
  rng = np.random.default_rng(0)
  some = rng.random(rows) < 0.1
  gain = np.where(rng.random(rows) < 0.6, 0, rng.integers(100, 9999, rows))
  return pa.table(
    {
      "colour": pa.array(rng.choice(["red", "green", "blue"], rows), mask=some),
      "member": pa.array(rng.random(rows) < 0.3),
      "gain": pa.array(gain),
      "grade": pa.array(rng.integers(1, 6, rows).astype(np.int8)),
      "price": pa.array(np.round(rng.gamma(2, 20, rows), 2), mask=some),
      "size": pa.array(rng.normal(size=rows).astype(np.float32)),
    }
  )


def encoded(table, **given):
  transform = encoding.fit(table, tabular.infer(table), **given)
  return transform, transform.encode(table, np.random.default_rng(0))


def test_a_schema_says_what_occurs():
  schema = tabular.infer(mixed())
  kinds = [column.kind for column in schema]
  assert kinds == ["category"] * 2 + ["integer"] * 2 + ["float"] * 2
  colour, member, gain, grade, price, size = schema
  assert colour.categories == ("blue", "green", "red") and colour.nulls
  assert member.categories == (False, True) and not member.nulls
  assert (gain.low, grade.low, grade.high) == (0, 1, 5)
  assert grade.type == "int8" and size.type == "float"
  assert price.decimals == 2 and size.decimals is None and price.nulls


def test_a_schema_is_kept_as_it_is(tmp_path):
  schema = tabular.infer(mixed())
  tabular.save(tmp_path / "schema.json", schema)
  assert tabular.load(tmp_path / "schema.json") == schema
  text = (tmp_path / "schema.json").read_text()
  (tmp_path / "schema.json").write_text(text.replace('"version": 1', '"v": 1'))
  with pytest.raises(ValueError, match="is no schema"):
    tabular.load(tmp_path / "schema.json")


def test_the_round_trip_gives_the_table_back():
  table = mixed()
  transform, rows = encoded(table)
  assert transform.sizes == (4, 2, 2, 5, 2) and transform.numbers == 3
  assert (rows.codes < transform.sizes).all() and (rows.codes >= 0).all()
  back = transform.decode(rows, np.random.default_rng(1))
  assert back.schema == table.schema
  for name in ("colour", "member", "grade"):
    assert back[name].equals(table[name])
  for name in ("gain", "price", "size"):
    before, after = (tabular.numbers(t[name]) for t in (table, back))
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
    spread = np.nanmax(before) - np.nanmin(before)
    assert np.nanmax(abs(after - before)) < 0.02 * spread
  np.testing.assert_array_equal(back["gain"] == 0, table["gain"] == 0)


def test_levels_are_uniform_whatever_the_numbers():
  rng = np.random.default_rng(1)
  ages = np.minimum(rng.geometric(0.02, 5000), 90)
  _, rows = encoded(pa.table({"age": ages, "x": rng.gamma(0.3, 1, 5000)}))
  for levels in rows.numbers.T:
    edges = np.sort(levels[levels != 0])
    even = np.linspace(-1, 1, len(edges))
    assert abs(edges - even).max() < 0.02


def test_repeated_values_come_back_exactly():
  ages = np.random.default_rng(1).integers(17, 91, 5000)
  table = pa.table({"age": ages})
  transform, rows = encoded(table)
  back = transform.decode(rows, np.random.default_rng(0))
  assert np.mean(back["age"].to_numpy() == ages) > 0.99


def test_whatever_is_generated_is_valid():
  table = mixed()
  schema = tabular.infer(table)
  transform, _ = encoded(table)
  rng = np.random.default_rng(2)
  codes = rng.integers(0, transform.sizes, (3000, len(transform.sizes)))
  wild = rng.normal(0, 3, (3000, transform.numbers)).astype(np.float32)
  made = transform.decode(Encoded(codes, wild), rng)
  assert made.schema == table.schema
  tabular.check(made, schema)
  assert made["colour"].null_count and not made["member"].null_count
  price = tabular.numbers(made["price"])
  np.testing.assert_array_equal(price, np.round(price, 2))


def test_constants_and_small_tables():
  table = pa.table({"one": [7, 7], "word": ["a", "a"], "x": [0.5, None]})
  transform, rows = encoded(table)
  assert transform.sizes == (2,) and transform.numbers == 0
  assert transform.decode(rows, np.random.default_rng(0)).equals(table)


def test_rare_categories_share_a_cell_if_asked():
  names = [f"n{i}" for i in range(8)]
  column = np.repeat(names, [40, 30, 20, 4, 3, 2, 2, 1])
  table = pa.table({"name": column})
  with pytest.raises(ValueError, match=r"'name' has 8 categories.* 8 cells"):
    encoded(table, max_categories=4)
  transform, rows = encoded(table, max_categories=4, pool_rare=True)
  assert transform.sizes == (4,)
  many = Encoded(np.full((6000, 1), 3, np.int32), rows.numbers[:0])
  drawn_names = transform.decode(many, np.random.default_rng(0))["name"]
  found = {
    e["values"]: e["counts"] for e in drawn_names.value_counts().to_pylist()
  }
  assert found.keys() == set(names[3:])
  assert found["n3"] / 6000 == pytest.approx(4 / 12, abs=0.03)


@pytest.mark.parametrize(
  ("table", "message"),
  [
    ({"x": pa.array([], pa.int64())}, "0 rows"),
    ({"x": [1]}, "1 rows"),
    ({}, "no columns"),
    (
      {"x": [1, 2], "y": pa.array([None, None], pa.float64())},
      "'y' has no val",
    ),
    ({"y": pa.array([None, None])}, "'y' has no values"),
    ({"d": [[1], [2]]}, "'d' has the type list"),
    ({"x": [1.0, math.inf]}, "'x' holds an infinite number in row 2"),
  ],
)
def test_a_table_that_cannot_be_learnt_is_refused(table, message):
  with pytest.raises(ValueError, match=message):
    tabular.infer(pa.table(table))


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"categories": ("blue", "red")}, "'colour' holds 'green' in row"),
    ({"nulls": False}, "'colour' has missing values"),
    ({"type": "int64"}, "'colour' is of type string"),
    ({"name": "color"}, "the table has the columns"),
  ],
)
def test_a_given_schema_is_held_against_the_table(change, message):
  table = mixed()
  first, *others = tabular.infer(table)
  with pytest.raises(ValueError, match=message):
    encoding.fit(table, (first._replace(**change), *others))


def test_numbers_outside_a_given_schema_are_refused():
  column = Column("x", "integer", "int64", low=0, high=9)
  with pytest.raises(ValueError, match="'x' holds 12 in row 2"):
    encoding.fit(pa.table({"x": [3, 12]}), (column,))


def planted_rows(counts=((1, 9, 90), (50, 50)), seed=0):
  rng = np.random.default_rng(seed)
  codes = [rng.permutation(np.repeat(np.arange(len(c)), c)) for c in counts]
  codes = np.stack(codes, axis=1).astype(np.int32)
  return Encoded(codes, np.zeros((len(codes), 0), np.float32))


def test_conditions_are_by_block_then_by_log_count():
  rows = planted_rows()
  conditions = Conditions(rows, (3, 2))
  rng = np.random.default_rng(0)
  cells, chosen = conditions.training(40_000, rng)
  logs = np.log1p([1, 9, 90])
  expected = [*(logs / logs.sum() / 2), 0.25, 0.25]
  share = np.bincount(cells, minlength=5) / 40_000
  np.testing.assert_allclose(share, expected, atol=0.01)
  block, first = conditions.block[cells], conditions.first
  np.testing.assert_array_equal(rows.codes[chosen, block], cells - first[block])
  # Of the rows that have a cell each is as likely as the next.
  nine = np.bincount(chosen[cells == 1], minlength=100)
  assert np.count_nonzero(nine) == 9 and nine.max() < 1.2 * nine[nine > 0].min()


def test_samples_have_the_real_frequencies_and_every_cell():
  conditions = Conditions(planted_rows(), (3, 2))
  cells = conditions.sampling(40_000, np.random.default_rng(0))
  share = np.bincount(cells, minlength=5) / 40_000
  np.testing.assert_allclose(share, [0.005, 0.045, 0.45, 0.25, 0.25], atol=0.01)
  for seed in range(30):
    few = conditions.sampling(100, np.random.default_rng(seed))
    assert set(few) == set(range(5))
  codes = conditions.fulfil(np.zeros((5, 2), np.int32), np.arange(5))
  np.testing.assert_array_equal(codes[:, 0], [0, 1, 2, 0, 0])
  np.testing.assert_array_equal(codes[:, 1], [0, 0, 0, 0, 1])


def test_batches_are_a_function_of_the_step():
  rows = planted_rows()
  conditions = Conditions(rows, (3, 2))
  batches = drawing.batches(rows, conditions, 8, seed=1)
  whole, later = batches(0, 4), batches(2, 4)
  halves = [batches(0, 4, (p, 2)) for p in range(2)]
  for name, x in whole.items():
    np.testing.assert_array_equal(x[2:], later[name])
    joined = np.concatenate([half[name] for half in halves], axis=1)
    np.testing.assert_array_equal(x, joined)
  other = drawing.batches(rows, conditions, 8, seed=2)(0, 4)
  assert (other["condition"] != whole["condition"]).any()


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("a.csv", b"", "is empty"),
    ("a.txt", b"x\n1\n", "is not named as CSV or Parquet"),
    ("a.parquet", b"x\n1\n", "cannot be read"),
    ("a.csv", b"x,y\n1\n", "cannot be read"),
    ("a.csv.gz", b"x\n1\n", "cannot be read"),
  ],
)
def test_unreadable_files_are_named(name, content, message, tmp_path):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(ValueError, match=message):
    tabular.read(tmp_path / name)


def test_adult_is_what_it_should_be():
  table = tabular.adult()
  assert table.shape == (32_561, 15) and table.column_names[-1] == "income"
