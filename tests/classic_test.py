"""Behaviour as vectors, and the classic GANs of it."""

import numpy as np
import pytest

from adv_rec.data import behaviour
from adv_rec.experiments import classic, experiment, options


def test_spending_is_that_of_the_log():
  made = behaviour.spending(types=300)
  assert made.rows.shape == (2469, 300) and made.condition.shape == (2469, 0)
  assert made.rows.min() == -1 and made.rows.max() == 1
  # Column by column from nothing to the most, and mostly nothing.
  np.testing.assert_allclose(made.rows.max(axis=0), 1)
  assert (made.rows == -1).mean() > 0.5
  # Ordered by the number of purchases.
  bought = (made.rows > -1).mean(axis=0)
  assert bought[:10].min() > 0.4 > bought[-10:].max()
  with pytest.raises(ValueError, match="fewer than 100000"):
    behaviour.spending(types=100_000)


def test_a_quarter_follows_from_the_quarters_before():
  made = behaviour.next_purchases(categories=20)
  assert made.rows.shape == (2469, 20) and made.condition.shape == (2469, 40)
  before, best = np.split(made.condition, 2, axis=1)
  np.testing.assert_array_equal(best.sum(axis=1), 1)
  found = [
    np.corrcoef(a, b)[0, 1] for a, b in zip(made.rows.T, before.T, strict=True)
  ]
  shuffled = np.random.default_rng(0).permutation(before)
  chance = [
    np.corrcoef(a, b)[0, 1]
    for a, b in zip(made.rows.T, shuffled.T, strict=True)
  ]
  assert np.mean(found) > 0.3 > 0.1 > np.abs(chance).mean()


def test_habits_and_genres():
  made = behaviour.habits()
  assert made.rows.shape == (2469, len(behaviour.HABITS))
  # The more baskets, the more weeks in which there was one.
  assert np.corrcoef(made.rows[:, 0], made.rows[:, -1])[0, 1] > 0.7
  assert made.rows.std(axis=0).min() > 0.02
  try:
    genres = behaviour.genres()
  except FileNotFoundError as error:
    pytest.skip(str(error))
  assert genres.rows.shape[0] == 943
  assert genres.rows.min() >= -1 and genres.rows.max() <= 1


def config(**given):
  made = classic.classic_config()
  made.name = made.title = "test"
  small = {
    "steps": "40",
    "evaluate_every": "20",
    "checkpoint_every": "20",
    "batch_size": "32",
    "model.generator": "(16,)",
    "model.discriminator": "(16,)",
    "evaluation.samples": "300",
  }
  return options.override(made, small | given)


@pytest.mark.parametrize(
  "given",
  [
    {"source": "habits", "model.dropout": "0.3"},
    {"source": "next_purchases"},
    {"source": "habits", "model.gaussian": "True", "model.discriminator": "()"},
  ],
  ids=str,
)
def test_classic_gans_run_and_are_judged_beside_real_rows(given, tmp_path):
  result = experiment.run(config(**given), tmp_path / "run", progress=False)
  metrics = result["metrics"]
  assert metrics["test/real_marginal"] < metrics["test/marginal"]
  assert metrics["test/real_coverage"] > 0.9
  assert 0 <= metrics["test/coverage"] <= 1


def test_compare_knows_equal_from_shifted_and_dependent_from_not():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(800, 1)) + 0.1 * rng.normal(size=(800, 4))
  same, rest = x[:400], x[400:]
  equal = classic.compare(same, rest)
  shifted = classic.compare(same, rest + 0.5)
  np.testing.assert_allclose(shifted["marginal"], 0.5, atol=0.1)
  assert equal["marginal"] < 0.15 and equal["correlation"] < 0.01
  loose = rng.permuted(rest, axis=0)
  found = classic.compare(same, loose)
  assert found["marginal"] == pytest.approx(equal["marginal"])
  assert found["correlation"] > 0.6  # 12 of 16 pairs lose all of .99


def test_unknown_sources_are_refused(tmp_path):
  with pytest.raises(ValueError, match="source='tea': choose spending"):
    experiment.run(config(source="tea"), tmp_path / "run", progress=False)
