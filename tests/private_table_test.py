"""A private generator of tables: what it declares, buys, writes and refuses."""

import json
import pathlib

import jax
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from adv_rec.data import declared, tabular
from adv_rec.data.tabular import Column
from adv_rec.experiments import experiment, options
from adv_rec.privacy import accounting, counts, probes
from adv_rec.privacy.accounting import Gaussian
from adv_rec.training import loop, parallel

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCHEMA = (
  Column("kind", "category", "string", categories=("a", "b", "never")),
  Column("size", "integer", "int64", low=0, high=100, nulls=True),
  Column("bought", "category", "string", categories=("no", "yes")),
)


def made(rows=400):
  rng = np.random.default_rng(0)
  kind = rng.integers(0, 2, rows)
  size = rng.integers(0, 120, rows).astype(object)
  size[:5] = None
  return pa.table(
    {
      "kind": np.array(["a", "b"])[kind],
      "size": pa.array(size, pa.int64()),
      "bought": np.array(["no", "yes"])[kind],
      "other": np.arange(rows),
    }
  )


def test_numbers_become_the_nearest_of_a_declared_grid():
  table = made()
  found = declared.snapped(table, SCHEMA, 11)
  assert found.column_names == ["kind", "size", "bought"]
  assert set(found["size"].drop_null().to_pylist()) == set(range(0, 101, 10))
  for before, after in zip(
    table["size"].to_pylist(), found["size"].to_pylist(), strict=True
  ):
    if before is not None:
      assert abs(min(before, 100) - after) <= 5
  transform = declared.transform(SCHEMA, 11)
  assert transform.sizes == (3, 12, 2) and transform.numbers == 0
  rng = np.random.default_rng(0)
  assert transform.decode(transform.encode(found, rng), rng).equals(found)
  # What is encoded depends on nothing but the row.
  few = transform.encode(found.slice(7, 2), rng).codes
  np.testing.assert_array_equal(few, transform.encode(found, rng).codes[7:9])


def test_what_is_not_declared_is_refused():
  with pytest.raises(ValueError, match="'kind' holds 'b' in row"):
    narrow = SCHEMA[0]._replace(categories=("a",))
    declared.snapped(made(), (narrow, *SCHEMA[1:]), 11)
  with pytest.raises(ValueError, match="'size' has no bounds"):
    declared.transform((SCHEMA[1]._replace(high=None),), 11)
  with pytest.raises(ValueError, match="no column 'kind'"):
    declared.snapped(made().drop_columns(["kind"]), SCHEMA, 11)


def test_noisy_counts_have_the_noise_that_is_accounted_for():
  codes = np.zeros((50_000, 4), np.int32)
  sizes, scale = (500, 500, 500, 2), 30.0 * 2.0
  found = counts.noisy(codes, sizes, 30.0, bytes(32))
  first = np.cumsum([0, *sizes[:-1]])
  np.testing.assert_allclose(found[first], 50_000, atol=5 * scale)
  rest = np.delete(found, first)[:-1]
  assert np.min(rest) == 0 and 0.4 < np.mean(rest == 0) < 0.6
  # Half a normal distribution: E max(0, z)^2 = 1 / 2.
  assert np.sqrt(2 * np.mean(rest**2)) == pytest.approx(scale, rel=0.1)
  assert (counts.noisy(codes, sizes, 30.0, b"other") != found).mean() > 0.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  place = tmp_path_factory.mktemp("private")
  pyarrow.csv.write_csv(made(), place / "own.csv")
  tabular.save(place / "schema.json", SCHEMA)
  return place


def config(folder, **given):
  small = {
    "data.path": str(folder / "own.csv"),
    "data.schema": str(folder / "schema.json"),
    "data.bins": "11",
    "target": "",
    "batch_size": "40",
    "epochs": "1",
    "penalty.gradient": "0",
    "privacy.accountant": "rdp",
    "model.generator": "(8,)",
    "model.discriminator": "(8,)",
  }
  loaded = options.load(ROOT / "configs/private/adult.py")
  return options.override(loaded, small | given)


