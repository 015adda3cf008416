"""The only training loop."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import pathlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.training import parallel
from adv_rec.training.checkpoint import Checkpoints
from adv_rec.training.metrics import MetricWriter
from adv_rec.training.step import init_state
from adv_rec.types import Game, State

_logger = logging.getLogger(__name__)

Evaluate = Callable[[State], Mapping[str, float]]


class Schedule(NamedTuple):
  """How long to train and what happens when, all in steps.

  Attributes:
    steps: steps in all.
    dispatch: steps compiled into one call; metrics are written once for each.
    evaluate: steps between evaluations, a multiple of `dispatch`; 0: never.
    checkpoint: steps between checkpoints, a multiple of `dispatch`.
  """

  steps: int = 0
  dispatch: int = 1
  evaluate: int = 0
  checkpoint: int = 1


class Interrupted(SystemExit):
  """SIGTERM came; the state is saved and the same command goes on from it."""


def train(
  game: Game,
  batches: Callable[..., Mapping[str, np.ndarray]] | None,
  schedule: Schedule,
  workdir: pathlib.Path,
  seed: int,
  evaluate: Evaluate | None = None,
  mesh: parallel.Mesh | None = None,
  mode: str = "jit",
  progress: bool = True,
  watch: str = "",
) -> State:
  """Plays a game to the end, from the newest checkpoint in the workdir.

  Batches of the next call are made in a background thread while the devices
  work. Nothing here depends on when the run was interrupted: calls cover the
  same steps, batches and keys are functions of the step.

  Args:
    game: the players; with no steps to play, their initial state is the
      result (closed-form models).
    batches: (start, stop, part) -> {name: [stop - start, B / P, ...]}, the
      rows of `parallel.part`; None with no steps to play.
    schedule: when to do what.
    workdir: receives metrics.jsonl, tensorboard/ and checkpoints/.
    seed: of the root key.
    evaluate: state -> {name: value}, written as they are.
    mesh: from `parallel.make_mesh`; all devices by default.
    mode: "jit" or "pmap".
    progress: whether to show a bar.
    watch: the metric to show beside it.

  Returns:
    The final state.

  Raises:
    ValueError: a bad schedule, or a batch that the devices cannot share.
    FloatingPointError: a loss or a parameter is not finite; names the step
      and the player. The last checkpoint is from before.
    Interrupted: SIGTERM.
  """
  _check(schedule)
  mesh = mesh or parallel.make_mesh()
  checkpoints = Checkpoints(workdir / "checkpoints")
  state, seconds = _start(game, checkpoints, seed, mesh)
  first = int(state.step)
  if first >= schedule.steps and checkpoints.latest_step() is not None:
    checkpoints.close()
    return state
  run = parallel.compile_steps(game, state, mesh, mode)
  main = jax.process_index() == 0
  writer = (
    MetricWriter(workdir, first, schedule.steps, progress, watch)
    if main
    else None
  )
  clock = _Clock(seconds)

  def write(step: int, values: Mapping[str, float]) -> None:
    if writer is not None:
      writer.write(step, clock(), values)

  def save(step: int, state: State) -> None:
    _check_finite(state, step)
    checkpoints.save(step, state, {"wall_seconds": clock()})

  def fetch(start: int, stop: int):
    assert batches is not None
    return parallel.feed(batches(start, stop, part), mesh, mode)

  calls, part = list(_calls(first, schedule)), parallel.part(mesh)
  pending = None  # the call whose metrics are still on the device
  with (
    _terminated() as stop_now,
    concurrent.futures.ThreadPoolExecutor(1) as background,
    contextlib.ExitStack() as closing,
  ):
    closing.callback(checkpoints.close)
    if writer is not None:
      closing.callback(writer.close)
    upcoming = background.submit(fetch, *calls[0]) if calls else None
    for i, (start, stop) in enumerate(calls):
      assert upcoming is not None
      batch = upcoming.result()
      if i + 1 < len(calls):
        upcoming = background.submit(fetch, *calls[i + 1])
      state, metrics = run(state, batch)
      if pending is not None:
        write(*_to_host(*pending))
      pending = (start, stop, metrics)
      last = stop == schedule.steps
      stopping = stop_now(i)  # asked once: the signal may come at any time
      due = schedule.evaluate and stop % schedule.evaluate == 0
      saves = last or stop % schedule.checkpoint == 0 or stopping
      if due or saves:
        step, values = _to_host(*pending)
        pending = None
        if evaluate is not None and (due or last):
          values = {**values, **evaluate(state)}
        write(step, values)
      if saves:
        save(stop, state)
      if stopping and not last:
        _logger.warning("SIGTERM: saved step %d; run again to go on", stop)
        raise Interrupted(128 + signal.SIGTERM)
    if not calls:
      save(first, state)
  return state


def _check(schedule: Schedule) -> None:
  lowest = {"steps": 0, "dispatch": 1, "evaluate": 0, "checkpoint": 1}
  for name, least in lowest.items():
    if (steps := getattr(schedule, name)) < least:
      raise ValueError(
        f"schedule: {name} is {steps} steps, must be at least {least}"
      )
  for name in ("evaluate", "checkpoint"):
    if (steps := getattr(schedule, name)) % schedule.dispatch:
      raise ValueError(
        f"schedule: {name} ({steps} steps) must be a multiple of dispatch"
        f" ({schedule.dispatch} steps)"
      )


def restore(
  game: Game,
  workdir: pathlib.Path,
  seed: int,
  mesh: parallel.Mesh | None = None,
) -> State:
  """The newest checkpoint of a run, on any number of devices.

  Raises:
    FileNotFoundError: there is none.
    ValueError: it belongs to another game.
  """
  directory = workdir / "checkpoints"
  if not directory.is_dir():
    raise FileNotFoundError(f"no checkpoint in {directory}; train first")
  checkpoints = Checkpoints(directory)
  try:
    return _read(game, checkpoints, seed, mesh or parallel.make_mesh())[0]
  finally:
    checkpoints.close()


def _start(
  game: Game, checkpoints: Checkpoints, seed: int, mesh: parallel.Mesh
) -> tuple[State, float]:
  """The newest checkpoint's state, or a new one; and the seconds it took."""
  if checkpoints.latest_step() is None:
    state = init_state(game, jax.random.key(seed))
    return parallel.place(state, mesh), 0.0
  state, meta = _read(game, checkpoints, seed, mesh)
  _logger.info("going on from step %d", int(state.step))
  return state, meta["wall_seconds"]


