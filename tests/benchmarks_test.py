"""The benchmarks: their bookkeeping, with programs and clocks of our own."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import contender  # noqa: E402
import race  # noqa: E402


@pytest.mark.parametrize("program", ["recommend", "scaling", "private_step"])
def test_help_says_what_is_measured(program):
  done = subprocess.run(
    [sys.executable, str(ROOT / "benchmarks" / f"{program}.py"), "--help"],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert "--out" in done.stdout
  assert "pip install '.[" in done.stdout
  assert "JSON" in done.stdout or ".json" in done.stdout


# The race, between programs whose curves and speeds are known.

CURVES = {  # quality after each epoch
  "slow": [0.1, 0.2, 0.3, 0.3],
  "fast": [0.1, 0.25, 0.24],
  "mine": [0.24, 0.29, 0.31, 0.32],
  "same kind": [0.2, 0.26, 0.27],
  "weak": [0.1, 0.1],
}
SECONDS = {"slow": 2.0, "fast": 0.5, "mine": 0.5, "same kind": 0.25}


def run(job):
  method = job["method"]
  if job["task"] == "curve":
    values = CURVES[method][: job["most"]]
    return {"curve": [[n + 1, q] for n, q in enumerate(values)]}
  if job["task"] == "epoch":
    return {"seconds": SECONDS[method]}
  seconds = job["epochs"] * SECONDS[method]
  return {
    "epochs": job["epochs"],
    "first_seconds": seconds + 4.0 * (method == "mine"),
    "warm_seconds": seconds,
    "peak_mb": 1.0,
  }


def entry(method, *rivals):
  return race.Entry(method, {}, 1, len(CURVES[method]), rivals)


@pytest.fixture(scope="module")
def raced():
  return race.race(
    [entry("slow"), entry("fast")],
    [entry("mine"), entry("same kind", "fast"), entry("weak")],
    run,
    2,
    progress=lambda line: None,
  )


def test_a_peer_is_clocked_to_its_first_best_checkpoint(raced):
  slow, fast = raced["peers"]
  assert (slow["epochs"], slow["best"], slow["warm_seconds"]) == (3, 0.3, 6.0)
  assert (fast["epochs"], fast["best"], fast["warm_seconds"]) == (2, 0.25, 1.0)


def test_ours_is_clocked_to_the_quality_of_the_better_peer(raced):
  mine = raced["ours"][0]
  assert raced["standard"] == mine["rival"] == "slow"
  assert mine["epochs"] == 3  # the first of at least 0.3
  assert mine["ratios"]["warm"] == pytest.approx(6.0 / 1.5)
  assert mine["ratios"]["first"] == pytest.approx(6.0 / 5.5)
  assert raced["ratios"] == mine["ratios"]


def test_a_method_faster_to_less_does_not_win(raced):
  same = raced["ours"][1]
  assert same["rival"] == "fast" and same["epochs"] == 2
  assert same["warm_seconds"] < raced["ours"][0]["warm_seconds"]
  assert raced["winner"] == "mine"


def test_a_quality_that_is_never_reached_has_no_ratio(raced):
  weak = raced["ours"][2]
  assert not weak["reached"] and "warm_seconds" not in weak
  assert weak["ratios"] == {"first": None, "warm": None}
  peers, ours = [entry("slow")], [entry("weak")]
  alone = race.race(peers, ours, run, 2, progress=lambda line: None)
  assert alone["winner"] is None and alone["ratios"]["warm"] is None


def test_epochs_are_compared_with_the_fastest_peer():
  found = race.epochs_side_by_side(
    {"slow": {}, "fast": {}, "mine": ""}, "mine", 1_000_000, run, 3, 5, print
  )
  assert found["ratio"] == 1.0
  assert found["methods"]["slow"]["triples_per_second"] == 500_000
  assert found["over_recbole"] == pytest.approx(2e6 / race.RECBOLE)


def test_verdicts_say_what_is_missed(raced):
  epoch = {"ratio": 1.6, "over_recbole": 10.0}
  part = {"race": raced, "epoch": epoch}
  slow = part | {"evaluation": {"warm_seconds": 0.6}}
  met = [row["met"] for row in race.verdicts({"d": slow})]
  assert met == [True, False, False, True, False]
  never = raced | {"ratios": {"first": None, "warm": None}}
  rows = race.verdicts({"d": part | {"race": never}})
  assert [row["met"] for row in rows] == [False, False, False, True]
  json.dumps(rows, allow_nan=False)


# One contender.


class Fake:
  """A program that says in its tables how many epochs it has played."""

  def ready(self, epochs):
    return lambda: (np.full((96, 1), epochs), np.ones((64, 1)))

  def curve(self, every, most, visit):
    for epochs in range(every, most + 1, every):
      visit(epochs, self.ready(epochs)())


def test_fits_are_clocked_one_by_one_and_evaluated_after_all():
  made = []

  def make_quality():
    made.append(True)
    return lambda tables: float(tables[0][0, 0])

  found = contender.measure(Fake(), 7, 3, make_quality)
  assert made == [True]
  assert found["quality"] == [7.0] * 3 and len(found["seconds"]) == 3
  assert found["first_seconds"] == found["seconds"][0] >= 0
  assert found["warm_seconds"] == np.median(found["seconds"][1:])
  assert found["peak_mb"] >= found["before_mb"] > 0


def test_the_curve_has_the_epochs_that_were_asked_for():
  points = contender.curve(Fake(), 5, 17, lambda tables: tables[0][0, 0])
  assert points == [(5, 5), (10, 10), (15, 15)]


def test_quality_is_that_of_the_evaluator(planted_data):
  """Scores that know the validation items reach nDCG 1, and their negation,
  with the history masked, as good as nothing.
  """
  scores = np.zeros((96, 64), np.float32)
  scores[planted_data.validation.user, planted_data.validation.item] = 1
  quality = contender.validation_quality(planted_data)
  assert quality((scores, np.eye(64))) == pytest.approx(1.0)
  assert quality((-scores, np.eye(64))) == 0.0


@pytest.mark.parametrize(
  "method", ["ridge SVD", "EASE", "iALS", "BPR", "softmax"]
)
def test_our_contenders_learn_the_planted_tastes(method, prepared):
  settings = {
    "ridge SVD": "model.dim=4",
    "EASE": "l2=10",
    "iALS": "model.dim=4",
    "BPR": "batch_size=32,model.dim=4,learning_rate=0.1",
    "softmax": "batch_size=32,model.dim=4,learning_rate=0.05",
  }[method]
  job = {
    "data": str(prepared),
    "method": method,
    "settings": settings,
    "cores": 1,
    "seed": 0,
  }
  shown = contender.run(job | {"task": "curve", "every": 2, "most": 6})
  found = contender.run(job | {"task": "fit", "epochs": 6, "repeats": 2})
  assert [n for n, _ in shown["curve"]] == (
    [1] if method in ("ridge SVD", "EASE") else [2, 4, 6]
  )
  # The clocked fit is the one that was looked at.
  assert found["quality"] == pytest.approx(
    [shown["curve"][-1][1]] * 2, rel=1e-3
  )
  chance = 10 / 56
  assert found["quality"][0] > 1.3 * chance
  assert found["warm_seconds"] > 0


def test_an_epoch_of_ours_is_read_from_its_log(prepared):
  job = {
    "data": str(prepared),
    "method": "BPR",
    "settings": "batch_size=32",
    "cores": 1,
    "seed": 0,
    "task": "epoch",
    "epochs": 6,
  }
  assert contender.run(job)["seconds"] > 0


def test_test_users_are_ranked_without_a_word_on_quality(prepared):
  job = {"data": str(prepared), "task": "evaluate", "repeats": 2}
  found = contender.run(job)
  assert found["users"] == 96
  assert set(found) == {"seconds", "warm_seconds", "users"}


# Scaling.


@pytest.fixture(scope="module")
def scaling(own_flags):
  import scaling as module

  return module


def test_slope_and_excess_are_what_they_say(scaling):
  rows = [{"n": n, "seconds": 3.0 * n**1.2} for n in (10, 100, 1000)]
  assert scaling.slope(rows, "n") == pytest.approx(1.2)
  expected = np.array([1.0, -2.0])
  assert scaling.excess(expected, expected) == 0.0
  far = scaling.excess(np.array([1.0, -2.0004]), expected)
  assert far == pytest.approx(0.0004 / (1e-6 + 2e-4), rel=1e-3)


def test_growth_is_measured_and_drawn(scaling, tmp_path):
  epoch = scaling.growing_data((64, 64, 512), (1, 8), epochs=2)
  assert [row["interactions"] for row in epoch["rows"]] == [512, 4096]
  step = scaling.growing_catalogue(64, (1,), 1)
  assert step["growth"] == 1
  assert all(row["sparse"] > 0 < row["dense"] for row in step["rows"])
  result = {"epoch": epoch, "step": step, "devices": {"worst": 2.0}}
  assert [row["met"] for row in scaling.verdicts(result)][-1] is False
  pytest.importorskip("matplotlib")
  scaling.draw(result, tmp_path / "scaling.svg")
  assert "interactions" in (tmp_path / "scaling.svg").read_text()


def test_more_devices_train_alike(scaling):
  found = scaling.growing_devices((1, 2), 256)
  assert [row["rows_a_device"] for row in found["rows"]] == [256, 128]
  assert 0 <= found["worst"] <= 1
