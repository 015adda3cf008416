"""The networks of a GAN: spectral norm, dropout, packs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.models.gan import Discriminator, packed, spectral_norm

KEY = jax.random.key(7)


def test_spectral_norm_is_the_largest_singular_value():
  rng = np.random.default_rng(0)
  for shape in ((40, 60), (60, 40), (1, 5), (5, 1)):
    kernel = rng.normal(size=shape).astype(np.float32)
    true = np.linalg.norm(kernel, 2)
    few, many = spectral_norm(kernel), spectral_norm(kernel, 500)
    np.testing.assert_allclose(many, true, rtol=1e-5)
    assert 0.95 * true < few < 1.0001 * true
  # Its gradient is u v', of the singular vectors (Miyato et al., eq. 12).
  u, _, v = np.linalg.svd(kernel := rng.normal(size=(4, 3)))
  gradient = jax.grad(lambda k: spectral_norm(k, 500))(jnp.asarray(kernel))
  np.testing.assert_allclose(gradient, np.outer(u[:, 0], v[0]), atol=1e-4)


def test_a_spectral_discriminator_is_lipschitz_whatever_its_parameters():
  module = Discriminator(hidden=(16, 16), spectral=True)
  x = jax.random.normal(KEY, (200, 2)) * 3
  params = module.init(KEY, x)["params"]
  params = jax.tree.map(lambda p: 50 * p, params)

  def slopes(module, params):
    def critic(x):
      return jnp.sum(module.apply({"params": params}, x))

    return jnp.linalg.norm(jax.jit(jax.grad(critic))(x), axis=1)

  assert slopes(module, params).max() < 1.02
  plain = {name.removeprefix("Spectral"): p for name, p in params.items()}
  assert slopes(Discriminator(hidden=(16, 16)), plain).max() > 100


def test_dropout_only_in_training():
  module = Discriminator(hidden=(32,), dropout=0.5)
  x = jnp.ones((4, 2))
  params = module.init(KEY, x)

  def logits(key, train):
    return module.apply(params, x, train=train, rngs={"dropout": key})

  one, two = jax.random.split(KEY)
  np.testing.assert_array_equal(logits(one, False), logits(two, False))
  assert (logits(one, True) != logits(two, True)).any()


def test_packs_are_neighbouring_rows():
  x = jnp.arange(12).reshape(6, 2)
  np.testing.assert_array_equal(packed(x, 1), x)
  np.testing.assert_array_equal(packed(x, 3), jnp.arange(12).reshape(2, 6))
  with pytest.raises(ValueError, match="6 rows do not divide into packs of 4"):
    packed(x, 4)
