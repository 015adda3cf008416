"""The grid of Gaussians: its modes, and batches as a function of the step."""

import functools

import numpy as np
import pytest

from adv_rec.data import batching, mixtures


def test_the_grid_has_25_modes_of_the_stated_width():
  mixture = mixtures.grid()
  assert mixture.centers.shape == (25, 2)
  assert set(mixture.centers.ravel()) == {-4, -2, 0, 2, 4}
  assert len(set(map(tuple, mixture.centers))) == 25
  drawn = mixtures.sample(mixture, 50_000, np.random.default_rng(0))
  assert drawn.dtype == np.float32
  nearest = np.round(drawn / 2) * 2
  np.testing.assert_allclose((drawn - nearest).std(axis=0), 0.05, rtol=0.02)
  counts = np.unique(nearest, axis=0, return_counts=True)[1]
  assert len(counts) == 25
  assert abs(counts - 2000).max() < 5 * np.sqrt(2000)  # all equally likely


def fresh(batch_size, seed):
  draw = functools.partial(mixtures.sample, mixtures.grid())
  return batching.fresh(draw, batch_size, seed)


def test_batches_of_a_mixture_are_a_function_of_the_step():
  batches = fresh(12, 3)
  whole = batches(0, 5)["real"]
  assert whole.shape == (5, 12, 2)
  np.testing.assert_array_equal(batches(2, 4)["real"], whole[2:4])
  parts = [batches(0, 5, (p, 3))["real"] for p in range(3)]
  np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
  assert len(np.unique(whole)) == whole.size  # nothing is drawn twice
  other = fresh(12, 4)
  assert (other(0, 5)["real"] != whole).any()
  with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
    fresh(0, 0)
