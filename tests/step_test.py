"""The step: order of play, frozen opponents, rounds, keys, sparse rows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.training.step import init_state, make_step
from adv_rec.types import Player

KEY = jax.random.key(3)


def scalar(value):
  return lambda key: jnp.float32(value)


def play(game, batches):
  """The states after 0, 1, ... steps, and the metrics of each step."""
  step = jax.jit(make_step(game))
  states, metrics = [init_state(game, KEY)], []
  for batch in batches:
    state, values = step(states[-1], batch)
    states.append(state)
    metrics.append(values)
  return states, metrics


def regression(optimizer, noise=0.0):
  """Linear regression with noise on its inputs, drawn from the key."""

  def loss(own, everyone, batch, key):
    del everyone
    x = batch["x"] + noise * jax.random.normal(key, batch["x"].shape)
    error = jnp.tanh(x @ own["w"]) + own["b"] - batch["y"]
    return jnp.mean(error**2), {"loss": jnp.mean(error**2)}

  def init(key):
    return {"w": jax.random.normal(key, (5,)), "b": jnp.zeros(())}

  return Player(init, loss, optimizer)


def draw_batches(steps, rows=16):
  rng = np.random.default_rng(0)
  return [
    {
      "x": rng.normal(size=(rows, 5)).astype(np.float32),
      "y": rng.normal(size=rows).astype(np.float32),
    }
    for _ in range(steps)
  ]


def assert_equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("make", [optax.sgd, optax.adam, optax.adagrad])
def test_one_player_is_a_plain_optax_loop_bit_for_bit(make):
  player = regression(make(0.1), noise=0.1)
  batches = draw_batches(6)
  states, metrics = play({"model": player}, batches)

  @jax.jit
  def plain_step(params, opt_state, batch, key):
    (_, values), grads = jax.value_and_grad(player.loss, has_aux=True)(
      params, {}, batch, key
    )
    updates, opt_state = player.optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, values

  params = player.init(jax.random.fold_in(KEY, 0))
  opt_state = player.optimizer.init(params)
  for i, batch in enumerate(batches):
    key = KEY
    for part in (i, 0, 0):  # step, turn, update
      key = jax.random.fold_in(key, part)
    params, opt_state, values = plain_step(params, opt_state, batch, key)
    assert_equal(states[i + 1].params["model"], params)
    assert_equal(states[i + 1].opt_state["model"], opt_state)
    assert_equal(metrics[i]["model"], values)
    assert states[i + 1].step == i + 1


def test_players_move_in_order_and_see_what_the_others_have_become():
  def leader(own, everyone, batch, key):
    return own * everyone["follower"], {}

  def follower(own, everyone, batch, key):
    return (own - everyone["leader"]) ** 2, {}

  game = {
    "leader": Player(scalar(2.0), leader, optax.sgd(0.5)),
    "follower": Player(scalar(4.0), follower, optax.sgd(0.25)),
  }
  states, _ = play(game, [{}] * 3)
  a, b = 2.0, 4.0
  for state in states[1:]:
    a = a - 0.5 * b
    b = b - 0.25 * 2 * (b - a)  # the new a
    assert state.params == {"leader": a, "follower": b}

  swapped = dict(reversed(game.items()))
  state = play(swapped, [{}])[0][-1]
  assert state.params == {"follower": 3.0, "leader": 2.0 - 0.5 * 3.0}


def test_only_the_first_argument_is_differentiated():
  def loss(own, everyone, batch, key):
    # The gradient by `own` is 5 * opponent; the own parameters met among
    # everybody's are a constant, as the opponent's are.
    return 5 * own * everyone["opponent"] + everyone["mover"] ** 2, {}

  def still(own, everyone, batch, key):
    return 7 * everyone["mover"] + 0 * own, {}

  game = {
    "mover": Player(scalar(1.0), loss, optax.sgd(1.0)),
    "opponent": Player(scalar(3.0), still, optax.sgd(1.0)),
  }
  states, _ = play(game, [{}])
  assert states[1].params == {"mover": 1.0 - 15.0, "opponent": 3.0}


def test_several_updates_see_strided_rounds_of_the_batch():
  critic = regression(optax.adam(0.1))._replace(updates=3)

  def generator_loss(own, everyone, batch, key):
    critic = everyone["critic"]
    value = jnp.mean((batch["x"] @ critic["w"] - own) ** 2)
    return value, {"loss": value, "first": batch["x"][0, 0]}

  game = {
    "critic": critic,
    "generator": Player(scalar(0.0), generator_loss, optax.sgd(0.1)),
  }
  batches = draw_batches(2, rows=24)
  states, metrics = play(game, batches)

  @jax.jit
  def update(params, opt_state, batch):
    (_, values), grads = jax.value_and_grad(critic.loss, has_aux=True)(
      params, {}, batch, KEY
    )
    updates, opt_state = critic.optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, values["loss"]

  params = critic.init(jax.random.fold_in(KEY, 0))
  opt_state = critic.optimizer.init(params)
  own = 0.0
  for i, batch in enumerate(batches):
    losses = []
    for r in range(3):
      part = {name: x[r::3] for name, x in batch.items()}
      params, opt_state, value = update(params, opt_state, part)
      losses.append(value)
    compare = functools.partial(np.testing.assert_allclose, rtol=1e-6)
    jax.tree.map(compare, states[i + 1].params["critic"], params)
    compare(metrics[i]["critic"]["loss"], np.mean(losses))
    # The generator plays once, on the first round, against the last critic.
    first = batch["x"][0::3]
    own -= 0.1 * np.mean(2 * (own - first @ params["w"]))
    np.testing.assert_allclose(
      states[i + 1].params["generator"], own, rtol=1e-5
    )
    assert metrics[i]["generator"]["first"] == first[0, 0]


def test_a_batch_that_the_updates_cannot_share_is_refused():
  game = {"model": regression(optax.sgd(0.1))._replace(updates=3)}
  with pytest.raises(ValueError, match=r"'x' has 16 rows, which the 3 updates"):
    play(game, draw_batches(1))


def test_moving_average_of_a_straight_walk():
  decay, rate = 0.9, 0.5

  def loss(own, everyone, batch, key):
    return own, {}

  game = {
    "walker": Player(scalar(1.0), loss, optax.sgd(rate), average=decay),
    "other": Player(scalar(1.0), loss, optax.sgd(rate)),
  }
  states, _ = play(game, [{}] * 8)
  assert states[0].average == {"walker": 1.0}
  for t, state in enumerate(states):
    # The average of a walk 1 - r t lags behind it: 1 - r (t - lag), with
    # lag = d (1 - d^t) / (1 - d).
    lag = decay * (1 - decay**t) / (1 - decay)
    np.testing.assert_allclose(
      state.average["walker"], 1 - rate * (t - lag), rtol=1e-5
    )
    assert set(state.average) == {"walker"}


def test_no_two_updates_share_a_key():
  seen = []

  def loss(own, everyone, batch, key):
    bits = jax.random.key_data(key)
    jax.debug.callback(lambda b: seen.append(tuple(b.tolist())), bits)
    return own * jax.random.uniform(key), {}

  game = {
    "one": Player(scalar(1.0), loss, optax.sgd(0.1), updates=2),
    "two": Player(scalar(1.0), loss, optax.sgd(0.1)),
  }
  states, _ = play(game, [{"x": jnp.zeros(2)}] * 4)
  jax.block_until_ready(states)
  jax.effects_barrier()
  assert len(seen) == len(set(seen)) == 4 * 3
  for state in states:
    assert_equal(jax.random.key_data(state.key), jax.random.key_data(KEY))


def test_losses_read_the_step():
  def loss(own, everyone, batch, key):
    return 0.0 * own, {"step": batch["step"]}

  game = {"model": Player(scalar(1.0), loss, optax.sgd(0.1))}
  _, metrics = play(game, [{}] * 3)
  assert [m["model"]["step"] for m in metrics] == [0, 1, 2]


# Row-sparse updates.

ROWS, DIM = 20, 3
IDS = {"table": ("left", "right")}


def table_player(optimizer, rows):
  """Scores pairs of rows of a table through a small dense matrix."""

  def loss(own, everyone, batch, key):
    left, right = own["table"][batch["left"]], own["table"][batch["right"]]
    error = jnp.sum((left @ own["dense"]) * right, axis=-1) - batch["y"]
    return jnp.mean(error**2), {"loss": jnp.mean(error**2)}

  def init(key):
    keys = jax.random.split(key)
    return {
      "table": jax.random.normal(keys[0], (ROWS, DIM)),
      "dense": jax.random.normal(keys[1], (DIM, DIM)),
    }

  return Player(init, loss, optimizer, rows=rows)


def pair_batches(steps, padding=4):
  """Batches with repeated ids, by global and by local ids."""
  rng = np.random.default_rng(1)
  dense, sparse = [], []
  for _ in range(steps):
    ids = rng.integers(0, 8, (2, 12)) * 2  # even rows, most of them repeated
    y = rng.normal(size=12).astype(np.float32)
    unique, local = np.unique(ids, return_inverse=True)
    local = local.reshape(ids.shape)
    unique = np.concatenate(
      [unique, np.full(8 + padding - len(unique), ROWS)]
    ).astype(np.int32)
    dense.append({"left": ids[0], "right": ids[1], "y": y})
    sparse.append(
      {"left": local[0], "right": local[1], "y": y, "table_rows": unique}
    )
  return dense, sparse


@pytest.mark.parametrize(
  "optimizer",
  [optax.sgd(0.05), optax.adagrad(0.1), optax.adagrad(0.1, 0.0, 1e-8)],
)
@pytest.mark.parametrize("on_device", [False, True])
def test_row_sparse_equals_dense(optimizer, on_device):
  dense, sparse = pair_batches(6)
  expected, expected_metrics = play(
    {"model": table_player(optimizer, None)}, dense
  )
  found, metrics = play(
    {"model": table_player(optimizer, IDS)}, dense if on_device else sparse
  )
  compare = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6)
  jax.tree.map(compare, found[-1].params, expected[-1].params)
  jax.tree.map(compare, found[-1].opt_state, expected[-1].opt_state)
  jax.tree.map(compare, metrics, expected_metrics)
  moved = np.any(
    found[-1].params["model"]["table"] != found[0].params["model"]["table"],
    axis=1,
  )
  assert moved[:16:2].all() and not moved[1::2].any() and not moved[16:].any()


def test_padding_changes_nothing():
  game = {"model": table_player(optax.adam(0.1), IDS)}
  few = play(game, pair_batches(4, padding=1)[1])[0][-1]
  many = play(game, pair_batches(4, padding=40)[1])[0][-1]
  compare = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
  jax.tree.map(compare, few.params, many.params)
  jax.tree.map(compare, few.opt_state, many.opt_state)


def test_row_sparse_adam_is_lazy():
  """Rows and their moments change only in the steps that visit them."""
  _, (first, second) = pair_batches(2)
  second |= {"table_rows": np.array([1, 3, *[ROWS] * 10], np.int32)}
  second |= {"left": first["left"] % 2, "right": first["right"] % 2}
  game = {"model": table_player(optax.adam(0.1), IDS)}
  before, after = play(game, [first, second])[0][1:]
  for tree in (
    lambda s: s.params["model"],
    lambda s: s.opt_state["model"][0].mu,
  ):
    changed = np.any(tree(before)["table"] != tree(after)["table"], axis=1)
    assert np.flatnonzero(changed).tolist() == [1, 3]
    assert (tree(before)["dense"] != tree(after)["dense"]).all()


def test_row_sparse_needs_one_round_and_jit():
  player = table_player(optax.sgd(0.1), IDS)
  with pytest.raises(ValueError, match=r"'model'.*row-sparse"):
    make_step({"model": player._replace(updates=2)})
  with pytest.raises(ValueError, match="row-sparse"):
    make_step({"model": player, "other": player._replace(updates=2)})
  with pytest.raises(ValueError, match="row-sparse"):
    make_step({"model": player}, axis_name="data")
