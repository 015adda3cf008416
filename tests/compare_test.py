"""Paired bootstrap: closed forms, coverage, symmetry."""

import math

import numpy as np
import pytest

from adv_rec.evaluation import compare


def users(*columns):
  names = ("user", "ndcg@10", "recall@10")
  ids = np.arange(len(columns[0]))
  return dict(zip(names, (ids, *columns), strict=False))


def normal(seed, n=60, mean=0.0):
  rng = np.random.default_rng(seed)
  one = rng.normal(size=n)
  return users(one + rng.normal(mean, 0.5, n)), users(one)


def test_the_interval_covers_the_truth_19_times_in_20():
  covered, rejected = [], []
  for seed in range(400):
    found = compare.paired_bootstrap(
      *normal(seed, mean=0.2), resamples=500, seed=seed
    )["ndcg@10"]
    covered.append(found.low <= 0.2 <= found.high)
    found = compare.paired_bootstrap(*normal(seed), resamples=500, seed=seed)
    rejected.append(found["ndcg@10"].p_value < 0.05)
  # 400 draws: standard error .011; a bootstrap of 60 is a little too short.
  assert 0.91 <= np.mean(covered) <= 0.98
  assert 0.02 <= np.mean(rejected) <= 0.09


def test_interval_and_p_value_of_many_users_are_those_of_the_normal():
  first, second = normal(3, n=2000, mean=0.03)
  found = compare.paired_bootstrap(first, second, resamples=5000)["ndcg@10"]
  paired = first["ndcg@10"] - second["ndcg@10"]
  error = paired.std() / np.sqrt(2000)
  assert found.difference == pytest.approx(paired.mean())
  assert found.low == pytest.approx(paired.mean() - 1.96 * error, abs=8e-4)
  assert found.high == pytest.approx(paired.mean() + 1.96 * error, abs=8e-4)
  expected = math.erfc(abs(paired.mean()) / error / math.sqrt(2))
  assert found.p_value == pytest.approx(expected, abs=0.03)


def test_exchanging_the_runs_exchanges_the_signs():
  first, second = normal(1, mean=0.1)
  there = compare.paired_bootstrap(first, second)["ndcg@10"]
  back = compare.paired_bootstrap(second, first)["ndcg@10"]
  assert there.difference == -back.difference
  assert there.p_value == back.p_value
  np.testing.assert_allclose(
    (there.low, there.high), (-back.high, -back.low), rtol=1e-12
  )


def test_a_run_does_not_differ_from_itself():
  first, _ = normal(2)
  found = compare.paired_bootstrap(first, first)["ndcg@10"]
  assert (found.difference, found.low, found.high) == (0, 0, 0)
  assert found.p_value == 1


def test_a_constant_difference_is_certain():
  first, second = users(np.full(30, 0.5)), users(np.full(30, 0.25))
  found = compare.paired_bootstrap(first, second, resamples=999)["ndcg@10"]
  assert (found.low, found.high) == (0.25, 0.25)
  assert found.p_value == 1 / 1000


def test_users_are_paired_by_code_and_nan_is_left_out():
  one = np.array([0.1, np.nan, 0.5, 0.3])
  order = np.array([2, 0, 3, 1])
  shuffled = {"user": order, "ndcg@10": one[order] - 0.125}
  found = compare.paired_bootstrap(users(one), shuffled)["ndcg@10"]
  assert found.users == 3
  assert found.difference == pytest.approx(0.125)
  assert found.first == pytest.approx(0.3)


def test_chunks_do_not_show(monkeypatch):
  rng = np.random.default_rng(0)
  columns = rng.normal(size=(2, 70))
  one, other = users(*columns), users(*rng.normal(size=(2, 70)))
  whole = compare.paired_bootstrap(one, other, resamples=100)
  monkeypatch.setattr(compare, "_CELLS", 7 * 70)
  parts = compare.paired_bootstrap(one, other, resamples=100)
  assert list(whole) == ["ndcg@10", "recall@10"]
  for name in whole:
    np.testing.assert_allclose(whole[name], parts[name], rtol=1e-12)


def test_what_cannot_be_compared_is_refused():
  first, second = normal(0)
  with pytest.raises(ValueError, match="different users"):
    compare.paired_bootstrap(first, users(second["ndcg@10"][:-1]))
  with pytest.raises(ValueError, match="no metric in common"):
    compare.paired_bootstrap(first, {"user": first["user"]})
  nothing = users(np.full(60, np.nan))
  with pytest.raises(ValueError, match="nothing to compare"):
    compare.paired_bootstrap(first, nothing)