def test_a_run_spends_once_and_destroys_its_secret(folder, tmp_path):
  workdir = tmp_path / "run"
  built = experiment.build(config(folder), workdir)
  secret = (workdir / "privacy" / "secret").read_bytes()
  # Killed here and started again, it goes on alike and spends nothing more.
  again = experiment.build(config(folder), workdir)
  a, b = built.batches(0, 3), again.batches(0, 3)
  for name in a:
    np.testing.assert_array_equal(a[name], b[name])
  one = parallel.make_mesh(1, jax.devices()[:1])
  state = loop.train(
    again.game, again.batches, again.schedule, workdir, 0, mesh=one
  )
  result = again.finish(state)
  for path in workdir.rglob("*"):
    assert path.is_dir() or secret not in path.read_bytes(), path
  privacy = workdir / "privacy"
  assert {p.name for p in privacy.iterdir()} == {"ledger.jsonl", "bought.npz"}
  lines = [json.loads(x) for x in (privacy / "ledger.jsonl").open()]
  assert [line.get("name") for line in lines] == [None, "counts", "training"]
  spends = [Gaussian(**line["gaussian"]) for line in lines[1:]]
  assert spends[1].count == state.step == 8 and spends[1].units == 320
  spent = accounting.epsilon(spends, 1e-5, "rdp")
  assert result["privacy"]["spent"] == spent and 2.9 < spent <= 3.0
  logged = (workdir / "metrics.jsonl").read_text()
  assert "real" not in logged and "accuracy" not in logged
  fake = pq.ParquetFile(workdir / "synthetic.parquet").read()
  tabular.check(fake, SCHEMA)
  assert set(fake["size"].drop_null().to_pylist()) <= set(range(0, 101, 10))

  # More can be drawn; trained on it cannot be, and nothing is spent again.
  ended = experiment.build(config(folder), workdir)
  assert ended.sample(state, fake.num_rows, 0).equals(fake)
  with pytest.raises(ValueError, match="secret is gone"):
    ended.batches(0, 1)
  assert len((privacy / "ledger.jsonl").read_text().splitlines()) == 3
  # Nor does a run go on whose counts are lost with its secret.
  (privacy / "bought.npz").unlink()
  with pytest.raises(ValueError, match="with another content"):
    experiment.build(config(folder), workdir)


def test_tables_with_the_target_are_bought_in_one_spend(folder, tmp_path):
  given = config(folder, target="bought")
  built = experiment.build(given, tmp_path)
  lines = (tmp_path / "privacy" / "ledger.jsonl").read_text().splitlines()[1:]
  spends = {
    line["name"]: Gaussian(**line["gaussian"])
    for line in map(json.loads, lines)
  }
  assert list(spends) == ["counts", "pairs", "training"]
  assert spends.keys() == built.probes.keys()
  # Half of the budget, in zCDP: 1 / sigma^2.
  whole = accounting.calibrate(3.0, 1e-5, lambda z: [Gaussian(z)], "rdp")
  assert spends["pairs"].noise_multiplier == pytest.approx(whole * 2**0.5)
  assert accounting.epsilon([*spends.values()], 1e-5, "rdp") <= 3.0
  bound = probes.noise_bound(*built.probes["pairs"](200), 0.99)
  assert bound >= spends["pairs"].noise_multiplier

  with np.load(tmp_path / "privacy" / "bought.npz") as bought:
    assert {*bought} == {"counts", "0-2", "1-2"}
    # 320 rows: kind says what is bought, whatever the noise.
    table = bought["0-2"]
  assert table.shape == (3, 2) and table.sum() == pytest.approx(1)
  assert table[0, 0] + table[1, 1] > 0.8


def test_without_privacy_nothing_is_written_of_it(folder, tmp_path):
  given = config(folder, **{"privacy.enabled": "False"})
  built = experiment.build(given, tmp_path)
  one, two = built.batches(0, 1), built.batches(0, 1)
  assert all(np.array_equal(one[name], two[name]) for name in one)
  assert not (tmp_path / "privacy").exists()


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"pack": "2", "batch_size": "40"}, "pack=2: must be 1"),
    ({"objective": "relativistic"}, "compares real with generated"),
    ({"privacy.epsilon": "0.01"}, "what is spent beside it is too much"),
    ({"privacy.accountant": "moments"}, "privacy.accountant='moments'"),
    ({"privacy.clip": "0.0"}, "privacy.clip"),
    ({"privacy.pairs": "1.0"}, "privacy.pairs=1.0: a share of the budget"),
  ],
)
def test_bad_options_are_refused_before_anything_is_spent(
  given, message, folder, tmp_path
):
  with pytest.raises(ValueError, match=message):
    experiment.build(config(folder, **given), tmp_path)
  ledger = tmp_path / "privacy" / "ledger.jsonl"
  assert not ledger.exists() or len(ledger.read_text().splitlines()) == 1
