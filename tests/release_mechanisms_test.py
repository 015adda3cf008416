"""A private mechanism that does not do what it says is not released."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import release_toy as toy
from release_checks import not_released

from adv_rec.data import declared, encoding, tabular
from adv_rec.data.tabular import Column
from adv_rec.experiments import private
from adv_rec.privacy import accounting, counts, gradients
from adv_rec.privacy.ledger import Ledger
from adv_rec.release import make

pytest_plugins = ("release_toy",)
pytestmark = pytest.mark.usefixtures("accounted_once")

# What is broken in the code, and what says so. Each is a function of
# monkeypatch that breaks the toy, or what it is made of.

private_gradient, noisy = gradients.private, counts.noisy
transform, spend = declared.transform, Ledger.spend


def no_noise(patch):
  patch.setattr(
    gradients,
    "private",
    lambda clip, noise, *a: private_gradient(clip, 0.0, *a),
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
  broken, toy_folder, tmp_path, monkeypatch
):
  broken(monkeypatch)
  not_released(toy.asked(toy_folder), tmp_path, BEFORE[broken], toy.QUICK)


def test_rows_that_are_learnt_by_heart_are_found(tmp_path, monkeypatch):
  """Not by a rehearsal, if it is of real rows only that they are copied."""
  rng = np.random.default_rng(0)
  names = [f"n{i}" for i in range(8)]
  table = {name: rng.integers(0, 100, toy.ROWS) for name in names}
  pq.write_table(pa.table(table), tmp_path / "own.parquet")
  schema = [Column(n, "integer", "int64", low=0, high=100) for n in names]
  tabular.save(tmp_path / "schema.json", schema)
  given = toy.asked(tmp_path, **{"data.path": str(tmp_path / "own.parquet")})
  given.privacy.epsilon, given.privacy.counts = 0.5, 300.0
  build = toy.table

  def built(config, workdir):
    found = build(config, workdir)
    _, train, _ = toy.read(config, workdir)

    def copy(state, num, seed):
      if int(state.step) == 0:
        return found.sample(state, num, seed)
      return train.take(np.arange(num) % train.num_rows)

    return found._replace(sample=copy)

  monkeypatch.setattr(toy, "table", built)
  out = tmp_path / "out"
  says = "audit contradicts the claim: by membership epsilon is at least"
  with pytest.raises(ValueError, match=says):
    make.release(given, out, tmp_path / "work", toy.QUICK)
  assert {p.name for p in tmp_path.iterdir()} == {
    "own.parquet",
    "schema.json",
    "work",
  }
