"""Clicks as a user meets them: own rows, a run, raw rows to predict."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from programs import ROOT
from programs import run as run_script

from adv_rec.experiments import answers, classify, experiment, options
from adv_rec.report import page

COLUMNS = {
  "dataset": "",
  "data.path": "clicks.csv",
  "data.columns.label": "clicked",
  "data.columns.categories": "shelf+season",
  "data.columns.numbers": "age",
  "data.columns.lists": "tags",
  "data.columns.group": "shelf",
}
SMALL = {
  "batch_size": 200,
  "epochs": 15,
  "evaluate_every": 0,
  "checkpoint_every": 15,
  "learning_rate": 0.05,
  "model.hidden": (16,),
  "model.dropout": 0.0,
  "model.dim": 4,
}


def planted(rows=3000, seed=0):
  """Clicked where shelf and season are both even or both odd: a pair's doing.

  Neither says anything alone.
  """
  rng = np.random.default_rng(seed)
  shelf, season = rng.integers(0, 6, rows), rng.integers(0, 6, rows)
  match = (shelf + season) % 2 == 0
  return pa.table(
    {
      "clicked": (match ^ (rng.random(rows) < 0.05)).astype(int),
      "shelf": [f"s{n}" for n in shelf],
      "season": season,
      "age": rng.normal(40, 10, rows),
      "tags": rng.choice(["new|cheap", "new", ""], rows),
    }
  )


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
  """Runs of three models on one table."""
  folder = tmp_path_factory.mktemp("clicks")
  pa.csv.write_csv(planted(), folder / "clicks.csv")
  results = {}
  for name in ("logistic", "fm", "deepfm"):
    given = COLUMNS | {"data.path": folder / "clicks.csv"} | SMALL
    config = options.load(
      ROOT / "configs" / "ctr" / f"{name}.py",
      ",".join(f"{k}={v}" for k, v in given.items()),
    )
    results[name] = experiment.run(config, folder / name, progress=False)
  return folder, results


def test_pairs_are_found_by_those_who_can(ran):
  auc = {name: r["metrics"]["test/auc"] for name, r in ran[1].items()}
  assert abs(auc["logistic"] - 0.5) < 0.08
  assert min(auc["fm"], auc["deepfm"]) > 0.9


def test_a_report_shows_whether_chances_are_honest(ran, tmp_path):
  folder, results = ran
  rows = results["deepfm"]["reliability"]
  assert sum(row["rows"] for row in rows) == 300
  assert rows[0]["label"] < 0.2 < 0.8 < rows[-1]["label"]
  page.write(tmp_path / "page.html", "Clicks", [folder / "deepfm"])
  text = (tmp_path / "page.html").read_text()
  assert "Calibration" in text and "predicted chance" in text


def test_raw_rows_are_predicted_from_the_workdir_alone(ran):
  folder, results = ran
  (folder / "clicks.csv").rename(folder / "gone.csv")
  found, state = experiment.restore(folder / "deepfm")
  (folder / "gone.csv").rename(folder / "clicks.csv")
  task = found.task
  config = classify.classify_config()
  apply = answers.Apply(task.predictor, config)
  params = classify.best(state)
  logits = apply.logits(params, task.parts["test"])
  again = task.measures(logits, task.parts["test"])
  assert again["auc"] == results["deepfm"]["metrics"]["test/auc"]
  rows = [
    {"shelf": "s1", "season": 3, "age": 41.0, "tags": "new"},
    {"shelf": "s1", "season": 2, "age": 41.0, "tags": "new"},
    # A shelf and a tag that were never seen, an age that is missing.
    {"shelf": "s99", "season": 2, "age": None, "tags": "rare"},
  ]
  encoded = task.encode(rows)
  match, other, unknown = apply.logits(params, encoded)
  assert match > 1 and other < -1
  assert np.isfinite(unknown)
  assert task.names(encoded) == [
    ["shelf=s1", "season=3", "age", "tags=new"],
    ["shelf=s1", "season=2", "age", "tags=new"],
    ["shelf=?", "season=2", "age=?", "tags=?"],
  ]
  # All that was never seen is the same.
  assert unknown == apply.logits(
    params, task.encode([{**rows[2], "shelf": "s77", "tags": None}])
  )
  with pytest.raises(ValueError, match="no column 'season'; they have shelf"):
    task.encode([{"shelf": "s1", "age": 3.0, "tags": ""}])
  with pytest.raises(ValueError, match="no rows to predict"):
    task.encode([])


def replaced(table, name, values):
  place = table.schema.get_field_index(name)
  return table.set_column(place, name, pa.array(values))


@pytest.mark.parametrize(
  ("change", "more", "message"),
  [
    (
      lambda t: replaced(t, "clicked", [1] * t.num_rows),
      {},
      "'clicked' has only the label 1",
    ),
    (
      lambda t: replaced(t, "clicked", [2] + [0, 1] * (t.num_rows // 2)),
      {},
      "'clicked' holds '2'; a label is 0 or 1",
    ),
    (
      lambda t: replaced(t, "clicked", [None] + [0, 1] * (t.num_rows // 2)),
      {},
      "'clicked' is empty in 1 row",
    ),
    (lambda t: t.drop_columns("season"), {}, "has no column 'season'"),
    (lambda t: t, {"data.columns.categories": "", "data.columns.numbers": "",
                   "data.columns.lists": ""}, "no column is named"),
    (lambda t: t, {"data.columns.categories": "clicked"}, "is the label"),
    (lambda t: t, {"data.columns.part": "age",
                   "data.columns.numbers": ""}, "a part is one of train"),
    (lambda t: t, {"data.columns.time": "shelf"}, "a time is a number"),
    (lambda t: t, {"model.kind": "din"}, "name a column of lists"),
    (lambda t: t, {"model.kind": "oracle"}, "model.kind='oracle': choose"),
    (lambda t: t, {"data.path": "none.csv"}, "no file is at none.csv"),
    (lambda t: t, {"data.path": ""}, "no data: name a dataset"),
    (lambda t: t, {"dataset": "criteo"}, "no dataset of clicks is named"),
    (lambda t: t, {"model.dropout": "1.0"}, "must be below 1"),
  ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused(
  change, more, message, tmp_path, monkeypatch
):
  pa.csv.write_csv(change(planted(rows=101)), tmp_path / "clicks.csv")
  monkeypatch.chdir(tmp_path)
  given = COLUMNS | SMALL | more
  config = options.load(
    ROOT / "configs" / "ctr" / "fm.py",
    ",".join(f"{k}={v}" for k, v in given.items()),
  )
  with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
    experiment.run(config, tmp_path / "run", progress=False)
  assert "\n" not in str(error.value)
  assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_file_of_two_encodings_is_one_line(tmp_path):
  text = "clicked,shelf,season,age,tags\n1,K\xf6ln,1,4,a\n0,Bonn,2,5,b\n"
  (tmp_path / "clicks.csv").write_bytes(text.encode("latin-1"))
  given = ",".join(f"{k}={v}" for k, v in (COLUMNS | SMALL).items())
  config = ROOT / "configs" / "ctr" / "fm.py"
  done = run_script(
    "train", f"--config={config}:{given}", "--workdir=run", cwd=tmp_path
  )
  assert done.status == 1
  assert "column 'shelf' holds text that is not UTF-8" in done.stderr
  assert len(done.stderr.strip().splitlines()) == 1
