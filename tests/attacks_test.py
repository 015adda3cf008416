"""Gradient attacks: the right size, in their ball, and worse than noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.attacks import gradients

KEY = jax.random.key(0)
MAKERS = {
  "fgsm": gradients.fgsm,
  "fgm": gradients.fgm,
  "pgd": lambda epsilon: gradients.pgd(epsilon, 4),
  "pgd-linf": lambda epsilon: gradients.pgd(epsilon, 4, norm="linf"),
  "random": gradients.random,
  "search": lambda epsilon: gradients.search(epsilon, 4),
  "random-linf": lambda epsilon: gradients.random(epsilon, norm="linf"),
}
LINF = {"fgsm", "pgd-linf", "random-linf"}


def perturb(attack, objective, inputs):
  """The perturbation, compiled as one program."""
  return jax.jit(lambda x: attack(objective, x, KEY))(inputs)


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=shape), jnp.float32)


def linear(weights):
  """A linear objective of a tree of arrays."""
  return lambda inputs: jax.tree.reduce(
    jnp.add, jax.tree.map(lambda w, x: jnp.sum(w * x), weights, inputs)
  )


def size(name, delta):
  """The norm of each row that the attack's radius speaks of."""
  if name in LINF:
    return np.abs(delta).max(axis=-1)
  return np.linalg.norm(delta, axis=-1)


def test_one_step_on_a_linear_objective_is_the_best_one():
  weights = {"a": draw(0, 7, 5), "b": draw(1, 2, 3, 4)}
  inputs = jax.tree.map(jnp.ones_like, weights)
  delta = perturb(gradients.fgm(0.3), linear(weights), inputs)
  for name, w in weights.items():
    unit = w / np.linalg.norm(w, axis=-1, keepdims=True)
    np.testing.assert_allclose(delta[name], 0.3 * unit, rtol=1e-6)
  delta = perturb(gradients.fgsm(0.3), linear(weights), inputs)
  for name, w in weights.items():
    np.testing.assert_array_equal(delta[name], np.float32(0.3) * np.sign(w))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pgd_on_a_linear_objective_ends_where_one_step_does(norm):
  """2.5 radii of steps reach the far side of the ball from anywhere."""
  weights = draw(0, 50, 8)
  one = gradients.fgm if norm == "l2" else gradients.fgsm
  best = perturb(one(0.3), linear(weights), weights)
  delta = perturb(gradients.pgd(0.3, 40, norm=norm), linear(weights), weights)
  raised = np.sum(weights * delta, -1) / np.sum(weights * best, -1)
  assert raised.min() > 0.97 and raised.max() < 1 + 1e-6


@pytest.mark.parametrize("name", MAKERS)
def test_stays_in_its_ball(name):
  inputs = {"a": 3 * draw(2, 40, 6), "b": draw(3, 3, 5, 2)}

  def waves(x):
    return sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(x))

  attack = jax.jit(lambda x, epsilon: MAKERS[name](epsilon)(waves, x, KEY))
  for epsilon in (0.0, 1e-3, 0.5, 100.0):
    for leaf in attack(inputs, epsilon).values():
      sizes = size(name, leaf)
      assert sizes.max() <= epsilon * (1 + 1e-5)
      if not name.startswith("pgd"):  # these end on the sphere
        np.testing.assert_allclose(sizes, epsilon, rtol=1e-5)


@pytest.mark.parametrize("name", ["fgm", "fgsm", "pgd", "pgd-linf"])
def test_hurts_a_convex_objective_more_than_noise_of_the_same_size(name):
  matrix, target = draw(1, 6, 9), draw(2, 30, 9)

  def loss(x):
    return jnp.sum((x @ matrix - target) ** 2, axis=-1)

  def objective(x):
    return jnp.mean(loss(x))

  x = draw(0, 30, 6)
  noise = MAKERS["random-linf" if name in LINF else "random"](0.2)
  attacked = loss(x + perturb(MAKERS[name](0.2), objective, x))
  noisy = loss(x + perturb(noise, objective, x))
  assert (attacked > loss(x)).all()
  assert (attacked > noisy).mean() > 0.9


def test_many_steps_beat_one_where_the_gradient_turns():
  matrix, target = draw(1, 4, 9), draw(2, 20, 9)

  def objective(x):
    return jnp.sum((jnp.tanh(3 * x @ matrix) - target) ** 2)

  x = draw(0, 8, 20, 4)
  rises = {}
  for name, attack in (
    ("fgm", gradients.fgm(1.0)),
    ("pgd", gradients.pgd(1.0, 10)),
  ):

    def rise(x, a=attack):
      return objective(x + a(objective, x, KEY)) - objective(x)

    rises[name] = np.mean(jax.jit(jax.vmap(rise))(x))
  assert rises["pgd"] > 1.1 * rises["fgm"] > 0


@pytest.mark.parametrize("name", ["fgm", "fgsm"])
def test_a_row_without_gradient_stays(name):
  weights = draw(0, 5, 3).at[jnp.array([1, 3])].set(0.0)
  delta = perturb(MAKERS[name](0.5), linear(weights), weights)
  moved = np.any(delta != 0, axis=1)
  assert moved.tolist() == [True, False, True, False, True]
  assert np.isfinite(delta).all()


