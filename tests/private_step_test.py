"""The benchmark of private steps: its bookkeeping."""

import pathlib
import sys

import pytest
from absl import flags

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def private_step(own_flags):
  import private_step as module

  return module


def test_private_steps_are_judged_against_plain_ones_and_opacus(private_step):
  def rates(**speed):
    names = {name.replace("_", " "): v for name, v in speed.items()}
    return {
      n: {"median": v, "least": v, "greatest": v} for n, v in names.items()
    }

  found = rates(ours_plain=180.0, ours_private=100.0, opacus_ghost=100.0)
  rows = private_step.targets(found)
  assert [row["met"] for row in rows] == [True, False]
  assert [row["found"] for row in rows] == [1.8, 1.0]
  alone = private_step.targets(rates(ours_plain=181.0, ours_private=100.0))
  assert [row["met"] for row in alone] == [False]
  text = private_step.text({"samples_per_second": found, "targets": rows})
  assert "opacus ghost" in text and text.count("missed") == 1


def test_turns_are_clocked_in_samples_a_second(private_step):
  flags.FLAGS(["private_step", "--rounds=3", "--calls=2"])
  seconds = iter([9.0, 1.0, 2.0, 4.0])  # the first call compiles
  found = private_step._by_turns({"one": lambda calls: next(seconds)})
  samples = 2 * 50 * 256
  assert found["one"] == {
    "median": samples / 2,
    "least": samples / 4,
    "greatest": samples / 1,
  }
