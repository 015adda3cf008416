"""Generated tables: vectors, measures, the game, the way to run it."""

import json
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from encoding_test import mixed
from jax.test_util import check_grads
from programs import run as run_script

from adv_rec.data import tabular
from adv_rec.evaluation import tabular as measures
from adv_rec.experiments import experiment, options
from adv_rec.experiments import tabular as tables
from adv_rec.models.tabular import (
  Layout,
  condition_loss,
  drawn,
  one_hot,
  pair_distance,
  relaxed,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEY = jax.random.key(3)
LAYOUT = Layout((3, 2), 1)


def test_vectors_of_real_rows_are_one_hot():
  codes, numbers = jnp.array([[2, 0], [0, 1]]), jnp.array([[0.5], [-1.0]])
  np.testing.assert_array_equal(
    one_hot(codes, numbers, LAYOUT), [[0, 0, 1, 1, 0, 0.5], [1, 0, 0, 0, 1, -1]]
  )


def test_relaxed_and_drawn_rows_have_the_odds_of_the_logits():
  logits = jnp.array([0.0, 1.0, -1.0, 0.3, -0.3, 2.0])
  outputs = jnp.tile(logits, (20_000, 1))
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
    np.testing.assert_allclose(nearest, odds, atol=0.015)
    np.testing.assert_allclose(found, odds, atol=0.015)


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


def test_the_distance_of_a_pair_is_that_of_what_is_drawn():
  """Of rows that say a, x or b, y and of the table of independent columns."""
  outputs = jnp.log(jnp.array([[1, 0, 0, 1, 0, 1.0], [0, 1, 0, 0, 1, 1.0]]))
  diagonal = jnp.array([[0.5, 0], [0, 0.5], [0, 0]])
  apart = jnp.array([[0.25, 0.25], [0.25, 0.25], [0, 0]])
  for chances, distance in ((diagonal, 0.0), (apart, 0.5)):
    found = pair_distance(outputs, (0, 1), chances, LAYOUT)
    np.testing.assert_allclose(found, distance, atol=1e-6)


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
  x, noise = rng.normal(size=(2, 2000))
  word = np.where(x + 0.5 * noise > 0, "yes", "no")
  table = pa.table({"x": x, "y": word, "z": rng.choice(["a", "b"], 2000)})
  train, test = table.slice(0, 1000), table.slice(1000)
  good = measures.utility(train, test, "y", 0)
  shuffled = train.set_column(0, "x", pa.array(rng.permutation(x[:1000])))
  assert (
    good > 0.9 and abs(measures.utility(shuffled, test, "y", 0) - 0.5) < 0.1
  )
  one = train.set_column(1, "y", pa.array(["no"] * 1000))
  assert measures.utility(one, test, "y", 0) == 0.5
  # A line as well; missing numbers and new categories are no obstacle to it.
  other = test.set_column(0, "x", pa.array([None, *x[1001:]]))
  new = pa.array(["new", *test["z"].to_pylist()[1:]])
  for rows in (test, other.set_column(2, "z", new)):
    assert measures.utility(train, rows, "y", 0, "logistic") > 0.9


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


@pytest.mark.slow
def test_a_dependence_is_learnt_and_more_can_be_drawn(tmp_path):
  table = dependent(tmp_path / "own.csv")
  given = SMALL | {"data.path": "own.csv", "target": "right", "epochs": "60"}
  given |= {"learning_rate.generator": "2e-3", "pack": "1"}
  given |= {"learning_rate.discriminator": "2e-3", "batch_size": "64"}
  arg = ",".join(f"{name}={value}" for name, value in given.items())
  path = ROOT / "configs" / "generate" / "adult.py"
  command = f"--config={path}:{arg}", "--workdir=run", "--noprogress"
  done = run_script("train", *command, cwd=tmp_path)
  assert done.status == 0, done.stderr
  workdir = tmp_path / "run"
  result = json.loads((workdir / "result.json").read_text())
  fake = pq.ParquetFile(workdir / "synthetic.parquet").read()
  assert fake.schema == table.schema and fake.num_rows == 1600
  left = tabular.codes(fake["left"], ["a", "b", "c"])
  right = tabular.codes(fake["right"], ["x", "y", "z"])
  assert np.mean(left == right) > 0.75  # a third if they were independent
  amount = fake["amount"].to_numpy()
  assert np.mean((amount // 10).astype(int) == left) > 0.6  # likewise
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


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_table(tmp_path, monkeypatch):
  monkeypatch.setattr(tables, "_DISPATCH", 5)
  dependent(tmp_path / "own.csv", 400)
  made = config(tmp_path / "own.csv", epochs="1", target="")
  whole = experiment.run(made, tmp_path / "whole", progress=False)
  workdir = tmp_path / "parts"
  experiment.run(made, workdir, progress=False)
  (workdir / "result.json").unlink()
  (workdir / "synthetic.parquet").unlink()
  newest = max(workdir.glob("checkpoints/[0-9]*"), key=lambda p: int(p.name))
  assert len(list(workdir.glob("checkpoints/[0-9]*"))) == 2
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
