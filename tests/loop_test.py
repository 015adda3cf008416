"""The loop: interrupted and resumed, it ends as if nothing had happened."""

import gc
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.training import loop, metrics, parallel
from adv_rec.training.checkpoint import Checkpoints
from adv_rec.training.loop import Schedule
from adv_rec.training.step import init_state
from adv_rec.types import Player

SCHEDULE = Schedule(steps=20, dispatch=2, evaluate=4, checkpoint=8)
SEED = 5


def make_game(width=3, counter=None):
  """Two players with noise, momentum and a moving average."""

  def loss(own, everyone, batch, key):
    if counter is not None:
      counter.append(1)  # once for each trace
    noise = 0.1 * jax.random.normal(key, batch["x"].shape)
    error = (batch["x"] + noise) @ own - everyone["target"].sum()
    return jnp.mean(error**2), {"loss": jnp.mean(error**2)}

  def drift(own, everyone, batch, key):
    return jnp.sum(own * everyone["model"]), {"drift": own[0]}

  def init(key):
    return jax.random.normal(key, (width,))

  return {
    "model": Player(init, loss, optax.adam(0.05), average=0.9),
    "target": Player(init, drift, optax.sgd(0.01)),
  }


def batches(start, stop, part=(0, 1)):
  return {
    "x": np.stack(
      [
        np.random.default_rng(step).normal(size=(8, 3)).astype(np.float32)
        for step in range(start, stop)
      ]
    )
  }


def evaluate(state):
  return {"validation/sum": float(state.params["model"].sum())}


def train(workdir, game=None, batches=batches, schedule=SCHEDULE, **kwargs):
  arguments = {"evaluate": evaluate, "progress": False} | kwargs
  return loop.train(
    game or make_game(), batches, schedule, workdir, SEED, **arguments
  )


def rows(workdir):
  """metrics.jsonl without its times."""
  read = metrics.read(workdir / "metrics.jsonl")
  return [{n: v for n, v in row.items() if n != "wall_seconds"} for row in read]


def assert_same_state(a, b):
  def data(s):
    return jax.device_get(s.replace(key=jax.random.key_data(s.key)))

  jax.tree.map(np.testing.assert_array_equal, data(a), data(b))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("uninterrupted")
  return train(workdir), rows(workdir)


def test_it_plays_the_steps_one_by_one(uninterrupted):
  state, lines = uninterrupted
  assert state.step == 20
  expected = init_state(make_game(), jax.random.key(SEED))
  mesh = parallel.make_mesh()
  expected = parallel.place(expected, mesh)
  one = parallel.compile_steps(make_game(), expected, mesh)
  losses = []
  for step in range(20):
    expected, values = one(
      expected, parallel.feed(batches(step, step + 1), mesh)
    )
    losses.append(float(values["model"]["loss"][0]))

  def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5)

  jax.tree.map(close, state.params, expected.params)
  jax.tree.map(close, state.average, expected.average)
  assert [row["step"] for row in lines] == list(range(2, 21, 2))
  logged = [row["values"]["train/model/loss"] for row in lines]
  close(logged, np.reshape(losses, (10, 2)).mean(axis=1))
  evaluated = [r["step"] for r in lines if "validation/sum" in r["values"]]
  assert evaluated == [4, 8, 12, 16, 20]


@pytest.mark.parametrize("stopped_at", [4, 8, 12, 20])
def test_resumed_equals_uninterrupted(stopped_at, uninterrupted, tmp_path):
  def breaks(state):
    if state.step == stopped_at:
      raise KeyboardInterrupt
    return evaluate(state)

  with pytest.raises(KeyboardInterrupt):
    train(tmp_path, evaluate=breaks)
  kept = Checkpoints(tmp_path / "checkpoints").latest_step()
  assert kept == {4: None, 8: None, 12: 8, 20: 16}[stopped_at]
  state = train(tmp_path)
  assert_same_state(state, uninterrupted[0])
  assert rows(tmp_path) == uninterrupted[1]
  # Once more: there is nothing left to do, and nothing is written.
  before = (tmp_path / "metrics.jsonl").read_bytes()
  assert_same_state(train(tmp_path, batches=None), uninterrupted[0])
  assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_sigterm_saves_and_exits_143(uninterrupted, tmp_path, caplog):
  handler = signal.getsignal(signal.SIGTERM)

  def terminated(state):
    if state.step == 12:  # no checkpoint is due here
      os.kill(os.getpid(), signal.SIGTERM)
    return evaluate(state)

  with pytest.raises(SystemExit) as error:
    train(tmp_path, evaluate=terminated)
  assert error.value.code == 143 and isinstance(error.value, loop.Interrupted)
  assert signal.getsignal(signal.SIGTERM) is handler
  saved = Checkpoints(tmp_path / "checkpoints").latest_step()
  assert saved in (12, 14)  # at the end of the call in which it came
  assert f"saved step {saved}" in caplog.text
  assert_same_state(train(tmp_path), uninterrupted[0])
  assert rows(tmp_path) == uninterrupted[1]


def test_sigterm_in_the_last_call_ends_the_run(uninterrupted, tmp_path):
  def terminated(state):
    if state.step == 20:
      os.kill(os.getpid(), signal.SIGTERM)
    return evaluate(state)

  assert_same_state(train(tmp_path, evaluate=terminated), uninterrupted[0])


