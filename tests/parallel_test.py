"""The same training on one device and on eight, under jit and under pmap."""

import functools
import types

import jax
import numpy as np
import optax
import pytest

from adv_rec.attacks import gradients
from adv_rec.data import batching, planted
from adv_rec.games.recommend import matrix_factorization
from adv_rec.models.recommenders import MatrixFactorization
from adv_rec.training import loop, parallel
from adv_rec.training.checkpoint import Checkpoints
from adv_rec.training.loop import Schedule
from adv_rec.training.step import init_state

USERS, ITEMS, STEPS = 200, 150, 6  # tables of 256 rows
KEY = jax.random.key(1)


def make_game(row_sparse=False, attack=None):
  return matrix_factorization(
    MatrixFactorization(USERS, ITEMS, dim=4, scale=0.3),
    optax.adagrad(0.1, 1e-3),
    l2=0.01,
    attack=attack or gradients.fgm(0.2),
    row_sparse=row_sparse,
  )


def make_batches(row_sparse=False, batch_size=64):
  pairs = planted.tastes(USERS, ITEMS, per_user=5)
  epoch_rows = batching.triples(*pairs, ITEMS, 0)
  batches = batching.stream(epoch_rows, len(pairs.user), batch_size)
  if row_sparse:
    tables = {"user": (("user",), 256), "item": (("positive", "negative"), 256)}
    batches = batching.with_local_rows(batches, tables)
  return batches


def play(devices, model=1, mode="jit", row_sparse=False, game=None):
  """The state after two calls, and all metrics."""
  mesh = parallel.make_mesh(model, jax.devices()[:devices])
  game = game or make_game(row_sparse)
  state = parallel.place(init_state(game, KEY), mesh, min_rows=100)
  run = parallel.compile_steps(game, state, mesh, mode)
  batches, metrics = make_batches(row_sparse), []
  for start in (0, STEPS // 2):
    batch = batches(start, start + STEPS // 2)
    state, values = run(state, parallel.feed(batch, mesh, mode))
    metrics.append(jax.device_get(values))
  return state, metrics


def assert_close(a, b, **tolerance):
  """Equal but for the order in which floats are summed."""
  tolerance = {"rtol": 1e-4, "atol": 1e-6} | tolerance
  close = functools.partial(np.testing.assert_allclose, **tolerance)
  jax.tree.map(close, jax.device_get(a), jax.device_get(b))


def assert_same_training(a, b, **tolerance):
  assert int(a[0].step) == int(b[0].step) == STEPS
  for field in ("params", "opt_state", "average"):
    assert_close(getattr(a[0], field), getattr(b[0], field), **tolerance)
  assert_close(a[1], b[1], **tolerance)


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "sparse"])
def one_device(request):
  return request.param, play(1, row_sparse=request.param)


@pytest.mark.parametrize("model", [1, 2, 4])
def test_eight_devices_train_like_one(one_device, model):
  row_sparse, expected = one_device
  found = play(8, model, row_sparse=row_sparse)
  assert_same_training(found, expected)
  state = found[0]
  assert len(state.step.sharding.device_set) == 8
  for table in (*state.params["model"].values(), *adagrad_sums(state)):
    # Large tables stay split by rows, the statistics with them.
    assert table.addressable_shards[0].data.shape[0] == 256 // model


def adagrad_sums(state):
  return state.opt_state["model"][0].sum_of_squares.values()


def test_the_batch_is_split_over_the_data_axis():
  mesh = parallel.make_mesh(2)
  assert mesh.shape == {"data": 4, "model": 2}
  batch = make_batches()(0, 2)
  fed = parallel.feed(batch, mesh)
  for name, x in fed.items():
    np.testing.assert_array_equal(x, batch[name])
    assert {s.data.shape for s in x.addressable_shards} == {(2, 16)}


