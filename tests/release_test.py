"""Releases: what they say and what is recomputed; no broken one passes."""

import json
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import release_toy as toy
from bad_input_test import refused
from programs import run as run_script

from adv_rec.data import declared, encoding, tabular
from adv_rec.data.tabular import Column
from adv_rec.experiments import experiment, options, private
from adv_rec.privacy import accounting, counts, gradients, probes
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


@pytest.fixture(scope="module", autouse=True)
def quick():
  """The same mechanisms are accounted once: it takes half of the time."""
  known, epsilon = {}, accounting.epsilon

  def cached(mechanisms, delta, accountant="pld"):
    key = (tuple(mechanisms), delta, accountant)
    if key not in known:
      known[key] = epsilon(mechanisms, delta, accountant)
    return known[key]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(accounting, "epsilon", cached)
    yield


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


def test_figures_of_real_rows_can_be_kept(folder, run):
  out = run.with_name("kept")
  given = QUICK._replace(figures=False, csv=False, rows=70)
  make.release(config(folder), out, run, given)
  card = verify.verify(out)
  assert card["outside"] is None and card["table"]["rows"] == 70
  assert [p.name for p in (out / "data").iterdir()] == ["own.parquet"]
  assert "AUC" not in (out / "card.html").read_text()
  inside = run / "release"
  assert {p.name for p in inside.iterdir()} == {"audit.json", "card.html"}
  with pytest.raises(ValueError, match="is there already"):
    make.release(config(folder), out, run, given)


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
  broken, folder, tmp_path, monkeypatch
):
  broken(monkeypatch)
  out, workdir = tmp_path / "out", tmp_path / "work"
  with pytest.raises(ValueError, match=BEFORE[broken]) as caught:
    make.release(config(folder), out, workdir, QUICK)
  assert "\n" not in str(caught.value)
  assert not out.exists() and not workdir.exists()


def test_rows_that_are_learnt_by_heart_are_found(tmp_path, monkeypatch):
  """Not by a rehearsal, if it is of real rows only that they are copied."""
  rng = np.random.default_rng(0)
  names = [f"n{i}" for i in range(8)]
  table = {name: rng.integers(0, 100, ROWS) for name in names}
  pq.write_table(pa.table(table), tmp_path / "own.parquet")
  schema = [Column(n, "integer", "int64", low=0, high=100) for n in names]
  tabular.save(tmp_path / "schema.json", schema)
  given = config(tmp_path, **{"data.path": str(tmp_path / "own.parquet")})
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
    make.release(given, out, tmp_path / "work", QUICK)
  assert {p.name for p in tmp_path.iterdir()} == {
    "own.parquet",
    "schema.json",
    "work",
  }


@pytest.fixture
def run(good, folder, tmp_path, monkeypatch):
  """A finished run in tmp_path/work, which needs no rehearsal any more."""
  card = verify.card(good)
  shutil.copytree(folder / "work", tmp_path / "work")
  claim = make.claims.read(tmp_path / "work")
  monkeypatch.setattr(make, "rehearse", lambda *given: (claim, card["probes"]))
  return tmp_path / "work"


def secret_left(run):
  (run / "privacy" / "secret").write_bytes(bytes(32))


def more_steps(run):
  edit(run, lambda result: result.update(steps=60), "result.json")


def other_rows_learnt(run):
  edit(run, lambda r: r["dataset"]["counts"].update(train=300), "result.json")


def other_spends(run):
  path = run / "privacy" / "ledger.jsonl"
  line = {"name": "bounds", "gaussian": Gaussian(1e4)._asdict()}
  path.write_text(path.read_text() + json.dumps(line) + "\n")


def spend_taken_out(run):
  path = run / "privacy" / "ledger.jsonl"
  header, _, last = path.read_text().splitlines()
  path.write_text(f"{header}\n{last}\n")


def more_than_the_budget(run):
  path = run / "privacy" / "ledger.jsonl"
  path.write_text(
    path.read_text().replace('_multiplier": 1', '_multiplier": 0')
  )


def no_ledger(run):
  (run / "privacy" / "ledger.jsonl").unlink()


AFTER = {
  secret_left: "is still there: who finds it takes the noise off again",
  more_steps: "is of 20 samples, and 60 steps were played",
  other_rows_learnt: "is of 400 units, and 300 were learnt from",
  other_spends: "something is not accounted for",
  spend_taken_out: "something is not accounted for",
  more_than_the_budget: "above the budget of 3",
  no_ledger: "is not accounted for",
}


