"""Customers as rows, classifiers of them, and why they decide as they do."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from programs import ROOT, run

from adv_rec.data import portraits
from adv_rec.experiments import experiment, explain, options

FEATURES = ("tea", "milk", "soap", "bread")


@pytest.fixture(scope="module")
def customers(tmp_path_factory):
  """400 of them; who buys tea and no milk has children."""
  rng = np.random.default_rng(0)
  x = rng.normal(size=(400, 4))
  label = x[:, 0] - x[:, 1] + 0.3 * rng.normal(size=400) > 0
  path = tmp_path_factory.mktemp("customers") / "customers.csv"
  rows = [
    ",".join([f"c{i}", *map(str, x[i].round(4)), "yes" if label[i] else "no"])
    for i in range(400)
  ]
  head = ",".join(["id", *FEATURES, "children"])
  path.write_text("\n".join([head, *rows]))
  return path


@pytest.fixture(scope="module")
def trained(customers, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("trained") / "run"
  changes = "model.hidden=(16,),model.dropout=0.1,epochs=40,learning_rate=0.01"
  config = options.load(
    ROOT / "configs/portraits/demographics.py",
    f"dataset=,data.path={customers},target=children,weight_decay=0.01,"
    f"{changes}",
  )
  return workdir, experiment.run(config, workdir, progress=False)


def test_folds_test_every_customer_once_with_the_same_share_of_classes():
  label = np.r_[np.zeros(60, int), np.ones(40, int)]
  seen = []
  for tested in range(portraits.FOLDS):
    parts = portraits.fold(label, tested)
    rows = np.concatenate(list(parts.values()))
    assert sorted(rows) == list(range(100))
    assert label[parts["test"]].mean() == pytest.approx(0.4, abs=0.051)
    assert len(parts["validation"]) == 16
    seen.append(parts["test"])
  assert sorted(np.concatenate(seen)) == list(range(100))
  again = portraits.fold(label, portraits.FOLDS)
  np.testing.assert_array_equal(again["test"], seen[0])


def test_a_run_of_ones_own_customers_learns_what_was_planted(trained):
  workdir, result = trained
  assert result["metrics"]["test/auc"] > 0.95
  assert result["dataset"]["counts"] == {"customers": 400}
  kept = portraits.load(workdir / "data")
  assert kept.features == FEATURES and kept.classes == ("no", "yes")


def test_baselines_are_runs_on_the_same_rows(trained, customers, tmp_path):
  found = {}
  for kind in ("logistic", "majority"):
    config = options.load(
      ROOT / "configs/portraits/demographics.py",
      f"dataset=,data.path={customers},target=children,model.kind={kind}",
    )
    made = experiment.run(config, tmp_path / kind, progress=False)
    assert made["dataset"] == trained[1]["dataset"]
    found[kind] = made["metrics"]
  assert found["logistic"]["test/auc"] > 0.95
  assert (
    found["majority"]["test/accuracy"] == found["majority"]["test/majority"]
  )


@pytest.mark.slow
def test_an_explanation_names_the_planted_causes(trained):
  pytest.importorskip("shap", reason="the extra explain is not installed")
  methods = ("integrated_gradients", "shap")
  found = explain.explain(
    trained[0], 5, methods, budget=explain.Budget(16, 200)
  )
  assert found["names"] == list(FEATURES)
  gain = found["log_odds"] - found["log_odds_without"]
  for name in ("integrated_gradients", "shap"):
    one = found["methods"][name]
    assert one["gap"] < 0.02 * abs(gain) + 1e-3
    two = np.argsort(-np.abs(one["values"]))[:2]
    assert set(two) == {0, 1}, "tea and milk"
  turn = found["counterfactuals"]["pgd"]
  assert 0 < turn["relative_epsilon"] < 4
  assert set(np.argsort(turn["shift"])[-2:]) == {0, 1}


def test_the_script_explains_rows_that_the_run_has_never_seen(
  trained, tmp_path
):
  row = json.dumps({"tea": 2.0, "milk": -1.0})
  made = run(
    "explain",
    f"--workdir={trained[0]}",
    f"--row={row}",
    "--method=integrated_gradients",
    "--out=why.html",
    cwd=tmp_path,
  )
  assert made.status == 0, made.stderr
  assert "Decided for 'yes'" in made.stdout and "tea" in made.stdout
  page = (tmp_path / "why.html").read_text()
  assert page.startswith("<!doctype html>") and "<svg" in page


@pytest.mark.parametrize(
  "arguments, message",
  [
    (["--id=0", "--out=why.txt"], "name a file .html, .svg or .json"),
    ([], "say what to explain"),
  ],
)
def test_what_cannot_be_explained_is_said(
  arguments, message, trained, tmp_path
):
  made = run("explain", f"--workdir={trained[0]}", *arguments, cwd=tmp_path)
  assert made.status == 1 and message in made.stderr
  assert made.stderr.startswith("error: ")


@pytest.mark.parametrize(
  "text, message",
  [
    ("id,a,y\n1,2,0\n1,3,1\n", "an id occurs twice"),
    ("id,a,y\n1,x,0\n2,z,1\n", "features are numbers"),
    ("id,a,y\n1,2,0\n2,3,0\n", "has 1 classes"),
    ("id,a,y\n1,2,0.5\n2,3,0.7\n", "holds fractions"),
    ("id,y\n1,0\n2,1\n", "no columns of features"),
    ("key,a,y\n1,2,0\n2,3,1\n", "has no column 'id'"),
  ],
)
def test_bad_tables_are_refused(text, message, tmp_path):
  path = tmp_path / "bad.csv"
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    portraits.read(path, "y")


def test_households_are_what_the_demographics_say():
  data = portraits.households("children", categories=40)
  assert len(data.ids) == 801 and data.label.sum() == 288
  assert np.isfinite(data.values).all()
  shares = [i for i, n in enumerate(data.features) if n.endswith(" shopping")]
  np.testing.assert_allclose(data.values[:, shares].sum(axis=1), 2, atol=1e-4)
  assert len(set(data.features)) == len(data.features)


def test_what_is_saved_is_loaded(customers, tmp_path):
  data = portraits.read(customers, "children")
  portraits.save(tmp_path, data)
  again = portraits.load(tmp_path)
  assert again.fingerprint == data.fingerprint and again.ids == data.ids
  assert pq.read_schema(tmp_path / "customers.parquet").names[0] == "id"


@pytest.mark.slow
def test_a_portrait_says_what_a_customer_is_like(trained, tmp_path):
  made = run(
    "portrait",
    f"--workdir={trained[0]}",
    "--user=c7",
    "--out=c7.html",
    cwd=tmp_path,
  )
  assert made.status == 0, made.stderr
  assert "Prediction: " in made.stdout and "Segment " in made.stdout
  page = (tmp_path / "c7.html").read_text()
  assert "<svg" in page and "User c7" in page