def test_a_loss_that_is_not_finite_names_step_and_player(tmp_path):
  def poisoned(start, stop, part):
    x = batches(start, stop)["x"]
    x[np.arange(start, stop) == 13] = np.inf
    return {"x": x}

  with pytest.raises(FloatingPointError, match=r"'model' is .* at step 13;"):
    train(tmp_path, batches=poisoned)
  assert Checkpoints(tmp_path / "checkpoints").latest_step() == 8
  assert [row["step"] for row in rows(tmp_path)] == [2, 4, 6, 8, 10, 12]
  # With the cause put right, the run goes on.
  assert train(tmp_path).step == 20


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
  def steep(own, everyone, batch, key):
    value = jnp.sqrt(own)  # zero, with an infinite slope
    return value, {"loss": value}

  game = {"steep": Player(lambda key: jnp.zeros(()), steep, optax.sgd(0.1))}
  schedule = Schedule(steps=1)
  with pytest.raises(FloatingPointError, match=r"player 'steep'.*step 1"):
    train(tmp_path, game, schedule=schedule, evaluate=None)
  assert Checkpoints(tmp_path / "checkpoints").latest_step() is None


@pytest.mark.parametrize(
  "schedule, message",
  [
    (Schedule(8, dispatch=2, evaluate=3, checkpoint=2), "evaluate.*multiple"),
    (Schedule(8, dispatch=2, evaluate=2, checkpoint=3), "checkpoint.*multiple"),
    (Schedule(8, dispatch=0), "dispatch is 0 steps, must be at least 1"),
    (Schedule(8, checkpoint=0), "checkpoint is 0 steps, must be at least 1"),
    (Schedule(-8), "steps is -8 steps, must be at least 0"),
  ],
)
def test_bad_schedules_are_refused(schedule, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    train(tmp_path / "run", schedule=schedule)
  assert not (tmp_path / "run").exists()


def test_the_last_call_may_be_short(tmp_path):
  schedule = Schedule(steps=7, dispatch=3, evaluate=3, checkpoint=3)
  state = train(tmp_path, schedule=schedule)
  assert state.step == 7
  lines = rows(tmp_path)
  assert [row["step"] for row in lines] == [3, 6, 7]
  assert all("validation/sum" in row["values"] for row in lines)


def test_without_steps_the_initial_state_is_the_result(tmp_path):
  state = train(tmp_path, batches=None, schedule=Schedule())
  assert_same_state(state, init_state(make_game(), jax.random.key(SEED)))
  assert_same_state(loop.restore(make_game(), tmp_path, SEED), state)
  assert_same_state(train(tmp_path, batches=None, schedule=Schedule()), state)


def test_one_compilation_serves_all_calls(tmp_path):
  traces = {}
  for calls in (1, 6):
    counter = []
    schedule = Schedule(steps=4 * calls, dispatch=4, checkpoint=4 * calls)
    train(tmp_path / str(calls), make_game(counter=counter), batches, schedule)
    traces[calls] = len(counter)
  # Shapes of parameters do not depend on the loss, so every trace of it is a
  # compilation of the step.
  assert traces[6] == traces[1]


@pytest.fixture
def collected():
  """What Orbax's abandoned reads complain of is not left to later tests."""
  yield
  gc.collect()


@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_restore_says_what_is_wrong(tmp_path):
  with pytest.raises(FileNotFoundError, match="train first"):
    loop.restore(make_game(), tmp_path, SEED)
  train(tmp_path, schedule=Schedule(steps=2))
  other_shape = make_game(width=4)
  with pytest.raises(ValueError, match="does not fit this config"):
    loop.restore(other_shape, tmp_path, SEED)
  other_player = {"someone": make_game()["model"]}
  with pytest.raises(ValueError, match="does not fit this config"):
    loop.restore(other_player, tmp_path, SEED)


def test_only_the_newest_checkpoints_are_kept(tmp_path):
  train(tmp_path, schedule=Schedule(steps=5))
  kept = {path.name for path in (tmp_path / "checkpoints").glob("[0-9]*")}
  assert kept == {"4", "5"}


def test_metrics_of_a_dead_process_are_cut_off(tmp_path):
  path = tmp_path / "metrics.jsonl"
  lines = [
    json.dumps({"step": s, "wall_seconds": 0.5, "values": {"a": s}})
    for s in (2, 4, 6, 8)
  ]
  path.write_text("\n".join(lines) + '\n{"step": 10, "wall_se')
  assert [row["step"] for row in metrics.read(path)] == [2, 4, 6, 8]
  writer = metrics.MetricWriter(tmp_path, 4, 10, progress=False)
  writer.write(6, 1.0, {"a": 1.5, "b": 2.0})
  writer.close()
  read = metrics.read(path)
  assert [row["step"] for row in read] == [2, 4, 6]
  assert read[-1] == {
    "step": 6,
    "wall_seconds": 1.0,
    "values": {"a": 1.5, "b": 2.0},
  }
  events = list((tmp_path / "tensorboard").iterdir())
  assert len(events) == 1 and events[0].stat().st_size > 0