@pytest.mark.parametrize("broken", AFTER, ids=lambda b: b.__name__)
def test_a_broken_run_is_not_released(broken, run, folder):
  broken(run)
  out = run.with_name("out")
  with pytest.raises(ValueError, match=AFTER[broken]) as caught:
    make.release(config(folder), out, run, QUICK)
  assert "\n" not in str(caught.value)
  assert not out.exists()


def test_what_must_not_be_learnt_from_is_refused(folder, tmp_path):
  def refused(says, options=QUICK, **given):
    with pytest.raises(ValueError, match=says):
      make.release(
        config(folder, **given), tmp_path / "out", tmp_path / "work", options
      )
    assert not list(tmp_path.glob("[ow]*"))

  def declared_as(*schema):
    tabular.save(tmp_path / "schema.json", schema)
    return {"data.schema": str(tmp_path / "schema.json")}

  kind, size, bought = SCHEMA
  more = {"data.path": str(folder / "more.csv")}
  refused("'customer' of the table is undeclared", **more)
  refused(
    "has no bounds", **declared_as(kind, size._replace(high=None), bought)
  )
  few = kind._replace(categories=("a", "b"))
  refused("'kind' holds 'c' in row", **declared_as(few, size, bought))
  many = tuple(sorted({"a", "b", "c", *map(str, range(ROWS))}))
  ids = kind._replace(categories=many)
  refused("such ids must not be released", **declared_as(ids, size, bought))
  refused("is too much", **{"privacy.epsilon": "0.01"})
  with pytest.raises(ValueError, match="is of no private experiment"):
    make.release(
      options.load(ROOT / "configs/generate/adult.py"),
      tmp_path / "out",
      tmp_path / "work",
    )
  with pytest.raises(ValueError, match="inside of"):
    make.release(config(folder), tmp_path / "out", tmp_path / "out" / "work")


def test_earlier_runs_are_paid_from_the_budget(good, folder, tmp_path):
  asked = config(folder, **{"privacy.epsilon": "5.0"})
  asked.privacy.earlier = (str(folder / "work/privacy/ledger.jsonl"),)
  experiment.build(asked, tmp_path / "work")
  claim = make.claims.read(tmp_path / "work")
  assert list(claim.earlier) == ["earlier/1/counts", "earlier/1/training"]
  assert list(claim.spends) == ["counts", "training"]
  before = accounting.epsilon(list(claim.earlier.values()), 1e-5, "rdp")
  assert before == verify.card(good)["guarantee"]["epsilon"]
  assert before < claim.epsilon <= 5.0
  asked.privacy.epsilon = 3.0  # most of which is gone
  with pytest.raises(ValueError, match="is too much"):
    make.release(asked, tmp_path / "no", tmp_path / "other", QUICK)
  assert not (tmp_path / "other").exists()


def killed(*given, **options):
  raise KeyboardInterrupt


def test_a_run_that_is_killed_goes_on_and_spends_once(run, folder, monkeypatch):
  """Between the ledger and the first step, where noise is drawn."""
  out, workdir = run.with_name("out"), run.with_name("new")
  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(experiment.loop, "train", killed)
    make.release(config(folder), out, workdir, QUICK)
  ledger = workdir / "privacy" / "ledger.jsonl"
  before = ledger.read_bytes()
  assert before.count(b"training") == 1 and not out.exists()
  assert (workdir / "privacy/secret").exists()
  make.release(config(folder), out, workdir, QUICK)
  assert ledger.read_bytes() == before
  assert not (workdir / "privacy/secret").exists()
  verify.verify(out)


@pytest.mark.parametrize("stage", ["write", "table"])
def test_a_release_is_there_as_a_whole_or_not_at_all(
  stage, run, folder, monkeypatch
):
  out, before = (
    run.with_name("out"),
    (run / "privacy/ledger.jsonl").read_bytes(),
  )
  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(make.rows, stage, killed)
    make.release(config(folder), out, run, QUICK)
  assert [p.name for p in run.parent.iterdir()] == ["work"]
  make.release(config(folder), out, run, QUICK)
  assert (run / "privacy/ledger.jsonl").read_bytes() == before
  assert {p.name for p in run.parent.iterdir()} == {"out", "work"}


# What is changed in a folder, and what says so; first as it is, then by
# someone who mends the hashes.


def edit(folder, change, name="card.json"):
  text = json.loads((folder / name).read_text())
  change(text)
  (folder / name).write_text(json.dumps(text, indent=2) + "\n")


def more_noise(folder):
  edit(folder, lambda c: c["ledger"][1]["gaussian"].update(noise_multiplier=9))


def other_sampler(folder):
  edit(folder, lambda c: c["ledger"][1]["gaussian"].update(sampler="epochs"))


