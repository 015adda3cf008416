"""Accounts against closed forms and each other; the ledger; the secret."""

import json
import math
import stat
import subprocess
import sys

import numpy as np
import pytest
from scipy import optimize, stats

from adv_rec.data import batching
from adv_rec.data.poisson import Poisson
from adv_rec.privacy import accounting, secret
from adv_rec.privacy.accounting import Gaussian, calibrate, epsilon
from adv_rec.privacy.ledger import Budget, Ledger

DELTA = 1e-5
STEPS = Gaussian(1.0, 50, "poisson", 0.04, 2500, 200)


def exact(noise):
  """Balle & Wang 2018 (arXiv:1805.06530), theorem 8, of one Gaussian."""

  def excess(e):
    a, b = 0.5 / noise - e * noise, -0.5 / noise - e * noise
    return stats.norm.cdf(a) - math.exp(e) * stats.norm.cdf(b) - DELTA

  return optimize.brentq(excess, 0, 50)


@pytest.mark.parametrize("noise", [0.8, 2.0, 10.0])
def test_a_gaussian_alone_and_many_of_them(noise):
  found = epsilon([Gaussian(noise)], DELTA)
  assert exact(noise) <= found < exact(noise) * 1.01 + 1e-3
  assert found < epsilon([Gaussian(noise)], DELTA, "rdp") < 1.5 * found
  # n of them are one of noise / sqrt n; in two parts as in one.
  parts = [Gaussian(2 * noise), Gaussian(2 * noise, 3)]
  assert epsilon(parts, DELTA) == pytest.approx(found, rel=5e-3)


def test_sampling_and_steps_count():
  whole = epsilon([STEPS], DELTA)
  assert whole < epsilon([STEPS], DELTA, "rdp") < 1.4 * whole
  all_of_it = STEPS._replace(probability=1.0, count=1)
  without = Gaussian(1.0)
  assert epsilon([all_of_it._replace(capacity=None)], DELTA) == pytest.approx(
    epsilon([without], DELTA)
  )
  for change in ({"count": 100}, {"probability": 0.06}, {"capacity": 110}):
    assert epsilon([STEPS._replace(**change)], DELTA) > 1.05 * whole
  assert epsilon([STEPS, Gaussian(5.0)], DELTA) > whole
  assert epsilon([STEPS._replace(noise_multiplier=0.0)], DELTA) == math.inf
  assert epsilon([STEPS._replace(capacity=110)], DELTA, "rdp") == math.inf
  assert epsilon([], DELTA) == 0


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_calibrated_noise_is_just_enough(accountant):
  def make(noise):
    return [STEPS._replace(noise_multiplier=noise), Gaussian(10.0)]

  noise = calibrate(2.0, DELTA, make, accountant)
  assert 1.98 < epsilon(make(noise), DELTA, accountant) <= 2.0
  with pytest.raises(ValueError, match="what is spent beside it is too much"):
    calibrate(0.2, DELTA, make, accountant)


def test_only_the_sampler_that_is_used_is_accounted_for():
  rows = {"x": np.arange(100)}
  sampler = Poisson(rows, 10, bytes(32), updates=2)
  assert accounting.steps(sampler, 1.5, 7) == Gaussian(
    1.5, 14, "poisson", 0.1, 100, sampler.sampling.capacity
  )
  shuffled = batching.stream(lambda epoch: rows, 100, 10)
  with pytest.raises(ValueError, match="no samples that an accountant covers"):
    accounting.steps(shuffled, 1.5, 7)
  for wrong in (
    {"sampler": "shuffle"},
    {"sampler": "all"},
    {"probability": 0.0},
    {"units": None},
    {"noise_multiplier": -1.0},
  ):
    with pytest.raises(ValueError):
      epsilon([STEPS._replace(**wrong)], DELTA)
  for delta, name in ((0.0, "pld"), (DELTA, "moments")):
    with pytest.raises(ValueError, match="accountant="):
      epsilon([STEPS], delta, name)


# The ledger.

BUDGET = Budget(1.0, DELTA, "row", "rdp")
ONE = Gaussian(5.0)  # epsilon .79 alone by rdp


def test_spends_add_up_to_the_budget(tmp_path):
  path = tmp_path / "privacy" / "ledger.jsonl"
  ledger = Ledger(path, BUDGET)
  assert ledger.epsilon() == 0
  one = ledger.spend("counts", ONE, "s")
  assert one == ledger.epsilon() == pytest.approx(epsilon([ONE], DELTA, "rdp"))
  text = path.read_text()
  with pytest.raises(ValueError, match=r"above the budget of 1; nothing is"):
    ledger.spend("training", ONE, "s")
  with pytest.raises(ValueError, match="bring epsilon to inf"):
    ledger.spend("raw", Gaussian(0.0), "s")
  assert path.read_text() == text
  two = ledger.spend("training", Gaussian(20.0), "s")
  assert one < two == ledger.epsilon() < 1
  assert [line["name"] for line in ledger.spends()] == ["counts", "training"]


def test_started_again_it_spends_once(tmp_path):
  path = tmp_path / "ledger.jsonl"
  first = Ledger(path, BUDGET).spend("counts", ONE, "s")
  text = path.read_text()
  again = Ledger(path, BUDGET)
  assert again.spend("counts", ONE, "s") == first and path.read_text() == text
  for what, whose in ((ONE, "another"), (Gaussian(7.0), "s")):
    with pytest.raises(ValueError, match="with another content"):
      again.spend("counts", what, whose)
  with pytest.raises(ValueError, match="ledger of another budget"):
    Ledger(path, BUDGET._replace(epsilon=2.0))
  # A line without an end was not spent: `spend` had not returned.
  path.write_bytes(path.read_bytes() + b'{"name": "train')
  assert Ledger(path, BUDGET).epsilon() == first and path.read_text() == text
  path.write_text(text + "what\n")
  with pytest.raises(ValueError, match="damaged"):
    Ledger(path, BUDGET)


def test_a_spend_is_on_the_disk_before_anything_is_drawn(tmp_path):
  """Killed at the first moment after `spend`, the line is there."""
  program = f"""
import os, pathlib
from adv_rec.privacy.ledger import *
path = pathlib.Path({str(tmp_path / "ledger.jsonl")!r})
calls = []
real = os.fsync
os.fsync = lambda f: (calls.append(path.stat().st_size), real(f))
Ledger(path, Budget(1.0, 1e-5, "row", "rdp")).spend("x", Gaussian(9.0), "s")
assert calls[-1] == path.stat().st_size, calls
os._exit(9)
"""
  done = subprocess.run([sys.executable, "-c", program], capture_output=True)
  assert done.returncode == 9, done.stderr
  assert Ledger(tmp_path / "ledger.jsonl", BUDGET).spends()[0]["name"] == "x"


def test_the_secret_lives_as_long_as_the_run(tmp_path):
  path = tmp_path / "secret"
  found = secret.keep(path)
  assert len(found) == 32 and secret.keep(path) == found
  assert stat.S_IMODE(path.stat().st_mode) == 0o600
  assert secret.digest(found) not in found.hex()
  secret.forget(path)
  assert not list(tmp_path.iterdir())
  secret.forget(path)
  assert secret.keep(path) != found
  path.write_bytes(b"short")
  with pytest.raises(ValueError, match="damaged: 5 bytes"):
    secret.keep(path)
  json.dumps(secret.digest(found))
