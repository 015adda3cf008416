"""GAN objectives at their optima, penalties on critics of known slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.losses import gan

KEY = jax.random.key(0)
OBJECTIVES = [
  gan.minimax,
  gan.non_saturating,
  gan.least_squares,
  gan.wasserstein,
  gan.hinge,
  gan.relativistic,
]
# Two densities over six points.
P = np.array([0.3, 0.25, 0.2, 0.15, 0.05, 0.05], np.float32)
Q = np.array([0.05, 0.25, 0.1, 0.2, 0.1, 0.3], np.float32)


def expected(loss):
  """Logits of the points [6] -> E over x of P, y of Q, independent."""

  def value(logits):
    pairs = jax.vmap(
      lambda x: jax.vmap(lambda y: loss(x[None], y[None])[0])(logits)
    )(logits)
    return P @ pairs @ Q

  return value


def kl(p, q):
  return float(np.sum(p * np.log(p / q)))


def jsd(p, q):
  return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


@pytest.mark.parametrize(
  ("objective", "best", "value"),
  [
    (gan.minimax, np.log(P / Q), np.log(4) - 2 * jsd(P, Q)),
    (gan.non_saturating, np.log(P / Q), np.log(4) - 2 * jsd(P, Q)),
    (gan.least_squares, P / (P + Q), 0.5 * np.sum(P * Q / (P + Q))),
    (gan.hinge, np.sign(P - Q), 2 - np.abs(P - Q).sum()),
    # As in a Bradley-Terry model: p_i q_j s(l_j - l_i) is symmetric there.
    (gan.relativistic, np.log(P / Q), None),
  ],
)
def test_the_best_discriminator_and_its_value(objective, best, value):
  loss = expected(objective().discriminator)
  best = jnp.asarray(best, jnp.float32)
  least = float(loss(best))
  if value is not None:
    np.testing.assert_allclose(least, value, rtol=1e-5)
  if objective is not gan.hinge:  # it has a kink there
    np.testing.assert_allclose(jax.grad(loss)(best), 0, atol=1e-6)
  others = best + jax.random.normal(KEY, (500, 6)) * jnp.logspace(-2, 1, 6)
  assert float(jax.vmap(loss)(others).min()) >= least - 1e-6


def test_value_where_the_two_densities_are_equal():
  x = jnp.zeros(1)
  np.testing.assert_allclose(
    gan.minimax().discriminator(x, x), np.log(4), rtol=1e-6
  )
  np.testing.assert_allclose(
    gan.relativistic().discriminator(x, x), np.log(2), rtol=1e-6
  )


def test_wasserstein_distance_of_two_point_masses():
  a, b = jnp.array([1.0, 2.0]), jnp.array([4.0, -2.0])  # 5 apart
  angles = jnp.linspace(0, 2 * jnp.pi, 3601)
  slopes = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
  loss = gan.wasserstein().discriminator(slopes @ a, slopes @ b)
  np.testing.assert_allclose(loss.min(), -5, rtol=1e-6)

  def generator(b):  # against the best critic, a unit slope from b to a
    critic = (a - b) / jnp.linalg.norm(a - b)
    critic = jax.lax.stop_gradient(critic)
    return gan.wasserstein().generator(critic @ a, critic @ b)

  # The generator goes straight towards a.
  np.testing.assert_allclose(
    -jax.grad(generator)(b), (a - b) / 5, rtol=1e-6, atol=1e-6
  )


def test_minimax_and_non_saturating_pull_alike_and_stop_alike():
  """A Gaussian generator at m against data at 0: both stop at m = 0 only."""
  logits = jnp.linspace(-6, 6, 25)

  def slope(objective):
    return jax.vmap(jax.grad(lambda y: objective().generator(0.0, y)))(logits)

  # -s(l) and -s(-l): of one sign, with the ratio exp(l).
  np.testing.assert_allclose(
    slope(gan.minimax), jnp.exp(logits) * slope(gan.non_saturating), rtol=1e-5
  )
  noise = jax.random.normal(KEY, (4000,))
  noise = jnp.concatenate([noise, -noise])

  def pull(objective, mean):
    def loss(moved):  # D = ln p/q for N(0, 1) against N(mean, 1)
      logits = -mean * (moved + noise) + mean**2 / 2
      return jnp.mean(objective().generator(jnp.zeros_like(noise), logits))

    return jax.grad(loss)(mean)

  for objective in (gan.minimax, gan.non_saturating):
    signs = [float(jnp.sign(pull(objective, m))) for m in (-1.0, 0.0, 1.0)]
    assert signs == [-1, 0, 1], objective


def test_relativistic_sides_are_mirror_images():
  real, fake = jax.random.normal(KEY, (2, 50)) * 5
  loss = gan.relativistic()
  np.testing.assert_array_equal(
    loss.generator(real, fake), loss.discriminator(fake, real)
  )
  np.testing.assert_allclose(  # only differences count
    loss.discriminator(real + 3, fake + 3),
    loss.discriminator(real, fake),
    atol=1e-5,
  )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_sides_pull_apart_one_value_an_example_and_finite(objective):
  real, fake = jnp.array([[-900.0, 0.3, 900.0], [900.0, 0.2, -900.0]])
  for loss in objective():
    assert loss(real, fake).shape == (3,)
    assert np.isfinite(loss(real, fake)).all()

  def slope(side):
    return jax.grad(lambda x, y: objective()[side](x, y), (0, 1))(0.3, 0.2)

  up, down = slope(0)
  assert up < 0 < down  # the discriminator raises real and lowers fake
  assert slope(1)[1] < 0  # the generator raises fake


# Penalties.


def linear(w):
  return lambda x: x @ w


def draw(rows=40, dim=3):
  return jax.random.normal(KEY, (2, rows, dim))


@pytest.mark.parametrize("length", [0.0, 0.3, 1.0, 4.0])
def test_gradient_penalty_of_a_linear_critic(length):
  w = length * jnp.array([2.0, -1.0, 2.0]) / 3
  penalty = gan.gradient_penalty(linear(w), *draw(), KEY)
  np.testing.assert_allclose(penalty, np.full(40, (length - 1) ** 2), atol=1e-5)


def test_gradient_penalty_looks_between_the_pairs():
  """The critic |x|^2 / 2 has slope |x|: the penalty tells where it looked."""
  a, b = jnp.full((500, 1), 3.0), jnp.full((500, 1), 7.0)
  penalty = gan.gradient_penalty(
    lambda x: 0.5 * jnp.sum(x**2, axis=-1), a, b, KEY
  )
  place = jnp.sqrt(penalty) + 1
  assert 3 <= place.min() < 3.1
  assert 6.9 < place.max() <= 7
  np.testing.assert_allclose(place.mean(), 5, atol=0.2)


def test_gradient_penalty_has_a_gradient_where_the_critic_is_flat():
  def loss(w):
    return jnp.mean(gan.gradient_penalty(linear(w), *draw(), KEY))

  np.testing.assert_array_equal(jax.grad(loss)(jnp.zeros(3)), 0)


def test_slope_of_a_penalised_linear_critic():
  """Its best slope on two point masses d apart is 1 + d / (2 weight)."""
  x, y = jnp.array([[5.0, 0.0]]), jnp.array([[1.0, 3.0]])  # d = 5
  weight = 10.0

  def loss(w):
    critic = linear(w)
    value = gan.wasserstein().discriminator(critic(x), critic(y))
    return jnp.sum(value + weight * gan.gradient_penalty(critic, x, y, KEY))

  best = (1 + 5 / (2 * weight)) * (x - y)[0] / 5
  np.testing.assert_allclose(jax.grad(loss)(best), 0, atol=1e-5)


@pytest.mark.parametrize(("penalty", "side"), [(gan.r1, 0), (gan.r2, 1)])
def test_zero_centred_penalties(penalty, side):
  w = jnp.array([1.0, -2.0, 2.0])
  examples = draw()
  np.testing.assert_allclose(
    penalty(linear(w), *examples, KEY), np.full(40, 4.5), rtol=1e-6
  )
  # x'Ax / 2 has slope A x for a symmetric A.
  A = jnp.array([[2.0, 0.5, 0.0], [0.5, 1.0, -1.0], [0.0, -1.0, 3.0]])
  values = penalty(
    lambda x: 0.5 * jnp.einsum("bi,ij,bj->b", x, A, x), *examples, KEY
  )
  slopes = np.asarray(examples[side] @ A)
  np.testing.assert_allclose(values, 0.5 * (slopes**2).sum(axis=1), rtol=1e-4)


def test_penalties_take_examples_of_any_shape():
  x, y = jax.random.normal(KEY, (2, 6, 4, 5))

  def critic(x):
    return jnp.sum(jnp.sin(x), axis=(1, 2))

  slope = (jnp.cos(x) ** 2).sum(axis=(1, 2))
  np.testing.assert_allclose(gan.r1(critic, x, y, KEY), slope / 2, rtol=1e-5)
  assert gan.gradient_penalty(critic, x, y, KEY).shape == (6,)
