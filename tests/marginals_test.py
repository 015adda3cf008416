"""Private rows from marginals: what is bought, what is fitted, what is kept."""

import itertools
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from adv_rec.data import tabular
from adv_rec.data.tabular import Column
from adv_rec.experiments import experiment, marginals, options
from adv_rec.experiments import tabular as tables
from adv_rec.privacy import accounting, estimation, secret
from adv_rec.privacy import marginals as mechanism
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.marginals import Noise

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZES = (3, 4, 2, 5)
EXACT = Noise(0.0, 0.0, 0.0)
OWN = bytes(32)


def planted(rows=4000):
  """Column 1 follows column 0; 3 follows 0 where 2, the target, is 1."""
  rng = np.random.default_rng(0)
  codes = np.stack([rng.integers(0, s, rows) for s in SIZES], 1)
  codes[:, 1] = np.where(rng.random(rows) < 0.9, codes[:, 0], codes[:, 1])
  codes[:, 3] = np.where(codes[:, 2] == 1, codes[:, 0], codes[:, 3])
  return codes


def test_without_noise_tables_are_counts_and_edges_what_is_planted():
  codes = planted()
  found, edges = mechanism.measure(codes, SIZES, 2, EXACT, OWN)
  assert set(edges[:2]) == {(0, 1), (0, 3)}
  cliques = [m.clique for m in found]
  assert cliques[:3] == [(0, 2), (1, 2), (2, 3)] and (0, 1, 2) in cliques
  for clique, counts, deviation in found:
    cells = itertools.product(*(range(SIZES[k]) for k in clique))
    for cell in cells:
      there = (codes[:, clique] == cell).all(1).sum()
      assert counts[cell] == there
    assert deviation == 0
  # Nor does an edge cost more than its noise: all that is left is none.
  _, none = mechanism.measure(codes, SIZES, 2, Noise(1, 1, 1e4), OWN)
  assert none == []


@pytest.mark.parametrize("target", [None, 2])
def test_a_row_moves_what_is_bought_as_far_as_its_noise_says(target):
  """Sums over tables by sqrt(tables) at most, each score by 1."""
  codes, rng = planted(300), np.random.default_rng(1)
  others = [k for k in range(4) if k != target]
  pairs = list(itertools.combinations(others, 2))
  cliques = [tuple(sorted({k, target} - {None})) for k in others]

  def whole(rows):
    return mechanism.tables(rows, SIZES, cliques, 0.0, rng)

  before = whole(codes)
  scores = mechanism.dependence(codes, SIZES, target, before, pairs)
  for row in range(50):
    less = np.delete(codes, row, axis=0)
    moved = sum(
      ((a.counts - b.counts) ** 2).sum()
      for a, b in zip(before, whole(less), strict=True)
    )
    assert moved == len(cliques)
    # Of the columns that are public by then.
    other = mechanism.dependence(less, SIZES, target, before, pairs)
    assert np.abs(other - scores).max() <= 1 + 1e-9


def test_noise_is_as_large_as_accounted_for_and_comes_from_the_secret():
  codes, cliques = planted(), [(0, 1), (2, 3), (1, 3), (0, 3)]
  big = [100, 100, 100, 100]
  rng = secret.generator(OWN, b"edges")
  found = mechanism.tables(codes, big, cliques, 3.0, rng)
  exact = mechanism.tables(codes, big, cliques, 0.0, rng)
  for a, b in zip(found, exact, strict=True):
    assert a.deviation == 6.0  # 3 sqrt(4)
    assert np.std(a.counts - b.counts) == pytest.approx(6.0, rel=0.03)
  one, again, other = (
    mechanism.measure(codes, SIZES, 2, Noise(1, 1, 1), own)[0]
    for own in (OWN, OWN, b"other")
  )
  for a, b, c in zip(one, again, other, strict=False):
    np.testing.assert_array_equal(a.counts, b.counts)
    assert (a.counts != c.counts).all()


def test_three_parts_cost_what_one_of_the_noise_does():
  noise = marginals.noises(2.0, (0.2, 0.1, 0.7))
  apart = accounting.epsilon([Gaussian(x) for x in noise], 1e-5, "rdp")
  assert apart == pytest.approx(
    accounting.epsilon([Gaussian(2.0)], 1e-5, "rdp")
  )


def test_families_are_those_of_the_chain_rule():
  """Each column once, after its parents; every edge within a family."""
  edges = [(0, 1), (1, 3), (0, 3), (3, 4), (4, 5), (0, 5)]
  for target in (None, 2):
    order = mechanism.families(edges, [3] * 6, target)
    seen = set()
    for k, parents in order:
      assert set(parents) <= seen and k not in seen
      seen.add(k)
    assert seen == set(range(6))
    for edge in edges:
      whole = {*edge, *([] if target is None else [target])}
      assert any(whole <= {k, *parents} for k, parents in order)
  assert mechanism.families(edges, [3] * 6, 2)[0] == (2, ())


def test_an_edge_that_needs_too_large_a_model_is_left_out():
  pairs, scores = [(0, 1), (1, 2), (0, 2)], np.array([9.0, 8.0, 7.0])
  for most, count in ((1000, 3), (100, 2), (99, 0)):
    found = mechanism.chosen(pairs, scores, [10, 10, 10], None, 0.0, most)
    assert len(found) == count


