"""Compilation and placement: the only file that knows of devices.

The mesh has two axes: batches are split over "data", large tables by rows
over "model". Under `jit` (the default) the compiler inserts the
communication, so a step means the same on one device and on many. Losses
must not carry sharding constraints: those break under per-example `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from adv_rec.training.step import make_step
from adv_rec.types import Batch, Game, Metrics, State

T = TypeVar("T")
Run = Callable[[State, Batch], tuple[State, Metrics]]

# Tables with fewer rows are copied to every device: moving them costs more
# than keeping them.
MIN_SHARDED_ROWS = 1 << 16


def make_mesh(model: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
  """Devices in two axes: `model` of them along "model", the rest "data".

  Args:
    model: over how many devices a large table is split.
    devices: which ones; all by default.

  Raises:
    ValueError: the number of devices is not a multiple of `model`.
  """
  devices = jax.devices() if devices is None else devices
  if model < 1 or len(devices) % model:
    raise ValueError(
      f"mesh: {len(devices)} devices cannot be split into rows of {model};"
      " choose a divisor of the number of devices for the model axis"
    )
  return jax.make_mesh(
    (len(devices) // model, model),
    ("data", "model"),
    axis_types=(AxisType.Auto,) * 2,
    devices=devices,
  )


def shardings(tree: Any, mesh: Mesh, min_rows: int = MIN_SHARDED_ROWS) -> Any:
  """Where each array of a state lives: large tables by rows, others whole.

  Args:
    tree: arrays, or anything with a shape.
    mesh: from `make_mesh`.
    min_rows: rows from which a matrix counts as a large table.
  """
  model = mesh.shape["model"]

  def place(x):
    rows = x.shape[0] if len(x.shape) == 2 else 0
    by_rows = model > 1 and rows >= min_rows and rows % model == 0
    return NamedSharding(mesh, PartitionSpec("model" if by_rows else None))

  def place_any(x):
    if len(x.shape) == 0:
      return NamedSharding(mesh, PartitionSpec())
    return place(x)

  return jax.tree.map(place_any, tree)


def place(state: State, mesh: Mesh, **kwargs: Any) -> State:
  """Puts a state onto the mesh; see `shardings` for the arguments.

  Every process passes the same state.
  """
  where = shardings(state, mesh, **kwargs)
  # Not device_put: that reaches the devices of its own process only.
  return jax.jit(lambda state: state, out_shardings=where)(state)


def part(mesh: Mesh) -> tuple[int, int]:
  """(p, P): this process feeds the p-th of P equal parts of each batch.

  Processes whose devices lie at the same places of "data", side by side along
  "model", feed the same part. Where places overlap otherwise, all feed (0, 1),
  the whole.
  """
  places: dict[int, list[int]] = {}
  for place, devices in enumerate(mesh.devices):
    for process in {device.process_index for device in devices}:
      places.setdefault(process, []).append(place)
  parts = sorted({tuple(own) for own in places.values()})
  if len(mesh.devices) != sum(map(len, parts)) or len({*map(len, parts)}) > 1:
    return 0, 1
  return parts.index(tuple(places[jax.process_index()])), len(parts)


def feed(
  batches: Mapping[str, np.ndarray], mesh: Mesh, mode: str = "jit"
) -> Batch:
  """Puts batches [K, B, ...] onto the devices, split by rows over "data".

  Args:
    batches: {name: [K, B / P, ...]}, for P parts: the rows of `part(mesh)`.
    mesh: from `make_mesh`.
    mode: "jit" or "pmap".

  Raises:
    ValueError: the rows of a batch do not divide among the devices.
  """
  devices, (_, parts) = mesh.shape["data"], part(mesh)
  for name, x in batches.items():
    if x.shape[1] * parts % devices:
      raise ValueError(
        f"batch entry {name!r} has {x.shape[1] * parts} rows, which {devices}"
        " devices cannot share equally; choose a multiple for batch_size"
      )
  if mode == "pmap":
    return {
      name: x.reshape(x.shape[0], devices, -1, *x.shape[2:])
      for name, x in batches.items()
    }
  rows = NamedSharding(mesh, PartitionSpec(None, "data"))
  return {
    name: jax.make_array_from_process_local_data(
      rows, x, (x.shape[0], x.shape[1] * parts, *x.shape[2:])
    )
    for name, x in batches.items()
  }


def compile_steps(
  game: Game, state: State, mesh: Mesh, mode: str = "jit"
) -> Run:
  """Compiles (state, [K, B] batches) -> (state, [K] metrics): K steps a call.

  The state is donated and stays where `place` has put it. `pmap` is the old
  way and stays as one branch for whoever needs it (JAX keeps it in maintenance
  only): the state is copied to every device, gradients are averaged over
  devices, and an attack sees the rows of its own device only.

  Raises:
    ValueError: unknown mode, or pmap on a mesh with a model axis or with
      several processes.
  """
  if mode == "jit":
    step = make_step(game)
    where = jax.tree.map(lambda x: x.sharding, state)
    return jax.jit(
      lambda state, batches: jax.lax.scan(step, state, batches),
      donate_argnums=0,
      out_shardings=(where, NamedSharding(mesh, PartitionSpec())),
    )
  if mode == "pmap":
    if mesh.shape["model"] > 1 or jax.process_count() > 1:
      raise ValueError(
        "mode=pmap splits the batch over the devices of one process only;"
        " use mode=jit for model axes and for several processes"
      )
    step = make_step(game, axis_name="data")
    return jax.pmap(
      lambda state, batches: jax.lax.scan(step, state, batches),
      axis_name="data",
      in_axes=(None, 1),
      out_axes=None,
      devices=list(mesh.devices.flat),
    )
  raise ValueError(f"mode is jit or pmap, got {mode!r}")


def initialize_distributed(
  coordinator: str = "", processes: int = 0, process: int = -1
) -> None:
  """Joins several processes into one run; call before anything else in JAX.

  Args:
    coordinator: host:port of process 0; empty where the cluster (Cloud TPU,
      Slurm, ...) tells JAX by itself.
    processes: how many there are.
    process: which one this is, from 0.
  """
  if not coordinator:
    jax.distributed.initialize()
  else:
    jax.distributed.initialize(coordinator, processes, process)


def on_one_process(make: Callable[[], T]) -> T | None:
  """Lets the first process do what must be done once; the others wait.

  Args:
    make: what to do, on the host.

  Returns:
    What make returned, or None on the processes that waited.

  Raises:
    ValueError: make failed, here with its own error and on the others too.
  """
  if jax.process_count() == 1:
    return make()
  first, result, error = jax.process_index() == 0, None, None
  if first:
    try:
      result = make()
    except Exception as e:
      error = e
  failed = multihost_utils.broadcast_one_to_all(np.array(error is not None))
  if error is not None:
    raise error
  if failed:
    raise ValueError("the first process failed; its message says why")
  return result


def told_to_stop(call: int) -> bool:
  """Whether several processes should all stop after this call.

  SIGTERM may reach them at different calls, or only one of them, but a
  checkpoint takes all: JAX agrees on the next call that none has begun.

  Args:
    call: how many calls came before; every process asks after each.
  """
  return multihost_utils.reached_preemption_sync_point(call)
