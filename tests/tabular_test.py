"""Generated tables: encoding, conditions, the game, the way to run it."""

import math
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from jax.test_util import check_grads
from programs import run as run_script

from adv_rec.data import encoding, tabular
from adv_rec.data.encoding import Conditions, Encoded
from adv_rec.data.tabular import Column
from adv_rec.evaluation import tabular as measures
from adv_rec.experiments import experiment, options
from adv_rec.experiments import tabular as tables
from adv_rec.models.tabular import (
  Layout,
  condition_loss,
  drawn,
  one_hot,
  relaxed,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEY = jax.random.key(3)
LAYOUT = Layout((3, 2), 1)


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
  batches = encoding.batches(rows, conditions, 8, seed=1)
  whole, later = batches(0, 4), batches(2, 4)
  halves = [batches(0, 4, (p, 2)) for p in range(2)]
  for name, x in whole.items():
    np.testing.assert_array_equal(x[2:], later[name])
    joined = np.concatenate([half[name] for half in halves], axis=1)
    np.testing.assert_array_equal(x, joined)
  other = encoding.batches(rows, conditions, 8, seed=2)(0, 4)
  assert (other["condition"] != whole["condition"]).any()


def test_vectors_of_real_rows_are_one_hot():
  codes, numbers = jnp.array([[2, 0], [0, 1]]), jnp.array([[0.5], [-1.0]])
  np.testing.assert_array_equal(
    one_hot(codes, numbers, LAYOUT), [[0, 0, 1, 1, 0, 0.5], [1, 0, 0, 0, 1, -1]]
  )


def test_relaxed_and_drawn_rows_have_the_odds_of_the_logits():
  logits = jnp.array([0.0, 1.0, -1.0, 0.3, -0.3, 2.0])
  outputs = jnp.tile(logits, (40_000, 1))
  rows = relaxed(outputs, KEY, LAYOUT, 0.2)
  codes, numbers = drawn(outputs, KEY, LAYOUT)
  np.testing.assert_allclose(rows[:, 5], np.tanh(2.0), rtol=1e-6)
  np.testing.assert_array_equal(rows[:, 5], numbers[:, 0])
  for k, block in enumerate(LAYOUT.blocks(rows)):
    np.testing.assert_allclose(np.sort(block)[:, -1], 1, rtol=1e-5)
    np.testing.assert_allclose(np.sort(block)[:, :-1], 0, atol=1e-5)
    odds = jax.nn.softmax(LAYOUT.blocks(logits)[k])
    nearest = np.bincount(np.argmax(block, axis=1)) / len(rows)
    found = np.bincount(codes[:, k]) / len(rows)
    np.testing.assert_allclose(nearest, odds, atol=0.01)
    np.testing.assert_allclose(found, odds, atol=0.01)


def test_the_gradient_of_a_relaxed_row_is_that_of_the_softmax():
  outputs = jax.random.normal(KEY, (5, 6))
  noise = jax.random.gumbel(KEY, (5, 5))
  weights = jax.random.normal(jax.random.key(1), (5, 3))

  def soft(x):
    return jnp.sum(weights * jax.nn.softmax((x + noise)[:, :3] / 0.5))

  def straight(x):
    return jnp.sum(weights * relaxed(x, KEY, LAYOUT, 0.5)[:, :3])

  expected = jax.grad(soft)(outputs[:, :5])
  found = jax.grad(straight)(outputs)
  np.testing.assert_allclose(found[:, :5], expected, rtol=1e-4, atol=1e-6)


def test_the_condition_loss_is_the_cross_entropy_of_its_block():
  outputs = jax.random.normal(KEY, (2, 6))
  cells = jnp.array([1, 4])
  expected = [
    -jax.nn.log_softmax(outputs[0, :3])[1],
    -jax.nn.log_softmax(outputs[1, 3:5])[1],
  ]
  found = condition_loss(outputs, cells, LAYOUT)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  check_grads(lambda x: condition_loss(x, cells, LAYOUT), (outputs,), 1)


def test_measures_of_equal_and_of_disjoint_tables():
  table = mixed()
  means, columns = measures.quality(table, table)
  assert all(v == 0 for k, v in means.items() if k != "coverage")
  assert means["coverage"] == 1 and columns.keys() == set(table.column_names)
  left = pa.table({"c": ["a", "b"], "x": [0.0, 1.0]})
  right = pa.table({"c": ["d", "d"], "x": [2.0, 3.0]})
  means, columns = measures.quality(left, right)
  assert columns["c"] == {"jensen_shannon": 1.0} and means["coverage"] == 0
  assert columns["x"] == {"ks": 1.0, "wasserstein": 2.0, "missing": 0.0}


def test_utility_finds_what_a_table_says_of_its_target():
  rng = np.random.default_rng(0)
  x, noise = rng.normal(size=(2, 4000))
  word = np.where(x + 0.5 * noise > 0, "yes", "no")
  table = pa.table({"x": x, "y": word, "z": rng.choice(["a", "b"], 4000)})
  train, test = table.slice(0, 3000), table.slice(3000)
  good = measures.utility(train, test, "y", 0)
  shuffled = train.set_column(0, "x", pa.array(rng.permutation(x[:3000])))
  assert (
    good > 0.9 and abs(measures.utility(shuffled, test, "y", 0) - 0.5) < 0.1
  )
  one = train.set_column(1, "y", pa.array(["no"] * 3000))
  assert measures.utility(one, test, "y", 0) == 0.5


SMALL = {
  "epochs": "2",
  "batch_size": "40",
  "pack": "2",
  "model.latent": "8",
  "model.generator": "(32,)",
  "model.discriminator": "(32,)",
}


def dependent(path, rows=2000):
  """Two columns of which the first says nearly all about the second."""
  rng = np.random.default_rng(0)
  left = rng.integers(0, 3, rows)
  right = np.where(rng.random(rows) < 0.95, left, rng.integers(0, 3, rows))
  table = pa.table(
    {
      "left": np.array(["a", "b", "c"])[left],
      "amount": np.round(10.0 * left + rng.random(rows), 1),
      "right": np.array(["x", "y", "z"])[right],
    }
  )
  pyarrow.csv.write_csv(table, path)
  return table


def config(path, **given):
  made = options.load(ROOT / "configs/generate/adult.py")
  given = {"data.path": str(path), "target": "right"} | SMALL | given
  return options.override(made, given)


def test_a_dependence_is_learnt_and_more_can_be_drawn(tmp_path):
  table = dependent(tmp_path / "own.csv")
  given = {"epochs": "60", "learning_rate.generator": "2e-3"}
  given |= {"learning_rate.discriminator": "2e-3", "batch_size": "100"}
  made = config(tmp_path / "own.csv", **given)
  workdir = tmp_path / "run"
  result = experiment.run(made, workdir, progress=False)
  fake = pq.ParquetFile(workdir / "synthetic.parquet").read()
  assert fake.schema == table.schema and fake.num_rows == 1600
  left = tabular.codes(fake["left"], ["a", "b", "c"])
  right = tabular.codes(fake["right"], ["x", "y", "z"])
  assert np.mean(left == right) > 0.75  # a third if they were independent
  amount = fake["amount"].to_numpy()
  assert np.mean((amount // 10).astype(int) == left) > 0.75
  metrics = result["metrics"]
  assert metrics["test/coverage"] == 1 and metrics["test/auc"] > 0.8
  assert result["columns"]["amount"]["ks"] < 0.3

  # The same again, and more, from the workdir alone.
  (tmp_path / "own.csv").unlink()
  done = run_script(
    "generate", "--workdir=run", "--rows=1600", "--out=a.parquet", cwd=tmp_path
  )
  assert done.status == 0, done.stderr
  assert pq.ParquetFile(tmp_path / "a.parquet").read().equals(fake)
  more = tables.generate(workdir, 1600, seed=1)
  assert not more.equals(fake)

  # On eight devices as on one: this process has eight, that program one.
  assert jax.device_count() == 8
  assert tables.generate(workdir, 1600, seed=0).equals(fake)


def test_a_resumed_run_ends_with_the_same_table(tmp_path):
  dependent(tmp_path / "own.csv", 400)
  made = config(tmp_path / "own.csv", epochs="20")
  whole = experiment.run(made, tmp_path / "whole", progress=False)
  workdir = tmp_path / "parts"
  experiment.run(made, workdir, progress=False)
  (workdir / "result.json").unlink()
  (workdir / "synthetic.parquet").unlink()
  newest = max(workdir.glob("checkpoints/[0-9]*"), key=lambda p: int(p.name))
  os.rename(newest, tmp_path / "gone")
  parts = experiment.run(made, workdir, progress=False)
  assert parts["metrics"] == whole["metrics"]
  first, second = (
    pq.ParquetFile(p / "synthetic.parquet").read()
    for p in (tmp_path / "whole", workdir)
  )
  assert first.equals(second)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"objective": "lecun"}, "objective='lecun'"),
    ({"pack": "3"}, "must be a multiple of pack x updates = 3"),
    ({"holdout": "train"}, "holdout='train'"),
    ({"target": "wrong"}, "no column 'wrong'; it has left, amount, right"),
    ({"target": "amount"}, "target=amount: must be a column of categories"),
    ({"data.columns": "('left',)"}, "target=right"),
    ({"data.max_categories": "2"}, "'left' has 3 categories"),
    ({"data.path": "none.csv"}, "no file is at none.csv"),
  ],
)
def test_bad_options_leave_nothing_behind(given, message, tmp_path):
  dependent(tmp_path / "own.csv", 60)
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    experiment.run(
      config(tmp_path / "own.csv", **given), tmp_path / "run", progress=False
    )
  assert not (tmp_path / "run").exists()


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