def _read(
  game: Game, checkpoints: Checkpoints, seed: int, mesh: parallel.Mesh
) -> tuple[State, dict]:
  like = jax.eval_shape(lambda: init_state(game, jax.random.key(seed)))
  like = jax.tree.map(
    lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
    like,
    parallel.shardings(like, mesh),
  )
  return checkpoints.restore(like)


def _calls(first: int, schedule: Schedule) -> Iterator[tuple[int, int]]:
  """(start, stop) of each compiled call; ends on multiples of dispatch."""
  start = first
  while start < schedule.steps:
    stop = min(
      (start // schedule.dispatch + 1) * schedule.dispatch, schedule.steps
    )
    yield start, stop
    start = stop


def _to_host(start: int, stop: int, metrics) -> tuple[int, dict[str, float]]:
  """Means over one call; raises if any step of it was not finite."""
  values = {}
  for player, scalars in jax.device_get(metrics).items():
    for name, by_step in scalars.items():
      bad = np.flatnonzero(~np.isfinite(by_step))
      if bad.size:
        raise FloatingPointError(
          f"{name} of player {player!r} is {by_step[bad[0]]} at step"
          f" {start + int(bad[0])}; lower the learning rate or the attack's"
          " size and run again from the last checkpoint"
        )
      values[f"train/{player}/{name}"] = float(np.mean(by_step))
  return stop, values


@jax.jit
def _finite(params) -> jax.Array:
  return jnp.all(
    jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(params)])
  )


def _check_finite(state: State, step: int) -> None:
  for player, params in state.params.items():
    if not _finite(params):
      raise FloatingPointError(
        f"a parameter of player {player!r} is not finite at step {step};"
        " lower the learning rate and run again from the last checkpoint"
      )


class _Clock:
  """Seconds of training, those before an interruption included."""

  def __init__(self, before: float):
    self._start = time.monotonic() - before

  def __call__(self) -> float:
    return time.monotonic() - self._start


@contextlib.contextmanager
def _terminated() -> Iterator[Callable[[int], bool]]:
  """Whether to stop after call i, because SIGTERM has come."""
  if jax.process_count() > 1:
    yield parallel.told_to_stop
    return
  seen = []
  try:
    old = signal.signal(signal.SIGTERM, lambda *_: seen.append(True))
  except ValueError:  # not the main thread: whoever owns it handles signals
    yield lambda _: False
    return
  try:
    yield lambda _: bool(seen)
  finally:
    signal.signal(signal.SIGTERM, old)
