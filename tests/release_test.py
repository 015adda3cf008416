"""Releases: what they say, what they cost, and what is not released."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
import release_toy as toy
from programs import ROOT

from adv_rec.data import tabular
from adv_rec.experiments import experiment, options
from adv_rec.privacy import accounting
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release import declares, make, verify
from adv_rec.release import rows as released_rows

pytest_plugins = ("release_toy",)


def test_a_release_is_what_it_says(toy_release, toy_folder):
  assert {p.name for p in toy_release.iterdir()} == {
    "data",
    "card.json",
    "card.html",
    "verify.json",
  }
  card = verify.verify(toy_release)
  ledger = (toy_folder / "work/privacy/ledger.jsonl").read_text().splitlines()
  spends = [Gaussian(**json.loads(line)["gaussian"]) for line in ledger[1:]]
  total = accounting.epsilon(spends, 1e-5, "rdp")
  assert card["guarantee"]["epsilon"] == total <= 3.0
  assert [s["name"] for s in card["ledger"]] == ["counts", "training"]
  assert 0.5 * total < card["probed_epsilon"] <= total
  assert card["mechanism"]["steps"] == spends[1].count == 20
  table = pq.ParquetFile(toy_release / "data/own.parquet").read()
  tabular.check(table, toy.SCHEMA)
  assert table.num_rows == card["table"]["rows"] == 400
  types = declares.read(card["table"]).types
  (again,) = released_rows.read(toy_release / "data/own.csv", types)
  assert again.equals(table)
  # What says how the noise was drawn, or whose rows they are, stays.
  secret = json.loads(ledger[1])["secret"]
  for path in toy_release.rglob("*.*"):
    text = path.read_bytes()
    for hidden in (secret, str(toy_folder), "seed="):
      assert hidden.encode() not in text, (path, hidden)
  page = (toy_release / "card.html").read_text()
  assert "http" not in page.replace("http://www.w3.org", "")
  for word in ("Outside of the guarantee", "poisson", "Limits", "<svg"):
    assert word in page


def test_figures_of_real_rows_can_be_kept(toy_folder, run):
  out = run.with_name("kept")
  given = toy.QUICK._replace(figures=False, csv=False, rows=70)
  make.release(toy.asked(toy_folder), out, run, given)
  card = verify.verify(out)
  assert card["outside"] is None and card["table"]["rows"] == 70
  assert [p.name for p in (out / "data").iterdir()] == ["own.parquet"]
  assert "AUC" not in (out / "card.html").read_text()
  inside = run / "release"
  assert {p.name for p in inside.iterdir()} == {"audit.json", "card.html"}
  with pytest.raises(ValueError, match="is there already"):
    make.release(toy.asked(toy_folder), out, run, given)


@pytest.fixture
def run(toy_release, toy_folder, tmp_path, monkeypatch):
  """A finished run in tmp_path/work, which needs no rehearsal any more."""
  card = verify.card(toy_release)
  shutil.copytree(toy_folder / "work", tmp_path / "work")
  claim = make.claims.read(tmp_path / "work")
  monkeypatch.setattr(make, "rehearse", lambda *given: (claim, card["probes"]))
  return tmp_path / "work"


def secret_left(run):
  (run / "privacy" / "secret").write_bytes(bytes(32))


def more_steps(run):
  toy.edit(run, lambda result: result.update(steps=60), "result.json")


def other_rows_learnt(run):
  toy.edit(
    run, lambda r: r["dataset"]["counts"].update(train=300), "result.json"
  )


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
def test_a_broken_run_is_not_released(broken, run, toy_folder):
  broken(run)
  out = run.with_name("out")
  with pytest.raises(ValueError, match=AFTER[broken]) as caught:
    make.release(toy.asked(toy_folder), out, run, toy.QUICK)
  assert "\n" not in str(caught.value)
  assert not out.exists()


def test_what_must_not_be_learnt_from_is_refused(toy_folder, tmp_path):
  def refused(says, options=toy.QUICK, **given):
    with pytest.raises(ValueError, match=says):
      make.release(
        toy.asked(toy_folder, **given),
        tmp_path / "out",
        tmp_path / "work",
        options,
      )
    assert not list(tmp_path.glob("[ow]*"))

  def declared_as(*schema):
    tabular.save(tmp_path / "schema.json", schema)
    return {"data.schema": str(tmp_path / "schema.json")}

  kind, size, bought = toy.SCHEMA
  more = {"data.path": str(toy_folder / "more.csv")}
  refused("'customer' of the table is undeclared", **more)
  refused(
    "has no bounds", **declared_as(kind, size._replace(high=None), bought)
  )
  few = kind._replace(categories=("a", "b"))
  refused("'kind' holds 'c' in row", **declared_as(few, size, bought))
  many = tuple(sorted({"a", "b", "c", *map(str, range(toy.ROWS))}))
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
    make.release(
      toy.asked(toy_folder), tmp_path / "out", tmp_path / "out" / "work"
    )


def test_earlier_runs_are_paid_from_the_budget(
  toy_release, toy_folder, tmp_path
):
  asked = toy.asked(toy_folder, **{"privacy.epsilon": "5.0"})
  asked.privacy.earlier = (str(toy_folder / "work/privacy/ledger.jsonl"),)
  experiment.build(asked, tmp_path / "work")
  claim = make.claims.read(tmp_path / "work")
  assert list(claim.earlier) == ["earlier/1/counts", "earlier/1/training"]
  assert list(claim.spends) == ["counts", "training"]
  before = accounting.epsilon(list(claim.earlier.values()), 1e-5, "rdp")
  assert before == verify.card(toy_release)["guarantee"]["epsilon"]
  assert before < claim.epsilon <= 5.0
  asked.privacy.epsilon = 3.0  # most of which is gone
  with pytest.raises(ValueError, match="is too much"):
    make.release(asked, tmp_path / "no", tmp_path / "other", toy.QUICK)
  assert not (tmp_path / "other").exists()


def killed(*given, **options):
  raise KeyboardInterrupt


def test_a_run_that_is_killed_goes_on_and_spends_once(
  run, toy_folder, monkeypatch
):
  """Between the ledger and the first step, where noise is drawn."""
  out, workdir = run.with_name("out"), run.with_name("new")
  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(experiment.loop, "train", killed)
    make.release(toy.asked(toy_folder), out, workdir, toy.QUICK)
  ledger = workdir / "privacy" / "ledger.jsonl"
  before = ledger.read_bytes()
  assert before.count(b"training") == 1 and not out.exists()
  assert (workdir / "privacy/secret").exists()
  make.release(toy.asked(toy_folder), out, workdir, toy.QUICK)
  assert ledger.read_bytes() == before
  assert not (workdir / "privacy/secret").exists()
  verify.verify(out)


@pytest.mark.parametrize("stage", ["write", "table"])
def test_a_release_is_there_as_a_whole_or_not_at_all(
  stage, run, toy_folder, monkeypatch
):
  out, before = (
    run.with_name("out"),
    (run / "privacy/ledger.jsonl").read_bytes(),
  )
  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(make.rows, stage, killed)
    make.release(toy.asked(toy_folder), out, run, toy.QUICK)
  assert [p.name for p in run.parent.iterdir()] == ["work"]
  make.release(toy.asked(toy_folder), out, run, toy.QUICK)
  assert (run / "privacy/ledger.jsonl").read_bytes() == before
  assert {p.name for p in run.parent.iterdir()} == {"out", "work"}
