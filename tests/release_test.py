"""Releases: what they say, what is recomputed, and that no broken one passes."""

import json
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import release_toy as toy

from adv_rec.data import declared, encoding, tabular
from adv_rec.data.tabular import Column
from adv_rec.experiments import experiment, options, private
from adv_rec.privacy import accounting, counts, gradients, probes, secret
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.ledger import Ledger
from adv_rec.release import make, verify
from adv_rec.release import rows as released_rows

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROWS = 500
SCHEMA = (
  Column("kind", "category", "string", categories=("a", "b", "c", "never")),
  Column("size", "integer", "int64", low=0, high=100, nulls=True),
  Column("bought", "category", "string", categories=("no", "yes")),
)
QUICK = make.Options(attacks=200, progress=False)


def made(rows=ROWS):
  rng = np.random.default_rng(0)
  size = rng.integers(10, 60, rows).astype(object)
  size[:5] = None
  return pa.table(
    {
      "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, rows)],
      "size": pa.array(size, pa.int64()),
      "bought": np.array(["no", "yes"])[rng.integers(0, 2, rows)],
    }
  )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  place = tmp_path_factory.mktemp("release")
  table = made()
  pyarrow.csv.write_csv(table, place / "own.csv")
  extra = table.append_column("customer", pa.array(range(ROWS)))
  pyarrow.csv.write_csv(extra, place / "more.csv")
  tabular.save(place / "schema.json", SCHEMA)
  return place


def config(folder, **given):
  small = {
    "data.path": str(folder / "own.csv"),
    "data.schema": str(folder / "schema.json"),
  }
  return options.override(toy.config(), small | given)


@pytest.fixture(scope="module")
def good(folder):
  """A release as it should be; tests change copies of it."""
  out = folder / "good"
  make.release(config(folder), out, folder / "work", QUICK)
  return out


def test_a_release_is_what_it_says(good, folder):
  assert {p.name for p in good.iterdir()} == {
    "data",
    "card.json",
    "card.html",
    "verify.json",
  }
  card = verify.verify(good)
  ledger = (folder / "work/privacy/ledger.jsonl").read_text().splitlines()
  spends = [Gaussian(**json.loads(line)["gaussian"]) for line in ledger[1:]]
  total = accounting.epsilon(spends, 1e-5, "rdp")
  assert card["guarantee"]["epsilon"] == total <= 3.0
  assert [s["name"] for s in card["ledger"]] == ["counts", "training"]
  assert 0.5 * total < card["probed_epsilon"] <= total
  assert card["mechanism"]["steps"] == spends[1].count == 20
  table = pq.ParquetFile(good / "data/own.parquet").read()
  tabular.check(table, SCHEMA)
  assert table.num_rows == card["table"]["rows"] == 400
  (again,) = released_rows.read(good / "data/own.csv", SCHEMA)
  assert again.equals(table)
  # What says how the noise was drawn, or whose rows they are, stays.
  secret = json.loads(ledger[1])["secret"]
  for path in good.rglob("*.*"):
    text = path.read_bytes()
    for hidden in (secret, str(folder), "seed="):
      assert hidden.encode() not in text, (path, hidden)
  page = (good / "card.html").read_text()
  assert "http" not in page.replace("http://www.w3.org", "")
  for word in ("Outside of the guarantee", "poisson", "Limits", "<svg"):
    assert word in page


def test_figures_of_real_rows_can_be_kept(folder, good):
  out = folder / "kept"
  given = QUICK._replace(figures=False, csv=False, rows=70)
  make.release(config(folder), out, folder / "work", given)
  card = verify.verify(out)
  assert card["outside"] is None and card["table"]["rows"] == 70
  assert [p.name for p in (out / "data").iterdir()] == ["own.parquet"]
  assert "AUC" not in (out / "card.html").read_text()
  inside = folder / "work" / "release"
  assert {p.name for p in inside.iterdir()} == {"audit.json", "card.html"}
  with pytest.raises(ValueError, match="is there already"):
    make.release(config(folder), out, folder / "work", given)


# What is broken in the code, and what says so. Each is a function of
# monkeypatch that breaks the toy, or what it is made of.

private_gradient, noisy = gradients.private, counts.noisy
transform, spend = declared.transform, Ledger.spend


def no_noise(patch):
  patch.setattr(
    gradients, "private", lambda clip, noise, *a: private_gradient(clip, 0.0, *a)
  )


def noise_on_the_mean(patch):
  patch.setattr(
    gradients,
    "private",
    lambda clip, noise, size, padded: private_gradient(
      clip, noise / size, size, padded
    ),
  )


def no_clip(patch):
  patch.setattr(
    gradients,
    "private",
    lambda clip, noise, *a: private_gradient(1e3 * clip, noise / 1e3, *a),
  )


def noise_of_the_seed(patch):
  def wrapped(*given):
    def gradient(loss):
      inner = private_gradient(*given)(loss)
      return lambda own, all, batch, key: inner(
        own, all, {**batch, "noise": 0 * batch["noise"]}, key
      )

    return gradient

  patch.setattr(gradients, "private", wrapped)


