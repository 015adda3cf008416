"""Event sequences as a user meets them: a log, a run, more draws."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from events_test import table
from programs import ROOT
from programs import run as run_script

from adv_rec.data import events
from adv_rec.experiments import experiment, options, tabular

COLUMNS = {
  "data.columns.user": "customer",
  "data.columns.type": "what",
  "data.columns.category": "aisle",
  "data.columns.time": "when",
  "data.columns.amount": "paid",
}
SMALL = {
  "steps": "60",
  "evaluate_every": "0",
  "batch_size": "32",
  "learning_rate": "0.01",
  "model.dim": "16",
  "model.length": "6",
  "data.bins": "4",
  "adversary.weight": "0.0",
  "evaluation.samples": "200",
}


def given(**more):
  values = {"data.path": "log.csv"} | COLUMNS | SMALL | more
  return ",".join(f"{name}={value}" for name, value in values.items())


def train(cwd, workdir="run", **more):
  path = ROOT / "configs" / "generate" / "events.py"
  return run_script(
    "train",
    f"--config={path}:{given(**more)}",
    f"--workdir={workdir}",
    "--noprogress",
    cwd=cwd,
  )


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
  """A trained run in a directory, whose log is gone."""
  folder = tmp_path_factory.mktemp("events")
  pyarrow.csv.write_csv(table(users=300), folder / "log.csv")
  done = train(folder)
  assert done.status == 0, done.stderr
  (folder / "log.csv").unlink()
  return folder


@pytest.mark.slow
def test_more_is_drawn_from_the_workdir_alone(ran):
  source = table(users=300)
  command = "--workdir=run", "--rows=300", "--seed=1", "--out=a.parquet"
  done = run_script("generate", *command, cwd=ran)
  assert done.status == 0, done.stderr
  made = pq.ParquetFile(ran / "a.parquet").read()
  found, state = experiment.restore(ran / "run")
  assert found.sample is not None
  assert made.equals(found.sample(state, 300, 1))
  assert not made.equals(found.sample(state, 300, 2))
  assert made.column_names == source.column_names
  for name in ("customer", "what", "aisle"):
    assert made[name].type == pa.string()
  assert pa.types.is_timestamp(made["when"].type)
  assert len(set(made["customer"].to_pylist())) == 300
  assert not set(made["customer"].to_pylist()) & set(
    source["customer"].to_pylist()
  )
  for name in ("what", "aisle"):
    assert set(made[name].to_pylist()) <= set(source[name].to_pylist())
  for name in ("when", "paid"):
    seen, drawn = (np.array(t[name]) for t in (source, made))
    assert seen.min() <= drawn.min() and drawn.max() <= seen.max()

  # What was planted: at the moment of a purchase its aisle was looked at. In
  # the order of a log the purchase comes first.
  log = events.make(made)
  roles = ("type", "category")
  what, aisle = (np.array(log.column(role).to_pylist()) for role in roles)
  bought = np.flatnonzero(
    (what == "buy") & (np.arange(len(what)) < len(what) - 1)
  )
  then = bought + 1
  same = (log.user[then] == log.user[bought]) & (what[then] == "view")
  common = same & np.isin(aisle[bought], ["tea", "milk"])
  assert same.mean() > 0.75
  assert (aisle[then] == aisle[bought])[common].mean() > 0.75


@pytest.mark.parametrize(
  ("change", "more", "message"),
  [
    (lambda t: t.drop_columns("paid"), {}, "no column 'paid' (amount)"),
    (
      lambda t: replaced(t, "paid", [None]),
      {},
      "'paid' (amount) is empty or NaN",
    ),
    (
      lambda t: replaced(t, "when", ["soon"]),
      {},
      "(time) holds 'soon' in row 1",
    ),
    (lambda t: t.slice(0, 0), {}, "has no rows"),
    (lambda t: t.slice(0, 1), {}, "the log has 1 events of 1 users"),
    (lambda t: t, {"data.path": "none.csv"}, "no file is at none.csv"),
    (lambda t: t, {"model.kind": "oracle"}, "model.kind='oracle'"),
  ],
)
def test_bad_logs_leave_one_line_and_nothing_else(
  change, more, message, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  pyarrow.csv.write_csv(change(table(users=20)), "log.csv")
  config = options.load(
    ROOT / "configs" / "generate" / "events.py", given(**more)
  )
  with pytest.raises((ValueError, FileNotFoundError)) as error:
    experiment.run(config, tmp_path / "run", progress=False)
  assert message in str(error.value) and "\n" not in str(error.value)
  assert not (tmp_path / "run").exists()


def test_a_run_that_is_none_draws_nothing(tmp_path):
  with pytest.raises(FileNotFoundError, match="is this a workdir"):
    tabular.generate(tmp_path, 10, 0)


@pytest.mark.parametrize("kind", [pa.timestamp("ns", "UTC"), pa.date32()])
def test_parquet_keeps_its_types(kind, tmp_path):
  source = table(users=20)
  source = source.set_column(3, "when", source["when"].cast(kind, safe=False))
  source = source.set_column(
    2, "aisle", source["aisle"].combine_chunks().dictionary_encode()
  )
  pq.write_table(source, tmp_path / "log.parquet")
  roles = {k.rpartition(".")[2]: v for k, v in COLUMNS.items()}
  log = events.read(tmp_path / "log.parquet", roles)
  assert log.table.schema.field("when").type == kind
  assert log.table.schema.field("aisle").type == pa.string()
  assert log.day == 86_400_000_000 and log.num_users == 20


def replaced(source, name, first):
  """With other values in the first rows of a column, as text."""
  values = [str(x) for x in source[name].to_pylist()]
  values[: len(first)] = first
  column = source.column_names.index(name)
  return source.set_column(column, name, pa.array(values))
