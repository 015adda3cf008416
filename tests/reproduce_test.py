"""Tables: every one can be run; runs, failures, means; docs/results.md."""

import json
import re
import statistics
import sys

import programs
import pytest

from adv_rec.data import dataset as prepared_data
from adv_rec.experiments import reproduce, tabulate
from adv_rec.report import tables

ROOT = programs.ROOT
FILES = sorted((ROOT / "configs" / "tables").glob("*.py"))
TABLE = {
  "title": "A table",
  "protocol": "As it\n  pleases.",
  "metrics": ["ndcg@10", "coverage@10"],
  "seeds": 2,
  "published": [
    {"method": "Old", "source": "A paper", "metrics": {"ndcg@10": 0.25}},
    {"method": "Peer", "kind": "measured", "source": "x", "metrics": {}},
  ],
  "runs": [
    {"method": "New | best", "config": "configs/recommend/bpr.py"},
    {
      "method": "EASE",
      "config": "configs/recommend/ease.py",
      "options": "l2=7",
      "seeds": 1,
    },
  ],
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_table_can_be_run(file, tmp_path):
  table = reproduce.load(file)
  jobs = reproduce.plan(table, tmp_path)
  assert len({job.workdir for job in jobs}) == len(jobs) > len(table["runs"])
  for job in jobs:
    assert not reproduce.finished(job, ROOT)  # its config and options are good
  assert f"reproduce.py --table={file.stem}" in file.read_text()
  for row in table.get("published", ()):
    assert row["source"] and set(row["metrics"]) <= set(table["metrics"])


def result(job, value=None, **changes):
  """What a run of the job would leave, in its workdir."""
  value = 0.5 + job.seed / 4 if value is None else value
  made = {
    "metrics": {"test/ndcg@10": value, "test/coverage@10": 100 + job.seed},
    "dataset": {"name": "d", "fingerprint": "f", "counts": {"users": 1234}},
    "robustness": [
      {
        "attack": "fgm",
        "relative_epsilon": e,
        "epsilon": {"user": e, "item": 2 * e},
        "ndcg@10": value * (1 - e) ** (1 + job.seed),
      }
      for e in (0.0, 0.5)
    ],
    "commit": "abc",
    "device": {"platform": "cpu", "kind": "x86"},
    "wall_seconds": 2.0 + job.seed,
    **changes,
  }
  job.workdir.mkdir(parents=True)
  (job.workdir / "result.json").write_text(json.dumps(made))


def test_runs_are_planned_by_seeds_and_deterministic_ones_once(tmp_path):
  jobs = reproduce.plan(TABLE, tmp_path)
  data = f"data.prepared={tmp_path / 'data'}"
  assert [(job.method, job.options) for job in jobs] == [
    ("New | best", f"{data},seed=0"),
    ("EASE", f"{data},l2=7,seed=0"),
    ("New | best", f"{data},seed=1"),
  ]
  assert jobs[0].workdir == tmp_path / "runs" / "New_best" / "0"
  assert len(reproduce.plan(TABLE, tmp_path, 5)) == 6


def test_rows_are_means_and_deviations_over_seeds(tmp_path):
  jobs = reproduce.plan(TABLE, tmp_path)
  for job in jobs:
    result(job)
  found = tabulate.summarize("name", TABLE, jobs)
  old, peer, new, ease = found["rows"]
  assert (old["kind"], peer["kind"]) == ("published", "measured")
  assert new["kind"] == ease["kind"] == "measured"
  assert new["metrics"] == {"ndcg@10": 0.625, "coverage@10": 100.5}
  assert new["sd"]["ndcg@10"] == statistics.stdev([0.5, 0.75])
  assert {s: m["ndcg@10"] for s, m in new["by_seed"].items()} == {
    "0": 0.5,
    "1": 0.75,
  }
  assert (new["seeds"], new["wall_seconds"]) == (2, 2.5)
  assert (ease["seeds"], ease["sd"]) == (1, {})
  assert ease["options"] == "l2=7"
  assert new["robustness"][1]["ndcg@10"] == (0.25 + 0.75 / 4) / 2
  assert new["robustness"][1]["epsilon"] == {"user": 0.5, "item": 1.0}
  assert found["dataset"]["fingerprint"] == "f"
  assert found["command"].endswith("--table=name --seeds=2")

  text = tables.text(found)
  assert text.splitlines()[:2] == [
    "A table",
    "As it pleases. 1,234 users.",
  ]
  assert re.search(r"New \| best +0.6250 ± 0.1768 +\d+ ± 1 +2 ", text)
  assert re.search(r"Old +0.250 +- +A paper", text)
  page = tables.document([found])
  assert r"| New \| best | 0.6250 ± 0.1768 |" in page
  assert "| EASE | 0.5000 | 100 | 1 | 2.0 | configs/recommend/ease.py" in page
  assert "| New \\| best | 0.35 |\n" in page  # share kept, under attack
  for file, svg in tables.pictures(found).items():
    assert f"({file})" in page
    assert svg.startswith("<svg")


def test_pairs_are_compared_seed_by_seed(tmp_path):
  table = {
    **TABLE,
    "paired": [("New | best", "Control")],
    "runs": [
      {**run, "seeds": 3} for run in (*TABLE["runs"][:1], TABLE["runs"][0])
    ],
  }
  table["runs"][1]["method"] = "Control"
  jobs = reproduce.plan(table, tmp_path, 3)
  for job in jobs:
    if (job.method, job.seed) != ("Control", 2):  # which is left out
      result(job, 0.5 if job.method == "Control" else None)
  found = tabulate.summarize("name", table, jobs)
  (pair,) = found["paired"]
  assert (pair["method"], pair["seeds"]) == ("New | best", 2)
  ndcg = pair["differences"]["ndcg@10"]
  assert ndcg["mean"] == pytest.approx(0.125)  # of 0 and .25
  assert ndcg["sd"] == pytest.approx(statistics.stdev([0.0, 0.25]))
  assert pair["differences"]["kept fgm 0.5"]["mean"] == pytest.approx(0.0)
  assert "minus Control, paired over 2 seeds" in tables.text(found)


def test_missing_runs_are_left_out(tmp_path):
  jobs = reproduce.plan(TABLE, tmp_path)
  result(jobs[2])
  new = tabulate.summarize("name", TABLE, jobs)["rows"][2:]
  assert [(row["method"], row["seeds"]) for row in new] == [("New | best", 1)]


def test_a_table_has_one_protocol_and_all_its_metrics(tmp_path):
  jobs = reproduce.plan(TABLE, tmp_path)
  result(jobs[0])
  result(jobs[1], dataset={"fingerprint": "g"})
  with pytest.raises(ValueError, match="one protocol"):
    tabulate.summarize("name", TABLE, jobs)
  jobs = reproduce.plan(TABLE, tmp_path / "other")
  result(jobs[0], metrics={"test/ndcg@10": 1.0})
  with pytest.raises(ValueError, match="no test/coverage@10"):
    tabulate.summarize("name", TABLE, jobs)


def test_rows_may_have_data_of_their_own(tmp_path):
  table = TABLE | {"own_data": True}
  jobs = reproduce.plan(table, tmp_path)
  for job in jobs:
    data = {"name": job.method, "fingerprint": job.method[:4]}
    result(job, dataset=data)
  found = tabulate.summarize("t", table, jobs)
  assert found["dataset"] == {"fingerprint": "EASE, New "}
  assert [row["dataset"]["name"] for row in found["rows"][2:]] == [
    "New | best",
    "EASE",
  ]
  assert tabulate.summarize("t", table, [], found) == found
  assert "Data EASE, New ;" in tables.markdown(found)
  jobs = reproduce.plan(table, tmp_path / "one row, two data")
  result(jobs[0], dataset={"fingerprint": "f"})
  result(jobs[2], dataset={"fingerprint": "g"})
  with pytest.raises(ValueError, match="one protocol"):
    tabulate.summarize("t", table, jobs)


def test_a_row_may_lack_an_extra_column(tmp_path):
  jobs = reproduce.plan(TABLE, tmp_path)
  for job in jobs:
    metrics = {"test/ndcg@10": 0.5, "test/coverage@10": 9}
    metrics |= {"test/identity": 0.25} if job.method == "EASE" else {}
    result(job, metrics=metrics)
  found = tabulate.summarize("t", TABLE | {"extra": ["identity"]}, jobs)
  assert found["metrics"] == ["ndcg@10", "coverage@10", "identity"]
  rows = {row["method"]: row["metrics"] for row in found["rows"]}
  assert rows["EASE"]["identity"] == 0.25
  assert "identity" not in rows["New | best"]
  assert "0.25" in tables.text(found)


def test_rows_that_are_not_run_are_taken_from_an_older_file(tmp_path):
  table = TABLE | {"paired": [("New | best", "EASE")]}
  jobs = reproduce.plan(table, tmp_path / "old")
  for job in jobs:
    result(job)
  old = tabulate.summarize("t", table, jobs)
  again = reproduce.only(reproduce.plan(table, tmp_path / "new"), ["EASE"])
  assert [job.method for job in again] == ["EASE"]
  result(again[0], 0.125, commit="def")
  new = tabulate.summarize("t", table, again, old)
  rows = {row["method"]: row for row in new["rows"]}
  assert rows["New | best"] == old["rows"][2]
  assert rows["EASE"]["metrics"]["ndcg@10"] == 0.125
  assert rows["EASE"]["commit"] == "def"
  assert "paired" not in new  # one of the pair was run anew, the other not
  assert tabulate.summarize("t", table, [], old) == old
  with pytest.raises(ValueError, match="no row 'NeuMF'"):
    reproduce.only(jobs, ["NeuMF"])


def test_one_failing_run_does_not_lose_the_others(tmp_path):
  jobs = reproduce.plan(TABLE, tmp_path)
  program = "import sys; print('started'); sys.exit({!r})"
  stops = iter([None, "error: no luck", None])
  failed = reproduce.execute(
    jobs, lambda job: [sys.executable, "-c", program.format(next(stops))], 2
  )
  assert failed == {jobs[1]: "error: no luck"}
  assert all("started" in job.log.read_text() for job in jobs)


def test_no_more_processes_than_asked(tmp_path):
  table = {**TABLE, "seeds": 3}
  jobs = reproduce.plan(table, tmp_path)
  log = tmp_path / "log"
  program = (
    "import time; f = open({!r}, 'ab', buffering=0); f.write(b'+');"
    "time.sleep(.5); f.write(b'-')"
  )
  command = [sys.executable, "-c", program.format(str(log))]
  assert not reproduce.execute(jobs, lambda job: command, 2)
  running, most = 0, 0
  for mark in log.read_text():
    running += 1 if mark == "+" else -1
    most = max(most, running)
  assert (running, most) == (0, 2)


def test_finished_runs_of_the_same_config_are_kept(prepared, tmp_path):
  """With the real program: trained once, then known as finished."""
  options = f"dataset=,data.prepared={prepared},evaluation.ks=(5,10)"
  run = {"method": "Popularity", "config": "configs/recommend/popularity.py"}
  table = {**TABLE, "seeds": 1, "runs": [{**run, "options": options}]}
  (job,) = reproduce.plan(table, tmp_path)

  def command(job):
    return [
      sys.executable,
      str(ROOT / "scripts/train.py"),
      f"--config={ROOT / job.config}:{job.options}",
      f"--workdir={job.workdir}",
      "--noprogress",
    ]

  assert not reproduce.finished(job, ROOT)
  reproduce.prepare([job], ROOT, tmp_path)
  assert prepared_data.load(tmp_path / "data").fingerprint
  other = job._replace(options=f"{job.options},data.seed=3")
  with pytest.raises(ValueError, match="asks for other data"):
    reproduce.prepare([job, other], ROOT, tmp_path)
  with pytest.raises(ValueError, match="has the data of another table"):
    reproduce.prepare([other], ROOT, tmp_path)
  assert reproduce.execute([job], command) == {}
  assert reproduce.finished(job, ROOT)
  assert not reproduce.finished(job._replace(options="seed=1"), ROOT)
  row = tabulate.summarize("name", table, [job])["rows"][-1]
  assert row["metrics"]["ndcg@10"] > 0 and row["commit"] is not None


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"metrics": []}, "no 'metrics'"),
    ({"runs": TABLE["runs"] * 2}, "two runs of the table are called 'New_"),
  ],
)
def test_bad_tables_are_refused(change, message, tmp_path):
  file = tmp_path / "bad.py"
  file.write_text(f"def get_table():\n  return { {**TABLE, **change}!r}\n")
  with pytest.raises(ValueError, match=message):
    reproduce.load(file)


def test_results_page_says_what_the_result_files_say():
  files = (ROOT / "docs" / "results").glob("*.json")
  found = [json.loads(file.read_text()) for file in files]
  page = tables.document([result for result in found if "table" in result])
  assert (ROOT / "docs" / "results.md").read_text() == page
