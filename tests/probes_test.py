"""Probes: what they say of a mechanism's noise."""

import numpy as np
import pytest

from adv_rec.privacy import probes


def test_the_bound_of_a_probe_is_that_of_its_noise():
  rng = np.random.default_rng(0)
  for sigma in (0.5, 3.0):
    above = 0
    for _ in range(200):
      noise = sigma * rng.normal(size=300)
      found = probes.noise_bound(noise + 1, noise, 0.99)
      above += found >= sigma
      assert found < 1.4 * sigma
    assert above >= 195
  noise = rng.normal(size=300)
  assert probes.noise_bound(np.ones(300), np.zeros(300), 0.99) == 0
  assert probes.noise_bound(noise, noise, 0.99) == np.inf
  with pytest.raises(ValueError, match="at least 10"):
    probes.noise_bound(noise[:5], noise[:5], 0.99)