def one_spend_less(folder):
  def drop(card):
    del card["ledger"][0]
    card["guarantee"]["epsilon"] = accounting.epsilon(
      [Gaussian(**card["ledger"][0]["gaussian"])], 1e-5, "rdp"
    )

  edit(folder, drop)
  edit(
    folder,
    lambda m: m.update(epsilon=verify.card(folder)["guarantee"]["epsilon"]),
    "verify.json",
  )


def no_spends(folder):
  edit(folder, lambda c: c.update(ledger=[]))


def smaller_epsilon(folder):
  edit(folder, lambda c: c["guarantee"].update(epsilon=1.0, budget=1.0))


def smaller_promise(folder):
  edit(folder, lambda m: m.update(epsilon=1.0), "verify.json")


def other_page(folder):
  page = folder / "card.html"
  page.write_text(page.read_text().replace("Limits", "No limits"))


def other_rows(folder):
  path = folder / "data/own.csv"
  path.write_text(path.read_text().replace("never", "often"))


def fewer_rows(folder):
  path = folder / "data/own.parquet"
  pq.write_table(pq.ParquetFile(path).read().slice(1), path)


def real_rows(folder):
  """As they are: off the grid."""
  path = folder / "data/own.parquet"
  pq.write_table(made(400), path)


def other_columns(folder):
  path = folder / "data/own.parquet"
  table = pq.ParquetFile(path).read()
  pq.write_table(table.append_column("id", pa.array(range(400))), path)


def lost_rows(folder):
  (folder / "data/own.csv").unlink()


def secret_beside(folder):
  (folder / "secret").write_bytes(bytes(32))


def ledger_beside(folder):
  (folder / "data/ledger.jsonl").write_text("")


def no_card(folder):
  (folder / "card.json").write_text("{}")


CHANGED = {
  more_noise: ("is not the file", "says epsilon 2.9.*and the ledger"),
  other_sampler: ("is not the file", "covers the sampler 'epochs'"),
  one_spend_less: ("is not the file", "were probed, and the ledger has"),
  no_spends: ("is not the file", "has no spend"),
  smaller_epsilon: ("is not the file", "above the budget of 1"),
  smaller_promise: ("verify.json says epsilon 1", "verify.json says epsilon 1"),
  other_page: ("is not the file", "is not the page of card.json"),
  other_rows: ("is not the file", "'often' in row"),
  fewer_rows: ("is not the file", "has 399 rows, the card says 400"),
  real_rows: ("is not the file", "not among the 5 values"),
  other_columns: ("is not the file", "the schema"),
  lost_rows: ("own.csv is missing", "one file of rows"),
  secret_beside: ("is no part of a release", "is no part of a release"),
  ledger_beside: ("is no part of a release", "is no part of a release"),
  no_card: ("is not the file", "is not a card"),
}


@pytest.mark.parametrize("change", CHANGED, ids=lambda c: c.__name__)
def test_a_changed_release_is_not_verified(change, good, tmp_path):
  folder = tmp_path / "changed"
  shutil.copytree(good, folder)
  change(folder)
  before, mended = CHANGED[change]
  with pytest.raises(ValueError, match=before) as caught:
    verify.verify(folder)
  assert "\n" not in str(caught.value)
  edit(folder, lambda m: m.update(files=verify.files(folder)), "verify.json")
  if change is lost_rows:
    return  # a release in one format is one
  with pytest.raises(ValueError, match=mended) as caught:
    verify.verify(folder)
  assert "\n" not in str(caught.value)


# Probes.


def test_the_bound_of_a_probe_is_that_of_its_noise():
  rng = np.random.default_rng(0)
  for sigma in (0.5, 3.0):
    above = 0
    for _ in range(200):
      noise = sigma * rng.normal(size=300)
      found = probes.noise_bound(noise + 1, noise, 0.99)
      above += found >= sigma
      assert found < 1.4 * sigma
    assert above >= 195
  noise = rng.normal(size=300)
  assert probes.noise_bound(np.ones(300), np.zeros(300), 0.99) == 0
  assert probes.noise_bound(noise, noise, 0.99) == np.inf
  with pytest.raises(ValueError, match="at least 10"):
    probes.noise_bound(noise[:5], noise[:5], 0.99)


def test_the_program_verifies_and_refuses_in_one_line(good, tmp_path):
  done = run_script("release", f"--verify={good}", cwd=tmp_path)
  assert done.status == 0, done.stderr
  assert done.stdout.splitlines()[-1].startswith("verified: epsilon, hashes")
  assert make.fingerprint(good) in done.stdout
  refused(tmp_path, "release", f"--verify={tmp_path}", says="is not there")
