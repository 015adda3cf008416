"""The game of a generator and a discriminator."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.games.gan import adversarial, gan
from adv_rec.losses import gan as losses
from adv_rec.models.gan import Discriminator, Generator, sample
from adv_rec.training import loop, metrics, parallel
from adv_rec.training.step import init_state, make_step

KEY = jax.random.key(7)
GENERATOR = Generator(features=2, latent=3, hidden=(8,))
DISCRIMINATOR = Discriminator(hidden=(8,))


def make_game(objective=None, rates=(0.1, 0.1), **options):
  options = {"generator": GENERATOR, "discriminator": DISCRIMINATOR} | options
  return gan(
    options.pop("generator"),
    options.pop("discriminator"),
    objective or losses.non_saturating(),
    *map(optax.sgd, rates),
    **options,
  )


def draw_batches(steps, rows=16, condition=0):
  rng = np.random.default_rng(0)
  return [
    {
      "real": rng.normal(1, 1, (rows, 2)).astype(np.float32),
      "condition": rng.normal(size=(rows, condition)).astype(np.float32),
    }
    for _ in range(steps)
  ]


def play(game, batches):
  step = jax.jit(make_step(game))
  states, values = [jax.jit(lambda key: init_state(game, key))(KEY)], []
  for batch in batches:
    state, metrics = step(states[-1], batch)
    states.append(state)
    values.append(metrics)
  return states, values


def assert_equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_compiled_step_equals_one_by_hand():
  """Wasserstein, penalty, condition, packs, two updates, an average."""
  rate, slow, weight, decay, size = 0.1, 0.03, 2.0, 0.9, 2
  game = make_game(
    losses.wasserstein(),
    (rate, slow),
    condition=1,
    penalties={losses.gradient_penalty: weight},
    pack=size,
    updates=2,
    average=decay,
  )
  batches = draw_batches(3, rows=16, condition=1)
  states, values = play(game, batches)

  def score(critic, x, condition):
    pairs = x.reshape(-1, size * 2), condition.reshape(-1, size)
    return DISCRIMINATOR.apply({"params": critic}, *pairs)

  def fake_of(own, key, condition):
    noise = jax.random.normal(jax.random.split(key)[0], (len(condition), 3))
    return GENERATOR.apply({"params": own}, noise, condition)

  @jax.jit
  def critic_update(critic, own, real, condition, key):
    key_fake, _, key_penalty = jax.random.split(key, 3)
    fake = fake_of(own, key_fake, condition)
    u = jax.random.uniform(
      jax.random.fold_in(key_penalty, 0), (len(real) // 2,)
    )
    u = jnp.repeat(u, size)[:, None]
    between = u * real + (1 - u) * fake

    def loss(critic):
      def one(pair, given):
        return score(critic, pair, given)[0]

      slope = jax.vmap(jax.grad(one))(
        between.reshape(-1, size, 2), condition.reshape(-1, size, 1)
      )
      norm = jnp.sqrt(jnp.sum(slope**2, axis=(1, 2)))
      gap = score(critic, fake, condition) - score(critic, real, condition)
      return gap.mean() + weight * ((norm - 1) ** 2).mean(), gap.mean()

    gradient, gap = jax.grad(loss, has_aux=True)(critic)
    return jax.tree.map(lambda p, g: p - rate * g, critic, gradient), gap

  @jax.jit
  def generator_update(critic, own, condition, key):
    key_fake = jax.random.split(key)[0]

    def loss(own):
      return -score(critic, fake_of(own, key_fake, condition), condition).mean()

    value, gradient = jax.value_and_grad(loss)(own)
    return jax.tree.map(lambda p, g: p - slow * g, own, gradient), value

  def close(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)

  critic, own = states[0].params.values()
  average = own
  for i, batch in enumerate(batches):
    key, gaps = jax.random.fold_in(KEY, i), []
    for r in range(2):
      turn_key = jax.random.fold_in(jax.random.fold_in(key, 0), r)
      rows = (batch[name][r::2] for name in ("real", "condition"))
      critic, gap = critic_update(critic, own, *rows, turn_key)
      gaps.append(gap)
    turn_key = jax.random.fold_in(jax.random.fold_in(key, 1), 0)
    own, value = generator_update(
      critic, own, batch["condition"][0::2], turn_key
    )
    average = jax.tree.map(
      lambda a, p: decay * a + (1 - decay) * p, average, own
    )
    state = states[i + 1]
    jax.tree.map(close, state.params["discriminator"], critic)
    jax.tree.map(close, state.params["generator"], own)
    jax.tree.map(close, state.average, {"generator": average})
    close(values[i]["discriminator"]["loss"], np.mean(gaps))
    close(values[i]["generator"]["loss"], value)
    assert values[i]["discriminator"]["penalty"] > 0


@pytest.mark.parametrize(
  "weights", [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)], ids=str
)
def test_each_side_moves_by_its_own_loss_only(weights):
  """A side whose objective weighs nothing stays where it is, and only it."""
  plain = losses.non_saturating()
  objective = losses.Objective(
    *(
      lambda real, fake, w=w, loss=loss: w * loss(real, fake)
      for w, loss in zip(weights, plain, strict=True)
    )
  )
  states, _ = play(make_game(objective), draw_batches(2))
  for (name, before), weight in zip(
    states[0].params.items(), weights, strict=True
  ):
    after = states[-1].params[name]
    same = [
      bool((a == b).all())
      for a, b in zip(
        jax.tree.leaves(before), jax.tree.leaves(after), strict=True
      )
    ]
    assert all(same) if weight == 0 else not any(same), name


def test_with_penalties_of_weight_zero_it_is_the_same_program():
  def program(**options):
    game = make_game(**options)
    state = jax.eval_shape(lambda: init_state(game, KEY))
    step = jax.jit(make_step(game))
    return step.lower(state, draw_batches(1)[0]).as_text()

  assert program(penalties={losses.r1: 0.0}) == program()
  assert program(penalties={losses.r1: 0.1}) != program()


def test_a_loss_has_no_gradient_for_the_other_side():
  """Each loss depends on both sides, and is differentiated by its own."""
  game = make_game(
    losses.relativistic(), penalties={losses.r1: 1.0, losses.r2: 1.0}
  )
  state = jax.jit(lambda key: init_state(game, key))(KEY)
  batch = draw_batches(1)[0]
  for name, other in itertools.permutations(game):

    def value(own, theirs, name=name, other=other):
      everyone = {name: own, other: theirs}
      return game[name].loss(own, everyone, batch, KEY)[0]

    params = state.params[name], state.params[other]
    by_own, by_theirs = jax.grad(value, (0, 1))(*params)
    gradient, _ = game[name].gradient(game[name].loss)(
      params[0], state.params, batch, KEY
    )
    assert_equal(gradient, by_own)
    # What is left out is not zero: a step that took it would play otherwise.
    assert max(abs(g).max() for g in jax.tree.leaves(by_theirs)) > 0


def test_a_game_with_every_option_stays_finite():
  game = make_game(
    losses.relativistic(),
    discriminator=Discriminator((8,), dropout=0.2, spectral=True),
    penalties={losses.r1: 0.1, losses.r2: 0.1, losses.gradient_penalty: 1.0},
    pack=3,
    updates=2,
    average=0.9,
  )
  states, values = play(game, draw_batches(3, rows=12))
  for x in jax.tree.leaves((values, states[-1].params)):
    assert np.isfinite(x).all()


def test_any_two_functions_play():
  """No network: a point against a linear critic with a penalty on its size."""
  losses_of = adversarial(
    generate=lambda params, batch, key: jnp.broadcast_to(params, (4, 1)),
    discriminate=lambda params, batch, key, x: x[:, 0] * params,
    objective=losses.wasserstein(),
    penalties={losses.r1: 1.0},
    real=lambda batch: batch["value"],
  )
  batch = {"value": jnp.full((4, 1), 2.0)}
  point, slope = jnp.float32(0.5), jnp.float32(3.0)
  everyone = {"discriminator": slope, "generator": point}
  critic, generator = (jax.grad(f, has_aux=True) for f in losses_of)
  # d/dw (w y - w x + w^2 / 2) = y - x + w, and d/dy (- w y) = - w.
  assert critic(slope, everyone, batch, KEY)[0] == 0.5 - 2.0 + 3.0
  assert generator(point, everyone, batch, KEY)[0] == -3.0


def test_a_generator_may_draw_more_than_its_noise():
  class Noisy(nn.Module):
    features: int = 2
    latent: int = 1

    @nn.compact
    def __call__(self, noise, condition=None):
      more = jax.random.normal(self.make_rng("sample"), (len(noise), 2))
      return more + nn.Dense(2)(noise)

  states, _ = play(make_game(generator=Noisy()), draw_batches(2))
  params = states[-1].params["generator"]
  one, two = (sample(Noisy(), params, jax.random.key(i), 5) for i in (0, 1))
  assert one.shape == (5, 2)
  assert (one != two).all()
  assert_equal(one, sample(Noisy(), params, jax.random.key(0), 5))


def test_it_learns_gaussians_by_their_condition(tmp_path):
  """N(-2, .5) and N(3, .5), told apart by the condition, through the loop."""
  generator = Generator(features=1, latent=2, hidden=(16,))
  game = gan(
    generator,
    Discriminator(hidden=(32,)),
    losses.non_saturating(),
    optax.adam(1e-2, b1=0.5),
    optax.adam(3e-3, b1=0.5),
    condition=2,
    penalties={losses.r1: 0.5, losses.r2: 0.5},
    average=0.98,
  )
  means = np.array([-2.0, 3.0])

  def batches(start, stop, part=(0, 1)):
    rng = np.random.default_rng([start, stop])
    kind = rng.integers(2, size=(stop - start, 64))
    real = means[kind] + 0.5 * rng.normal(size=kind.shape)
    return {
      "real": real[..., None].astype(np.float32),
      "condition": np.eye(2, dtype=np.float32)[kind],
    }

  schedule = loop.Schedule(steps=600, dispatch=100, checkpoint=600)
  mesh = parallel.make_mesh(devices=jax.devices()[:1])
  state = loop.train(
    game, batches, schedule, tmp_path, 0, mesh=mesh, progress=False
  )
  now, average = state.params["generator"], state.average["generator"]
  for params, tolerance in ((now, 0.3), (average, 0.15)):
    for kind in range(2):
      condition = jnp.tile(jnp.eye(2)[kind], (1000, 1))
      drawn = sample(generator, params, KEY, 1000, condition)
      np.testing.assert_allclose(drawn.mean(), means[kind], atol=tolerance)
      assert 0.2 < drawn.std() < 0.8  # .5; a point would mean collapse
  last = metrics.read(tmp_path / "metrics.jsonl")[-1]["values"]
  assert {"train/discriminator/penalty", "train/generator/loss"} <= set(last)
