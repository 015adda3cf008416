"""Private gradients and batches: what they are equal to, what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.data.poisson import Poisson
from adv_rec.games.gan import gan
from adv_rec.games.private import private_adversarial
from adv_rec.losses import gan as losses
from adv_rec.models.gan import Discriminator, Generator, sample
from adv_rec.privacy.gradients import PrivateLoss, private, without_data
from adv_rec.training.step import init_state, make_step
from adv_rec.types import Player, plain

KEY = jax.random.key(7)
SECRET = b"a secret of the tests, 32 bytes."
GENERATOR = Generator(features=2, latent=3, hidden=(8,))
DISCRIMINATOR = Discriminator(hidden=(8,))


def game(gradient, objective=None, updates=1):
  """The game of `games.gan.gan`, with a loss by rows."""

  def generate(params, batch, key):
    return sample(GENERATOR, params, key, 16)

  def discriminate(params, key, examples):
    return DISCRIMINATOR.apply({"params": params}, examples)

  discriminator, generator = private_adversarial(
    generate,
    discriminate,
    objective or losses.non_saturating(),
    real=lambda batch, key: batch["real"],
    data=("real",),
  )
  init = gan(
    GENERATOR, DISCRIMINATOR, losses.hinge(), optax.sgd(0), optax.sgd(0)
  )
  return {
    "discriminator": Player(
      init["discriminator"].init,
      discriminator,
      optax.adam(0.1),
      gradient,
      updates,
    ),
    "generator": Player(init["generator"].init, generator, optax.adam(0.1)),
  }


def full_batch(rows=16):
  real = np.random.default_rng(0).normal(1, 1, (rows, 2)).astype(np.float32)
  return {"real": real, "mask": np.ones(rows, bool)}


def start(game):
  return jax.jit(lambda key: init_state(game, key))(KEY)


def play(game, batch, steps=3):
  step = jax.jit(make_step(game))
  state = start(game)
  for _ in range(steps):
    state, metrics = step(state, batch)
  return state, metrics


def test_without_noise_and_clip_it_is_the_plain_game():
  """Of `games.gan`, which knows of no privacy, over three steps."""
  objective = losses.least_squares()
  batch = full_batch()
  state, _ = play(game(private(np.inf, 0.0, 16, 16), objective), batch)
  ordinary = gan(
    GENERATOR, DISCRIMINATOR, objective, optax.adam(0.1), optax.adam(0.1)
  )
  expected, _ = play(ordinary, {"real": batch["real"]})
  for a, b in zip(
    jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True
  ):
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def linear(gradient, width=2):
  """Loss w . x by rows: the gradient of a row is the row."""
  loss = PrivateLoss(
    lambda own, everyone, batch, key: batch["x"] @ own,
    lambda own, everyone, batch, key: (0.0 * jnp.sum(own), {}),
    ("x",),
  )
  return jax.jit(
    lambda batch: gradient(loss)(jnp.zeros(width), {}, batch, KEY)[0]
  )


def test_a_clipped_mean_by_hand():
  """Also of a loss without layers, which jax-privacy clips."""
  x = jnp.array([[3.0, 4.0], [0.3, 0.4], [0.0, 9.0], [jnp.nan, 1.0]])
  batch = {"x": x, "mask": jnp.array([True, True, False, False])}
  found = linear(private(1.0, 0.0, 4.0, 4))(batch)
  np.testing.assert_allclose(found, np.array([0.9, 1.2]) / 4, rtol=1e-6)
  # As one unit of all rows: (3.3, 4.4) is clipped as a whole.
  found = linear(private(1.0, 0.0, 4.0, 4, rows=4))(batch)
  np.testing.assert_allclose(found, np.array([0.6, 0.8]) / 4, rtol=1e-6)


def test_noise_is_on_the_sum_and_known_by_its_words_only():
  width, expected, clip, sigma = 20_000, 5.0, 3.0, 2.0
  noisy = linear(private(clip, sigma, expected, 2), width)
  empty = {"x": jnp.zeros((2, width)), "mask": jnp.zeros(2, bool)}
  a, b, c = (
    noisy(empty | {"noise": jnp.full((2, 2), words, jnp.uint32)})
    for words in (1, 2, 1)
  )
  assert abs(np.std(a) - sigma * clip / expected) < 0.03 and np.all(a == c)
  assert abs(np.corrcoef(a, b)[0, 1]) < 0.03 and abs(np.mean(a)) < 0.03


def test_one_unit_moves_the_sum_by_the_clip_at_most():
  """The sensitivity itself, of a network and of wild rows."""
  clip = 0.1
  loss = game(plain, losses.wasserstein())["discriminator"].loss
  step = jax.jit(private(clip, 0.0, 1.0, 16)(loss))
  everyone = start(game(plain)).params
  batch = full_batch()
  batch["real"][3] = [1e4, -1e4]
  batch["real"][5] = [np.inf, np.nan]
  whole, _ = step(everyone["discriminator"], everyone, batch, KEY)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(whole))
  for row in (0, 3, 5):
    batch["mask"][:] = np.arange(16) != row
    without, _ = step(everyone["discriminator"], everyone, batch, KEY)
    moved = optax.tree.norm(optax.tree.sub(whole, without))
    # Each is clipped, but the one without a number, which counts nothing.
    np.testing.assert_allclose(moved, 0.0 if row == 5 else clip, atol=1e-5)


def test_what_touches_no_data_is_not_shown_any():
  seen = {}

  def free(own, everyone, batch, key):
    seen.update(batch)
    return 2.0 * own[0], {"own": own[0]}

  loss = PrivateLoss(
    lambda own, everyone, batch, key: batch["x"] @ own, free, ("x",)
  )
  batch = {
    "x": jnp.ones((2, 2)),
    "mask": jnp.ones(2, bool),
    "noise": jnp.zeros((2, 2), jnp.uint32),
    "step": jnp.int32(4),
  }
  gradient, metrics = private(1.0, 1.0, 2.0, 2)(loss)(
    jnp.ones(2), {}, batch, KEY
  )
  assert set(seen) == {"step"} and set(metrics) == {"own", "gradient_norm"}
  still = private(1.0, 1.0, 2.0, 2)(loss._replace(free=lambda *a: (0.0, {})))
  alone, _ = still(jnp.ones(2), {}, batch, KEY)
  np.testing.assert_allclose(gradient - alone, [2.0, 0.0], atol=1e-6)
  with pytest.raises(KeyError, match="x"):
    without_data(lambda own, all, batch, key: batch["x"], ("x",))(
      None, {}, batch, KEY
    )


def test_bad_use_is_refused():
  batch = {"x": jnp.ones((2, 2)), "mask": jnp.ones(2, bool)}
  for numbers in ((0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, 0.0)):
    with pytest.raises(ValueError, match="above 0"):
      private(*numbers, 2)
  with pytest.raises(ValueError, match="infinite; give a clip"):
    private(np.inf, 1.0, 1.0, 2)
  with pytest.raises(ValueError, match="needs a loss by rows"):
    private(1.0, 1.0, 1.0, 2)(lambda *a: (0.0, {}))
  with pytest.raises(ValueError, match="no entry 'noise'"):
    linear(private(1.0, 1.0, 1.0, 2))(batch)
  with pytest.raises(ValueError, match="mode=jit"):
    linear(private(1.0, 0.0, 1.0, 4))(batch)
  with pytest.raises(ValueError, match="compares real with generated"):
    game(plain, losses.relativistic())


# Poisson batches.


def test_units_are_drawn_by_themselves_with_their_probability():
  rows = {"x": np.arange(1, 21)}
  sampler = Poisson(rows, 5, SECRET)
  assert sampler.sampling[:3] == ("poisson", 20, 0.25)
  batch = sampler(0, 4000)
  drawn = np.zeros((4000, 21))
  for step, (x, mask) in enumerate(zip(batch["x"], batch["mask"], strict=True)):
    assert np.array_equal(x > 0, mask) and len(set(x[mask])) == mask.sum()
    drawn[step, x[mask]] = 1
  drawn = drawn[:, 1:]
  np.testing.assert_allclose(drawn.mean(axis=0), 0.25, atol=0.03)
  # Independent: the size is binomial, and no pair comes together.
  assert abs(np.var(drawn.sum(axis=1)) - 20 * 0.25 * 0.75) < 0.3
  pairs = np.corrcoef(drawn.T)[~np.eye(20, dtype=bool)]
  assert np.abs(pairs).max() < 0.07


def test_batches_are_a_function_of_secret_and_step():
  rows = {"x": np.arange(300), "y": np.arange(600).reshape(300, 2)}
  rows["none"] = np.zeros((300, 0))
  make = lambda secret: Poisson(rows, 30, secret)  # noqa: E731
  whole, parts = make(SECRET)(0, 6), [make(SECRET)(s, s + 3) for s in (0, 3)]
  for name, x in whole.items():
    np.testing.assert_array_equal(x, np.concatenate([p[name] for p in parts]))
    halves = [make(SECRET)(0, 6, (p, 2))[name] for p in (0, 1)]
    np.testing.assert_array_equal(x, np.concatenate(halves, axis=1))
  other = make(bytes(32))(0, 6)
  assert (whole["mask"] != other["mask"]).any()
  words = {tuple(w) for w in whole["noise"][:, 0].tolist()}
  assert len(words) == 6 and not words & {
    tuple(w) for w in other["noise"][:, 0].tolist()
  }


def test_a_batch_is_cut_at_its_capacity_at_random():
  sampler = Poisson({"x": np.arange(1, 21)}, 10, SECRET, capacity=6)
  batch = sampler(0, 3000)
  assert batch["x"].shape == (3000, 6) and batch["mask"].mean() > 0.95
  share = np.bincount(batch["x"].ravel(), minlength=21)[1:] / 3000
  assert np.ptp(share) < 0.06


def test_a_customer_brings_all_rows_and_few_at_most():
  owners = np.repeat([7, 3, 9, 5], [1, 2, 3, 40])
  rows = {"owner": owners, "row": np.arange(46)}
  sampler = Poisson(
    rows, 2, SECRET, owners=owners, most=3, capacity=4, updates=2
  )
  assert sampler.sampling == ("poisson", 4, 0.5, 4) and sampler.padded == 12
  batch = sampler(0, 400)
  assert batch["row"].shape == (400, 24)
  seen = set()
  for step in range(400):
    for update in (0, 1):  # as the step deals them
      x = {name: v[step, update::2] for name, v in batch.items()}
      mask = x["mask"].reshape(4, 3)
      whose = x["owner"].reshape(4, 3)
      for unit, there in zip(whose, mask, strict=True):
        ids = set(unit[there])
        assert len(ids) <= 1
        if ids:
          assert there.sum() == min(3, (owners == ids.pop()).sum())
      got = x["row"][x["mask"]]
      assert len(set(got)) == len(got)
      seen |= set(got)
  assert seen == set(range(46))
  assert (batch["mask"][:, ::2] != batch["mask"][:, 1::2]).any()


def test_bad_samplers_are_refused():
  rows = {"x": np.arange(4)}
  for bad in ({"expected": 5}, {"expected": 0}, {"capacity": 0}, {"most": 2}):
    with pytest.raises(ValueError):
      Poisson(rows, **{"expected": 2, "secret": SECRET} | bad)
  with pytest.raises(ValueError, match="owners"):
    Poisson(rows, 2, SECRET, owners=np.arange(3))
  with pytest.raises(ValueError, match="give some"):
    Poisson({"x": np.zeros(0)}, 1, SECRET)


def test_several_updates_play_on_samples_of_their_own():
  """And the noise of a replayed step is the same, of another step another."""
  rows = {"real": full_batch(64)["real"]}
  sampler = Poisson(rows, 8, SECRET, updates=2)
  players = game(private(1.0, 1.0, 8, sampler.padded), updates=2)
  step = jax.jit(make_step(players))
  states = [start(players)]
  for s in (0, 1):
    batch = {n: x[0] for n, x in sampler(s, s + 1).items()}
    states.append(step(states[-1], batch)[0])
  again, _ = step(states[1], {n: x[0] for n, x in sampler(1, 2).items()})
  jax.tree.map(np.testing.assert_array_equal, again.params, states[2].params)