@pytest.mark.parametrize(
  ("processes", "parts"),  # process of each device, [data, model]
  [
    ([[0], [0], [0]], {0: (0, 1)}),
    ([[0], [0], [1], [1]], {0: (0, 2), 1: (1, 2)}),
    ([[0], [1], [0], [1]], {0: (0, 2), 1: (1, 2)}),
    ([[0, 1], [2, 3]], {0: (0, 2), 1: (0, 2), 2: (1, 2), 3: (1, 2)}),
    ([[0, 1, 2]], {0: (0, 1), 1: (0, 1), 2: (0, 1)}),
    # What cannot be shared equally, all processes feed whole.
    ([[0], [0], [1]], {0: (0, 1), 1: (0, 1)}),
    ([[0, 1], [1, 0], [1, 1]], {0: (0, 1), 1: (0, 1)}),
  ],
)
def test_each_process_feeds_the_rows_of_its_own_devices(
  monkeypatch, processes, parts
):
  devices = [
    [types.SimpleNamespace(process_index=p) for p in row] for row in processes
  ]
  mesh = types.SimpleNamespace(devices=np.array(devices, object))
  for process, expected in parts.items():
    monkeypatch.setattr(jax, "process_index", lambda p=process: p)
    assert parallel.part(mesh) == expected


def test_pmap_agrees_with_jit():
  """Without an attack: under pmap it sees the rows of its own device only."""
  game = make_game(attack=gradients.random(0.0))
  expected = play(1, game=game)
  assert_same_training(play(8, game=game), expected)
  assert_same_training(play(8, mode="pmap", game=game), expected)


def test_small_tables_are_copied():
  mesh = parallel.make_mesh(4)
  state = init_state(make_game(), KEY)
  for x in jax.tree.leaves(parallel.shardings(state, mesh)):
    assert x.is_fully_replicated
  placed = parallel.shardings(state, mesh, min_rows=256)
  assert not placed.params["model"]["user"].is_fully_replicated
  assert placed.step.is_fully_replicated
  placed = parallel.shardings(state, mesh, min_rows=257)
  assert placed.params["model"]["user"].is_fully_replicated


def test_a_state_goes_on_with_another_number_of_devices(tmp_path):
  game, batches = make_game(), make_batches()
  train = functools.partial(loop.train, game, batches, seed=0, progress=False)
  meshes = [parallel.make_mesh(1, jax.devices()[:n]) for n in (2, 8)]
  half, whole = Schedule(steps=3), Schedule(steps=6)
  train(half, tmp_path / "run", mesh=meshes[0])
  found = train(whole, tmp_path / "run", mesh=meshes[1])
  assert len(found.step.sharding.device_set) == 8
  expected = train(whole, tmp_path / "other", mesh=meshes[1])
  assert_close(found.params, expected.params)
  assert_close(found.opt_state, expected.opt_state)

  # From tables split by rows to one device, bit for bit.
  split = play(8, model=4)[0]
  checkpoints = Checkpoints(tmp_path / "split")
  checkpoints.save(STEPS, split, {})
  one = parallel.make_mesh(1, jax.devices()[:1])
  like = jax.tree.map(
    lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
    split,
    parallel.shardings(split, one),
  )
  state, _ = checkpoints.restore(like)
  assert len(state.params["model"]["user"].sharding.device_set) == 1
  equal = np.testing.assert_array_equal
  jax.tree.map(equal, state.params, split.params)
  jax.tree.map(equal, state.opt_state, split.opt_state)
  equal(jax.random.key_data(state.key), jax.random.key_data(split.key))


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_rows_that_cannot_be_shared_are_refused(mode):
  batch = make_batches(batch_size=12)(0, 1)
  with pytest.raises(ValueError, match=r"12 rows, which 8 devices .*multiple"):
    parallel.feed(batch, parallel.make_mesh(), mode)


def test_meshes_and_modes_that_cannot_be_are_refused():
  for model in (0, 3, 16):
    with pytest.raises(ValueError, match=f"8 devices .* rows of {model}"):
      parallel.make_mesh(model)
  mesh = parallel.make_mesh(2)
  state = parallel.place(init_state(make_game(), KEY), mesh)
  with pytest.raises(ValueError, match="use mode=jit"):
    parallel.compile_steps(make_game(), state, mesh, "pmap")
  with pytest.raises(ValueError, match="got 'vmap'"):
    parallel.compile_steps(make_game(), state, mesh, "vmap")