def exact_counts(patch):
  def exact(codes, sizes, noise, secret):
    return noisy(codes, sizes, 1e-9, secret)

  patch.setattr(counts, "noisy", exact)


def epochs_for_samples(patch):
  class Epochs(private.Poisson):
    """Shuffled epochs that say they are Poisson samples."""

    def _sample(self, draw):
      found = super()._sample(draw)
      size = round(self.sampling.units * self.sampling.probability)
      found["mask"] = np.arange(self.padded) < size
      return found

  patch.setattr(private, "Poisson", Epochs)


def noise_again(patch):
  class Again(private.Poisson):
    """Each sample with the noise of the first one."""

    def _digest(self, purpose, draw):
      return super()._digest(purpose, 0 if purpose == "noise" else draw)

  patch.setattr(private, "Poisson", Again)


def no_sampler(patch):
  class Plain(private.Poisson):
    """Batches that do not say how they are drawn."""

    sampling = property(lambda self: None, lambda self, value: None)

  patch.setattr(private, "Poisson", Plain)


def unknown_sampler(patch):
  steps = accounting.steps
  patch.setattr(
    accounting,
    "steps",
    lambda *a: steps(*a)._replace(sampler="shuffled"),
  )


def inferred_categories(patch):
  def look(config, workdir):
    schema, train, holdout = read(config, workdir)
    del schema
    return tabular.infer(train), train, holdout

  read = toy.read
  patch.setattr(toy, "read", look)


def inferred_bounds(patch):
  def look(config, workdir):
    schema, train, holdout = read(config, workdir)
    found = {c.name: c for c in tabular.infer(train)}["size"]
    ends = {"low": found.low + 3, "high": found.high + 3}
    size = schema[1]._replace(**ends)
    return (schema[0], size, schema[2]), train, holdout

  read, encode = toy.read, encoding.Transform.encode
  patch.setattr(toy, "read", look)
  patch.setattr(
    encoding.Transform,
    "encode",
    lambda self, table, rng: encode(self, clipped(self, table), rng),
  )


def clipped(transform, table):
  (levels,) = (p.values for p in transform.parts if p.column.name == "size")
  found = table["size"].to_numpy(zero_copy_only=False).astype(float)
  absent = np.isnan(found)
  near = np.abs(levels[:, None] - np.nan_to_num(found)).argmin(axis=0)
  values = pa.array(levels[near], mask=absent).cast(pa.int64())
  return table.set_column(1, "size", values)


def unbought_counts(patch):
  def look(cells, codes):
    del cells
    exact = [np.bincount(column, minlength=8) for column in codes.T]
    return toy.jnp.log(np.concatenate(exact)[:12] + 1.0).astype(np.float32)

  patch.setattr(toy, "starting", look)


def missing_spend(patch):
  patch.setattr(
    Ledger,
    "spend",
    lambda self, name, *a: None if name == "counts" else spend(self, name, *a),
  )


BEFORE = {
  no_noise: "contradicts the claim: the probe of 'training'.*at most 0,",
  noise_on_the_mean: "contradicts the claim: the probe of 'training'",
  no_clip: "contradicts the claim: the probe of 'training'",
  noise_of_the_seed: "contradicts the claim: the probe of 'training'",
  exact_counts: "depend on them, and not on the noise",
  epochs_for_samples: "sampler does not match the accountant",
  noise_again: "comes again, in another step",
  no_sampler: "no samples that an accountant covers",
  unknown_sampler: "no accountant here covers the sampler 'shuffled'",
  inferred_categories: "of two tables of one schema differ in size",
  inferred_bounds: "not among the 5 values between its declared bounds",
  unbought_counts: "the parameters depend on them, and not on the noise",
  missing_spend: r"spends \['training'\], .* mechanisms \['counts', 'train",
}


@pytest.mark.parametrize("broken", BEFORE, ids=lambda b: b.__name__)
def test_a_broken_mechanism_is_refused_before_anything_is_spent(
  broken, folder, tmp_path, monkeypatch
):
  broken(monkeypatch)
  out, workdir = tmp_path / "out", tmp_path / "work"
  with pytest.raises(ValueError, match=BEFORE[broken]) as caught:
    make.release(config(folder), out, workdir, QUICK)
  assert "\n" not in str(caught.value)
  assert not out.exists() and not workdir.exists()


def copied(patch):
  """Rows that are learnt by heart, once there is a state to hold them."""
  made = tabular.pa.Table.take

  def sample(build):
    def built(config, workdir):
      found = build(config, workdir)
      _, train, _ = toy.read(config, workdir)
      draw = found.sample

      def copy(state, num, seed):
        if int(state.step) == 0:
          return draw(state, num, seed)
        return made(train, np.arange(num) % train.num_rows)

      return found._replace(sample=copy)

    return built

  patch.setattr(toy, "table", sample(toy.table))


def secret_left(patch):
  patch.setattr(secret, "forget", lambda path: None)


def more_steps(patch):
  """More of them than are accounted for, on real rows only."""
  run = experiment.run

  def longer(*a, **k):
    result = run(*a, **k)
    return result | {"steps": 3 * result["steps"]}

  patch.setattr(experiment, "run", longer)
