"""Measures of generation against brute force, and on planted failures."""

import numpy as np
import pytest

from adv_rec.data import mixtures
from adv_rec.evaluation import generation

GRID = mixtures.grid()


def rng(seed=0):
  return np.random.default_rng(seed)


def modes(samples):
  return generation.modes(samples, GRID.centers, GRID.std)


def test_a_perfect_sampler_of_the_grid():
  result = modes(mixtures.sample(GRID, 20_000, rng()))
  assert result["modes"] == 25
  # Within three standard deviations in two dimensions.
  np.testing.assert_allclose(
    result["high_quality"], 1 - np.exp(-4.5), atol=3e-3
  )
  # 2 N KL is chi-squared with 24 degrees of freedom.
  assert 10 < 2 * 20_000 * result["mode_kl"] < 50


def test_planted_collapse_is_seen():
  few = GRID._replace(centers=GRID.centers[[0, 7, 24]])
  result = modes(mixtures.sample(few, 3000, rng()))
  assert result["modes"] == 3
  assert result["high_quality"] > 0.98
  np.testing.assert_allclose(result["mode_kl"], np.log(25 / 3), atol=0.01)


def test_blurred_modes_are_covered_by_few_good_samples():
  blurred = GRID._replace(std=0.5)
  result = modes(mixtures.sample(blurred, 20_000, rng()))
  assert result["modes"] == 25
  # A ball of 3 x .05 in a Gaussian of .5, and little of the neighbours'.
  np.testing.assert_allclose(
    result["high_quality"], 1 - np.exp(-0.045), atol=0.01
  )


def test_the_edge_of_high_quality_and_the_nearest_mode():
  centers, std = np.array([[0.0, 0.0], [10.0, 0.0]]), 1.0
  samples = np.array([[3.0, 0.0], [3.001, 0.0], [0.0, -3.0], [7.5, 0.0]])
  result = generation.modes(samples, centers, std)
  assert result["modes"] == 2
  assert result["high_quality"] == 3 / 4
  q = np.array([2 / 3, 1 / 3])
  np.testing.assert_allclose(result["mode_kl"], q @ np.log(2 * q))


def test_no_sample_of_high_quality():
  assert modes(np.full((10, 2), 1.0)) == {"modes": 0.0, "high_quality": 0.0}


def brute_force(real, fake, k):
  """The definitions, pair by pair."""

  def distance(a, b):
    return np.sqrt(((a - b) ** 2).sum())

  def radius(i, points):
    others = (distance(points[i], p) for j, p in enumerate(points) if j != i)
    return sorted(others)[k - 1]

  real_radius = [radius(i, real) for i in range(len(real))]
  fake_radius = [radius(i, fake) for i in range(len(fake))]
  in_real = np.array(
    [
      [distance(x, y) <= r + 1e-9 for y in fake]
      for x, r in zip(real, real_radius, strict=True)
    ]
  )
  in_fake = np.array(
    [
      [distance(x, y) <= r + 1e-9 for x in real]
      for y, r in zip(fake, fake_radius, strict=True)
    ]
  )
  return {
    "precision": in_real.any(axis=0).mean(),
    "recall": in_fake.any(axis=0).mean(),
    "density": in_real.sum(axis=0).mean() / k,
    "coverage": in_real.any(axis=1).mean(),
  }


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("kind", ["continuous", "shifted", "integers"])
def test_neighbours_equal_brute_force_whatever_the_block(k, kind):
  real, fake = rng(k).normal(size=(40, 3)), rng(k + 9).normal(size=(30, 3))
  if kind == "shifted":  # far from the origin, where squares lose digits
    real, fake = real + 1000, 0.7 * fake + 1000.4
  if kind == "integers":  # full of ties and copies
    real, fake = np.round(real) * 0.1, np.round(fake) * 0.1
  expected = brute_force(real, fake, k)
  for block in (1, 7, 256):
    result = generation.neighbours(real, fake, k, block)
    assert result == pytest.approx(expected)
  assert min(expected.values()) < 1  # else there is little to compare


def test_copies_of_the_data_are_perfect():
  real = rng().normal(size=(60, 4))
  result = generation.neighbours(real, real[::-1], k=3)
  assert result["precision"] == result["recall"] == result["coverage"] == 1
  # Each ball holds its own center and its k neighbours.
  np.testing.assert_allclose(result["density"], 4 / 3)


def test_two_draws_from_one_distribution():
  """Density 1, and the coverage of the lemma, whatever the distribution."""
  values = []
  for seed in range(40):
    real = rng([seed, 0]).standard_cauchy(size=(80, 2))
    fake = rng([seed, 1]).standard_cauchy(size=(50, 2))
    values.append(generation.neighbours(real, fake, k=3))
  for name, truth in (
    ("density", 1.0),
    ("coverage", generation.expected_coverage(80, 50, 3)),
  ):
    drawn = np.array([value[name] for value in values])
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - truth) < 3.5 * error, name
    assert error < 0.03


def test_expected_coverage_of_one_neighbour():
  # The nearest of N - 1 real and M generated ones is generated: M in N + M - 1.
  np.testing.assert_allclose(
    generation.expected_coverage(10, 6, 1), 6 / 15, rtol=1e-12
  )


def test_collapse_lowers_variety_and_noise_lowers_fidelity():
  real = mixtures.sample(GRID, 1000, rng(0))
  good = mixtures.sample(GRID, 1000, rng(1))
  few = GRID._replace(centers=GRID.centers[:5])
  collapsed = mixtures.sample(few, 1000, rng(2))
  noise = rng(3).uniform(-5, 5, size=(1000, 2))
  good, collapsed, noise = (
    generation.neighbours(real, fake) for fake in (good, collapsed, noise)
  )
  assert min(good.values()) > 0.9
  assert collapsed["precision"] > 0.9
  assert collapsed["density"] > 0.9
  # 5 of 25 modes.
  np.testing.assert_allclose(collapsed["recall"], 0.2, atol=0.04)
  np.testing.assert_allclose(collapsed["coverage"], 0.2, atol=0.04)
  assert noise["precision"] < 0.1
  assert noise["density"] < 0.1


@pytest.mark.parametrize(
  ("real", "fake", "k", "message"),
  [
    (np.zeros((5, 2)), np.zeros((9, 2)), 5, r"k is 5: .* real .* \(4\)"),
    (np.zeros((9, 2)), np.zeros((5, 2)), 5, r"k is 5: .* generated .* \(4\)"),
    (np.zeros((9, 2)), np.zeros((9, 3)), 5, r"different width: \[2, 3\]"),
    (np.zeros((9, 2)), np.zeros(9), 5, r"fake has shape \(9,\)"),
    (np.zeros((0, 2)), np.zeros((9, 2)), 5, r"real has shape \(0, 2\)"),
    (
      np.zeros((9, 2)),
      np.array([[0, 0]] * 8 + [[0, np.nan]]),
      5,
      "fake: row 8 holds a value that is not finite",
    ),
  ],
)
def test_bad_input_is_named(real, fake, k, message):
  with pytest.raises(ValueError, match=message):
    generation.neighbours(real, fake, k)


def test_a_diverged_generator_is_named():
  with pytest.raises(ValueError, match="samples: row 1 holds a value"):
    modes(np.array([[0.0, 0.0], [np.inf, 0.0]]))
