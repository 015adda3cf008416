"""Purchase intention: rows that know nothing of the future, predictors."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from programs import ROOT

from adv_rec.data import events, intention
from adv_rec.data.intention import HISTORY, Rows, Task
from adv_rec.evaluation import intention as predictors
from adv_rec.experiments import experiment, options
from adv_rec.experiments import intention as experiments

DAY = 86_400
TASK = Task("purchase", ("campaign",), ("tea", "milk"))


def log_of(rows):
  """A log from (user, type, category, day, amount)."""
  names = ("user", "type", "category", "time", "amount")
  columns = [list(column) for column in zip(*rows, strict=True)]
  columns[3] = [round(day * DAY) for day in columns[3]]
  return events.make(pa.table(dict(zip(names, columns, strict=True))))


SMALL = [
  ("a", "purchase", "milk", 1, 3.0),
  ("a", "purchase", "milk", 15.5, 5.0),
  ("a", "purchase", "tea", 15.5, 2.0),
  ("a", "campaign", "x", 20, 0.0),
  ("a", "purchase", "soap", 27, 1.0),
  ("a", "purchase", "tea", 30, 2.0),
  ("b", "purchase", "tea", 2, 2.0),
  ("b", "purchase", "tea", 36, 2.0),
]


def test_rows_say_what_happened_before_and_in_their_week():
  rows = intention.calendar(log_of(SMALL), 0, [4], TASK)
  tea, milk = rows.features[:2]
  np.testing.assert_array_equal(tea[:4], [0, 1, 0, 0])  # 1 .. 4 weeks before
  np.testing.assert_array_equal(milk[:4], [0, 1, 0, 1])
  np.testing.assert_allclose([tea[4], milk[4]], 12.5)  # days since
  np.testing.assert_allclose([tea[5], milk[5]], np.log1p([2.0, 8.0]))
  np.testing.assert_array_equal(tea[6:10], [1, 1, 0, 1])  # moments
  np.testing.assert_allclose(tea[10:12], np.log1p([4, 1]))
  np.testing.assert_array_equal(rows.features[:2, 12:], np.eye(2))
  assert rows.label.tolist() == [True, False, False, False]
  assert rows.user.tolist() == [0, 0, 1, 1] and (rows.week == 4).all()
  # Who did nothing for four weeks is not asked about.
  assert set(intention.calendar(log_of(SMALL), 0, [5], TASK).user) == {0}


def planted(users=80, weeks=30, seed=0):
  """Half of the users buy tea every week, the others hardly; milk by chance."""
  rng = np.random.default_rng(seed)
  rows = []
  for user in range(users):
    for week in range(weeks):
      for name, chance in (("tea", (0.05, 0.9)[user % 2]), ("milk", 0.5)):
        if rng.random() < chance:
          day = 7 * week + rng.uniform(0, 7)
          rows.append((f"u{user}", "purchase", name, day, 1.0))
      if rng.random() < 0.2:
        rows.append((f"u{user}", "campaign", "x", 7 * week + 3, 0.0))
  return log_of(rows)


def test_the_future_changes_no_feature():
  log = planted()
  weeks = np.arange(HISTORY, 12)
  whole = intention.calendar(log, 0, weeks, TASK)
  past = log.take(log.time < 12 * 7 * DAY)
  cut = intention.calendar(past, 0, weeks, TASK)
  np.testing.assert_array_equal(whole.features, cut.features)
  np.testing.assert_array_equal(whole.label, cut.label)
  before = log.take(log.time < 11 * 7 * DAY)
  last = intention.calendar(before, 0, [11], TASK)
  now = whole.take(whole.week == 11)
  np.testing.assert_array_equal(now.features, last.features)
  assert now.label.any() and not last.label.any()


def test_weeks_of_a_sequence_are_those_that_it_covers():
  rows = intention.own_weeks(log_of(SMALL), TASK)
  # From the first event: "a" covers 4 whole weeks, "b" (34 days) as well; no
  # week remains after the history.
  assert len(rows.label) == 0 and rows.features.shape[1] == 14
  more = [*SMALL, ("a", "purchase", "milk", 40, 1.0)]
  rows = intention.own_weeks(log_of(more), TASK)
  assert set(rows.user) == {0} and set(rows.week) == {4}
  assert rows.label.tolist() == [True, False]  # day 30 is in days 29 .. 36


def test_predictors_find_what_is_planted():
  log = planted()
  train = intention.calendar(log, 0, [5, 7], TASK)
  test = intention.calendar(log, 0, [20], TASK)
  tea = test.category == 0
  for name in predictors.PREDICTORS:
    chance = predictors.predict(name, train, test, 0)
    found = predictors.scores(test.label[tea], chance[tea])
    assert found["auc"] > 0.85 and found["log_loss"] < 0.5, name
    chance = predictors.scores(test.label[~tea], chance[~tea])["auc"]
    assert abs(chance - 0.5) < 0.2, name


def test_oversampling_and_joining():
  log = planted(users=20)
  rows = intention.calendar(log, 0, [5], TASK)
  few = rows.take(np.append(np.flatnonzero(~rows.label), rows.label.argmax()))
  more = experiments.oversampled(few, np.random.default_rng(0))
  assert more.label.mean() == 0.5 and (~more.label).sum() == (~few.label).sum()
  both = experiments.join(few, rows, 3)
  assert isinstance(both, Rows) and len(both.label) == len(few.label) + 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pq.write_table(planted().table, tmp_path / "log.parquet")
  return tmp_path


def config(**more):
  given = {
    "data.path": "log.parquet",
    "task.every": "3",
    "task.categories": "2",
    "training": "likelihood",
    "model.dim": "8",
    "model.length": "16",
    "batch_size": "16",
    "steps": "5",
    "households": "0.5",
    **more,
  }
  arg = ",".join(f"{name}={value}" for name, value in given.items())
  return options.load(ROOT / "configs" / "intention" / "next_week.py", arg)


def test_a_run_compares_predictors(folder):
  result = experiment.run(config(), folder / "run", progress=False)
  assert result["steps"] == 5 and set(result["chosen"].values()) <= {
    "0.25",
    "1.0",
  }
  metrics = result["metrics"]
  for part in ("validation", "test"):
    for name in predictors.PREDICTORS:
      assert metrics[f"{part}/{name}_auc"] > 0.6
  json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
  ("more", "message"),
  [
    ({"training": "magic"}, "training='magic'"),
    ({"households": "0.0"}, "households=0.0: must be above 0"),
    (
      {"task.bought": "sale"},
      "no event has the type 'sale'; there are campaign",
    ),
    ({"task.test": "40"}, "the log covers 29 whole weeks"),
  ],
)
def test_bad_options_leave_nothing(more, message, folder):
  with pytest.raises(ValueError, match=message):
    experiment.run(config(**more), folder / "run", progress=False)
  assert not (folder / "run").exists()