def test_the_scale_of_the_gradient_does_not_matter():
  """The squares of most of these are out of the range of float32."""
  attack = gradients.fgm(0.5)
  step = jax.jit(lambda w: attack(linear(w), jnp.zeros_like(w), KEY))
  weights = draw(0, 5, 3)
  for scale in (1e-35, 1e-25, 1.0, 1e20, 1e37):
    np.testing.assert_allclose(
      step(scale * weights), step(weights), rtol=1e-5, err_msg=f"{scale}"
    )


@pytest.mark.parametrize("name", MAKERS)
def test_the_perturbation_is_a_constant(name):
  x = draw(0, 4, 3)

  def objective(x):
    return jnp.sum(x**3)

  attack = MAKERS[name](gradients.relative(0.5))
  slope = jax.jacobian(lambda x: perturb(attack, objective, x))(x)
  np.testing.assert_array_equal(slope, jnp.zeros_like(slope))


def test_relative_size_is_the_median_norm_of_the_rows_that_are_not_zero():
  x = draw(0, 9, 4).at[jnp.array([2, 5, 6, 7])].set(0.0)
  tree = {"x": x, "y": draw(1, 6, 16)}
  radii = gradients.relative(0.5)(tree)
  norms = np.linalg.norm(x, axis=1)
  np.testing.assert_allclose(
    radii["x"], 0.5 * np.median(norms[norms > 0]), rtol=1e-6
  )
  np.testing.assert_allclose(
    radii["y"], 0.5 * np.median(np.linalg.norm(tree["y"], axis=1)), rtol=1e-6
  )
  for name in ("fgm", "fgsm"):
    ones = jax.tree.map(jnp.ones_like, tree)
    delta = perturb(MAKERS[name](gradients.relative(0.5)), linear(ones), tree)
    for leaf, dim in (("x", 4), ("y", 16)):
      # Per coordinate in the L-infinity ball, where corners have this norm.
      radius = radii[leaf] / (dim**0.5 if name in LINF else 1)
      moved = size(name, delta[leaf])
      np.testing.assert_allclose(moved, radius, rtol=1e-5)


def test_the_median_of_many_rows_is_that_of_few():
  norms = jnp.exp(2 * jax.random.normal(jax.random.key(0), (10_001, 1)))
  norms = norms.at[:2000].set(0.0)
  found = gradients.relative(0.5)(norms)
  expected = 0.5 * np.median(norms[2000:])
  np.testing.assert_allclose(found, expected, rtol=1e-3)
  assert gradients.relative(0.5)(jnp.zeros((10_000, 2))) == 0


def test_relative_size_of_nothing_is_zero():
  """All rows zero: there is no median, and nothing to attack in units of."""
  x = jnp.zeros((3, 4))
  delta = perturb(gradients.fgm(gradients.relative(0.5)), linear(x + 1), x)
  np.testing.assert_array_equal(delta, jnp.zeros((3, 4)))


def test_noise_is_new_for_each_key_and_leaf_and_has_no_direction():
  x = {"a": jnp.zeros((4000, 3)), "b": jnp.zeros((4000, 3))}
  noise = jax.jit(lambda key: gradients.random(1.0)(jnp.sum, x, key))
  delta, again, other = noise(KEY), noise(KEY), noise(jax.random.key(1))
  np.testing.assert_array_equal(delta["a"], again["a"])
  assert (delta["a"] != other["a"]).any() and (delta["a"] != delta["b"]).any()
  # A uniform direction in 3 dimensions has mean 0 and variance 1/3.
  assert np.abs(delta["a"].mean(axis=0)).max() < 5 / (3 * 4000) ** 0.5
  np.testing.assert_allclose(delta["a"].var(axis=0), 1 / 3, atol=0.03)


def test_pgd_starts_anywhere_in_the_ball():
  """Without a gradient it stays where it started."""

  def flat(x):
    return 0.0 * jnp.sum(x)

  def start(key):
    return gradients.pgd(2.0, 1)(flat, jnp.zeros(3), key)

  starts = jax.jit(jax.vmap(start))(jax.random.split(KEY, 20))
  lengths = np.linalg.norm(starts, axis=1)
  assert lengths.min() < 0.6 and 1.4 < lengths.max() <= 2.0001


def test_search_takes_the_best_of_its_draws():
  """More draws are worse for the model, one is noise, a gradient is best."""
  weights = draw(0, 1, 6)
  objective = linear(weights)
  rises = [
    objective(perturb(gradients.search(0.5, tries), objective, weights))
    for tries in (1, 64)
  ]
  best = objective(perturb(gradients.fgm(0.5), objective, weights))
  assert rises[0] < rises[1] < best
  assert rises[1] > 0.6 * best


@pytest.mark.parametrize("make", [gradients.pgd, gradients.search])
def test_no_steps_and_no_tries_are_refused(make):
  with pytest.raises(ValueError, match=">= 1, got 0"):
    make(0.1, 0)