@pytest.fixture(scope="module")
def fitted():
  """mbi's marginals of the planted rows, with hardly any noise."""
  codes = planted()
  measured, edges = mechanism.measure(codes, SIZES, 2, Noise(1, 1, 1), OWN)
  order = mechanism.families(edges, SIZES, 2)
  wanted = [(*parents, k) for k, parents in order]
  found = estimation.estimate(SIZES, measured, len(codes), wanted)
  return codes, order, found


def test_planted_dependence_comes_back(fitted):
  codes, order, found = fitted
  model = mechanism.model(order, found)
  made = mechanism.draw(model, 20_000, np.random.default_rng(0))
  for pair in itertools.combinations(range(4), 2):
    real, fake = (
      np.bincount(x[:, pair[0]] * 5 + x[:, pair[1]], minlength=25) / len(x)
      for x in (codes, made)
    )
    assert np.abs(real - fake).sum() < 0.08, pair
  again = mechanism.draw(model, 20_000, np.random.default_rng(0))
  np.testing.assert_array_equal(made, again)


def test_estimates_agree_with_each_other_and_x64_stays_there(fitted):
  codes, order, found = fitted
  place = {}
  for (k, parents), table in zip(order, found, strict=True):
    assert table.sum() == pytest.approx(len(codes))
    for axis, column in enumerate((*parents, k)):
      rest = tuple(i for i in range(table.ndim) if i != axis)
      one = place.setdefault(column, table.sum(rest))
      np.testing.assert_allclose(table.sum(rest), one, atol=1e-4)
  assert table.dtype == np.float64
  assert not jax.config.jax_enable_x64 and jnp.ones(1).dtype == jnp.float32


SCHEMA = (
  Column("kind", "category", "string", categories=("a", "b", "never")),
  Column("size", "integer", "int64", low=0, high=100),
  Column("bought", "category", "string", categories=("no", "yes")),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  place = tmp_path_factory.mktemp("marginals")
  rng = np.random.default_rng(0)
  kind = rng.integers(0, 2, 400)
  made = {
    "kind": np.array(["a", "b"])[kind],
    "size": rng.integers(0, 120, 400),
    "bought": np.array(["no", "yes"])[kind],
  }
  pyarrow.csv.write_csv(pa.table(made), place / "own.csv")
  tabular.save(place / "schema.json", SCHEMA)
  narrow = (SCHEMA[0]._replace(categories=("a",)), *SCHEMA[1:])
  tabular.save(place / "narrow.json", narrow)
  return place


def config(folder, **given):
  small = {
    "data.path": str(folder / "own.csv"),
    "data.schema": str(folder / "schema.json"),
    "data.bins": "6",
    "target": "bought",
    "privacy.accountant": "rdp",
  }
  loaded = options.load(ROOT / "configs/private/marginals.py")
  return options.override(loaded, small | given)


def test_a_run_spends_its_budget_once_and_destroys_its_secret(
  folder, tmp_path, monkeypatch
):
  workdir = tmp_path / "run"
  given = config(folder)
  bought = []

  def killed(sizes, measured, *rest):
    bought.append(measured)
    raise KeyboardInterrupt

  # Killed before the fit was kept, and started again, it spends the same.
  with monkeypatch.context() as patch:
    patch.setattr(estimation, "estimate", killed)
    for _ in range(2):
      with pytest.raises(KeyboardInterrupt):
        experiment.run(given, workdir, progress=False)
  for a, b in zip(*bought, strict=True):
    np.testing.assert_array_equal(a.counts, b.counts)
  privacy = workdir / "privacy"
  own = (privacy / "secret").read_bytes()
  result = experiment.run(given, workdir, progress=False)
  assert {p.name for p in privacy.iterdir()} == {
    "ledger.jsonl",
    "marginals.npz",
  }
  lines = [json.loads(x) for x in (privacy / "ledger.jsonl").open()]
  names = [line.get("name") for line in lines]
  assert names == [None, "columns", "scores", "edges"]
  spends = [Gaussian(**line["gaussian"]) for line in lines[1:]]
  spent = accounting.epsilon(spends, 1e-5, "rdp")
  assert result["privacy"]["spent"] == result["metrics"]["test/spent"] == spent
  assert 2.99 < spent <= 3.0 and math.isfinite(spent)
  assert result["metrics"]["test/logistic_auc"] > 0.9
  fake = pq.ParquetFile(workdir / "synthetic.parquet").read()
  tabular.check(fake, SCHEMA)
  assert tables.generate(workdir, fake.num_rows, 0).equals(fake)
  assert len((privacy / "ledger.jsonl").read_text().splitlines()) == 4
  for path in workdir.rglob("*"):
    assert path.is_dir() or own not in path.read_bytes(), path


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"data.schema": "narrow.json"}, "'kind' holds 'b' in row"),
    ({"privacy.shares": "(0.5,0.5)"}, "must be three above 0"),
    ({"privacy.accountant": "moments"}, "privacy.accountant='moments'"),
    ({"privacy.epsilon": "0.0"}, "privacy.epsilon"),
    ({"target": "size"}, "must be a column of categories"),
  ],
)
def test_what_is_wrong_is_refused_before_anything_is_spent(
  given, message, folder, tmp_path
):
  if "data.schema" in given:
    given = {"data.schema": str(folder / given["data.schema"])}
  with pytest.raises(ValueError, match=message):
    experiment.build(config(folder, **given), tmp_path)
  assert not (tmp_path / "privacy").exists()
