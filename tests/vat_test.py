"""The virtual adversarial direction, and consistency as a loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.attacks import gradients
from adv_rec.experiments import experiment, options, recommend
from adv_rec.games.recommend import full_softmax, matrix_factorization
from adv_rec.games.supervised import supervised
from adv_rec.losses import divergence
from adv_rec.models.recommenders import MatrixFactorization
from adv_rec.training.step import init_state, make_step

KEY = jax.random.key(0)
MODEL = MatrixFactorization(num_users=9, num_items=11, dim=4, scale=0.5)


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=shape), jnp.float32)


# The divergences.


def test_bernoulli_is_the_sum_over_both_sides():
  p, q = 3 * draw(0, 50), 3 * draw(1, 50)
  a, b = (1 / (1 + np.exp(-np.asarray(x, np.float64))) for x in (p, q))
  expected = a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))
  found = divergence.bernoulli(p, q)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_categorical_is_the_sum_over_classes_and_extends_bernoulli():
  p, q = draw(0, 30, 5), draw(1, 30, 5)
  a, b = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (p, q))
  expected = (a * np.log(a / b)).sum(1)
  np.testing.assert_allclose(divergence.categorical(p, q), expected, rtol=1e-4)

  two = [jnp.stack([x[:, 0], jnp.zeros(30)], 1) for x in (p, q)]
  np.testing.assert_allclose(
    divergence.categorical(*two),
    divergence.bernoulli(p[:, 0], q[:, 0]),
    rtol=1e-4,
    atol=1e-6,
  )


@pytest.mark.parametrize("extreme", [100.0, -100.0])
def test_divergences_are_finite_far_out_and_flat_at_zero(extreme):
  far = jnp.array([extreme, 0.0])
  for kl in (divergence.bernoulli, divergence.categorical):
    for p, q in ((far, -far), (far, far)):
      value, back = jax.vjp(functools.partial(kl, p), q)
      (slope,) = back(jnp.ones_like(value))
      assert np.isfinite(value).all() and np.isfinite(slope).all()
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


# The attack.


def test_vat_finds_the_direction_of_largest_curvature():
  """Of d'Hd the leading eigenvector, as power iteration promises."""
  basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
  hessian = basis @ np.diag([9.0, 3, 2, 1, 0.5, 0.1]) @ basis.T
  x = draw(1, 6)

  def flat(moved):
    return 0.5 * (moved - x) @ hessian @ (moved - x)

  delta = gradients.vat(0.3, steps=20)(flat, x, KEY)
  np.testing.assert_allclose(abs(delta @ basis[:, 0]), 0.3, rtol=1e-4)


def test_vat_raises_a_divergence_more_than_noise_of_its_size():
  weights, x = 2 * draw(0, 12, 5) ** 3, draw(1, 40, 12)

  def outputs(x):
    return jnp.tanh(x) @ weights

  def far(moved):
    return divergence.categorical(outputs(x), outputs(moved))

  def total(moved):
    return jnp.mean(far(moved))

  vat = jax.jit(lambda size: gradients.vat(size)(total, x, KEY))
  for size in (1e-2, 0.5):
    moved, noise = vat(size), gradients.random(size)(total, x, KEY)
    sizes = np.linalg.norm(moved, axis=1)
    np.testing.assert_allclose(sizes, size, rtol=1e-5)
    assert total(x + moved) > 2 * total(x + noise)
    assert (far(x + moved) > far(x + noise)).mean() > 0.85


def test_vat_leaves_rows_that_do_not_matter_and_trees_have_own_radii():
  x = {"a": draw(0, 4, 3), "b": 10 * draw(1, 5, 6)}

  def far(moved):
    a, b = (moved[name] - x[name] for name in ("a", "b"))
    return jnp.sum(jnp.square(a[1:])) + jnp.sum(jnp.square(b))

  size = gradients.relative(0.5)
  delta = gradients.vat(size)(far, x, KEY)
  np.testing.assert_array_equal(delta["a"][0], 0.0)
  for name, radius in size(x).items():
    norms = np.linalg.norm(delta[name], axis=1)
    np.testing.assert_allclose(norms[1:], radius, rtol=1e-5)


def test_vat_needs_a_step():
  with pytest.raises(ValueError, match="steps >= 1"):
    gradients.vat(0.1, steps=0)


# Consistency as a term of the loss.


def batch():
  rng = np.random.default_rng(0)
  return {
    "user": rng.integers(0, 5, 16),
    "positive": rng.integers(0, 5, 16),
    "negative": rng.integers(5, 11, 16),
    "items": rng.integers(0, 13, (16, 3)),
  }


def by_triples(**kwargs):
  return matrix_factorization(MODEL, optax.sgd(0.3), **kwargs)


def by_softmax(**kwargs):
  return full_softmax(MODEL, optax.sgd(0.3), 3.0, **kwargs)


def play(game, steps=3):
  step, state = jax.jit(make_step(game)), init_state(game, KEY)
  for _ in range(steps):
    state, metrics = step(state, batch())
  return state.params["model"], metrics["model"]


@pytest.mark.parametrize("make", [by_triples, by_softmax])
def test_consistency_of_weight_zero_is_plain_bit_for_bit(make):
  plain, _ = play(make())
  none, _ = play(make(attack=gradients.vat(0.5), weight=0, consistency=True))
  some, _ = play(make(attack=gradients.vat(0.5), consistency=True))
  for name in ("user", "item"):
    np.testing.assert_array_equal(none[name], plain[name])
    assert not np.array_equal(some[name], plain[name])


def test_training_for_consistency_makes_a_model_consistent():
  attack, found = gradients.vat(gradients.relative(0.5)), {}
  for weight in (1e-6, 3.0):
    game = by_softmax(attack=attack, weight=weight, consistency=True)
    found[weight] = play(game, steps=60)[1]["divergence"]
  assert 0 < found[3.0] < 0.5 * found[1e-6]


def test_the_loss_is_the_clean_one_plus_the_weighted_divergence():
  """With its gradient by the parameters through both sides."""
  w = draw(0, 3)

  def move(objective, inputs, key):
    return 0.1 * jnp.ones_like(inputs)

  loss = supervised(
    lambda params, batch: batch["x"],
    lambda params, batch, key, x: jnp.sum(params * x),
    move,
    weight=2.0,
    divergence=lambda params, batch, key, clean, moved: (
      jnp.sum(params * clean) * jnp.sum(params * moved)
    ),
  )
  x = draw(1, 3)
  (value, metrics), slope = jax.value_and_grad(loss, has_aux=True)(
    w, {}, {"x": x}, KEY
  )
  clean, moved = w @ x, w @ (x + 0.1)
  np.testing.assert_allclose(value, clean + 2 * clean * moved, rtol=1e-5)
  np.testing.assert_allclose(metrics["divergence"], clean * moved, rtol=1e-5)
  expected = x + 2 * (x * moved + (x + 0.1) * clean)
  np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"attack.name": "vat"}, "attack.form=consistency"),
    ({"attack.name": "fgm", "attack.form": "consistency"}, "choose vat"),
    ({"attack.form": "trades"}, r"attack\.form='trades'"),
  ],
)
def test_forms_that_make_no_sense_are_refused(changes, message, tmp_path):
  config = recommend.matrix_factorization_config()
  options.override(config, changes)
  with pytest.raises(ValueError, match=message):
    experiment.build(config, tmp_path)
