r"""One training on so many emulated devices; `scaling.py` starts it.

  XLA_FLAGS=--xla_force_host_platform_device_count=4 JAX_PLATFORMS=cpu \
    python benchmarks/sharding.py 4 131072 out.npz

Plays BPR-MF with an attack, dense and row-sparse, and writes losses, parameters
and how many rows of a table a device holds. Two devices split the tables; of
four and more, two groups split each batch and each group the tables.
"""

from __future__ import annotations

import sys

import jax
import numpy as np
import optax

from adv_rec.attacks import gradients
from adv_rec.data import batching, planted
from adv_rec.games import recommend as games
from adv_rec.models.recommenders import MatrixFactorization, padded
from adv_rec.training import parallel
from adv_rec.training.step import init_state

_BATCH, _STEPS, _DIM = 1024, 8, 8


def play(devices: int, rows: int, row_sparse: bool):
  """Eight steps.

  Args:
    devices: how many there are.
    rows: of each table, a multiple of 128.
    row_sparse: whether the steps touch the rows of their batch only.

  Returns:
    ({"loss", "params ..."}, rows of the item table that one device holds).
  """
  tables = list(planted.catalogue(rows, rows, _BATCH * _STEPS))
  user, item = (
    np.concatenate([table[name].to_numpy() for table in tables]).astype(
      np.int32
    )
    for name in ("user", "item")
  )
  batches = batching.stream(
    batching.triples(user, item, rows, 0), len(user), _BATCH
  )
  if row_sparse:
    places = {
      "user": (("user",), padded(rows)),
      "item": (("positive", "negative"), padded(rows)),
    }
    batches = batching.with_local_rows(batches, places)
  game = games.matrix_factorization(
    MatrixFactorization(rows, rows, _DIM, scale=0.3),
    optax.adagrad(0.1, 1e-3),
    l2=0.01,
    attack=gradients.fgm(0.2),
    row_sparse=row_sparse,
  )
  model = devices if devices < 4 else devices // 2
  mesh = parallel.make_mesh(model, jax.devices()[:devices])
  state = init_state(game, jax.random.key(1))
  state = parallel.place(state, mesh, min_rows=rows)
  run = parallel.compile_steps(game, state, mesh)
  fed = parallel.feed(batches(0, _STEPS), mesh)
  state, metrics = run(state, fed)
  params = state.params["model"]
  held = params["item"].addressable_shards[0].data.shape[0]
  found = {f"params {name}": np.asarray(x) for name, x in params.items()}
  return {**found, "loss": np.asarray(metrics["model"]["loss"])}, held


def main(devices: int, rows: int, path: str) -> None:
  """Writes both trainings to a file."""
  written = {}
  for name, row_sparse in (("dense", False), ("sparse", True)):
    found, held = play(devices, rows, row_sparse)
    for key, value in found.items():
      kind, _, table = key.partition(" ")
      written[f"{kind} {name} {table}"] = value
  np.savez(path, rows_a_device=held, **written)


if __name__ == "__main__":
  main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
