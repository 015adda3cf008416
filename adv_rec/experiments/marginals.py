"""A table's rows from noisy marginals: config -> experiment.

The mechanism is that of `privacy.marginals`: no network, no step. What is
spent is written as three lines of the ledger before anything is measured:
"columns", "scores", "edges". workdir/privacy holds

  ledger.jsonl    every spend
  marginals.npz   chances fitted to what was bought: what rows are drawn from
  secret          until the run has ended, see `privacy.secret`
"""

from __future__ import annotations

import itertools
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np
import pyarrow as pa

from adv_rec.data.encoding import Encoded
from adv_rec.experiments import options, released
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.recommend import closed_form
from adv_rec.privacy import accounting, estimation, marginals, probes, secret
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.marginals import Model, Noise
from adv_rec.training.loop import Schedule
from adv_rec.types import Probe, State


def marginals_config() -> Config:
  """Options of noisy marginals."""
  config = ml_collections.ConfigDict(
    {
      "name": "",
      "title": "",
      "experiment": "adv_rec.experiments.marginals.table",
      "seed": 0,  # of the rows that are drawn; noise comes from a secret
      # As of `tabular.table_config`.
      "data": {
        "path": "",
        "columns": (),
        "max_categories": 0,
        "rare": "",
        "test": 0.2,
      },
      "holdout": "test",
      # Each column is measured with it as well; "": with none.
      "target": "",
      "privacy": {
        "epsilon": 3.0,
        "delta": 1e-5,
        "accountant": "pld",
        # What columns, scores of pairs and edges have of the budget, in zCDP.
        "shares": (0.2, 0.1, 0.7),
        "earlier": (),  # ledgers of runs before on these rows, paid too
        "penalty": 0.5,  # of the noise that an edge must be worth
      },
      "evaluation": {"samples": 0},
    }
  )
  released.declare(config)
  return config


def table(config: Config, workdir: pathlib.Path) -> Experiment:
  """Rows of a tree of noisy marginals; see the top of this file."""
  _check(config)
  given = released.read(config, workdir)
  rows, transform = given.rows, given.transform
  model = _bought(config, workdir / "privacy", given)

  def draw(state: State, num: int, seed: int) -> pa.Table:
    if num < 1:
      raise ValueError(f"rows is {num}: ask for at least 1")
    fitted = tuple(map(np.asarray, state.params["model"]["tables"]))
    rng = np.random.default_rng([seed, 2])
    codes = marginals.draw(model._replace(tables=fitted), num, rng)
    return transform.decode(Encoded(codes, np.zeros((num, 0))), rng)

  def finish(state: State) -> dict[str, Any]:
    num = config.evaluation.samples or len(rows.codes)
    made = draw(state, num, config.seed)
    return released.finish(config, workdir, given, made)

  return Experiment(
    game=closed_form(
      lambda: {"tables": [jnp.asarray(x, jnp.float32) for x in model.tables]}
    ),
    batches=None,
    schedule=Schedule(),
    evaluate=None,
    finish=finish,
    dataset=released.describe(config, given),
    sample=draw,
    probes=_probes(config, workdir / "privacy", transform.sizes),
  )


def _probes(
  config: Config, folder: pathlib.Path, sizes: Sequence[int]
) -> dict[str, Probe]:
  """Each part measures rows that are all alike, and one of them less."""
  noise = {
    line["name"]: line["gaussian"]["noise_multiplier"]
    for line in released.ledger(config, folder).spends()
  }
  rows = np.zeros((1000, len(sizes)), np.int64)
  pairs = list(itertools.combinations(range(len(sizes)), 2))
  singles = [(k,) for k in range(len(sizes))]
  exact = marginals.tables(rows, sizes, singles, 0.0, np.random.default_rng(0))
  exact = [x._replace(counts=0 * x.counts) for x in exact]

  def part(name: str, measure: Callable[..., Any]) -> Probe:
    def release(present: bool, trial: int) -> np.ndarray:
      rng = np.random.default_rng([trial])
      found = measure(rows[0 if present else 1 :], noise[name], rng)
      return np.concatenate([np.ravel(x) for x in found])

    return probes.projected(release)

  def counts(cliques: Sequence[Any]) -> Callable[..., Any]:
    return lambda codes, sigma, rng: [
      x.counts for x in marginals.tables(codes, sizes, cliques, sigma, rng)
    ]

  def scores(codes: np.ndarray, sigma: float, rng: np.random.Generator):
    return marginals.scored(codes, sizes, None, exact, pairs, sigma, rng)

  return {
    "columns": part("columns", counts(singles)),
    "scores": part("scores", lambda *given: [scores(*given)]),
    "edges": part("edges", counts(pairs[:20])),
  }


def noises(noise_multiplier: float, shares: Sequence[float]) -> Noise:
  """Three mechanisms that together cost what one of so much noise does.

  Gaussian mechanisms compose by the sum of 1 / noise_multiplier^2, which is in
  proportion to zCDP (Bun & Steinke 2016, arXiv:1605.02065).
  """
  return Noise(*(noise_multiplier / math.sqrt(share) for share in shares))


def _bought(
  config: Config, folder: pathlib.Path, given: released.Table
) -> Model:
  """Writes what the run spends and spends it, or finds it done."""
  sizes = given.transform.sizes
  target = released.target(config, given.transform)
  path = folder / "marginals.npz"
  if not path.exists():
    p, ledger = config.privacy, released.ledger(config, folder)
    own = secret.keep(folder / "secret")
    earlier = released.earlier(ledger)

    def parts(noise: float) -> list[Gaussian]:
      return [*earlier, *(Gaussian(one) for one in noises(noise, p.shares))]

    # As the ledger will count them, not as one of the same zCDP: an accountant
    # rounds up, and the last part must not be refused.
    noise = noises(
      accounting.calibrate(p.epsilon, p.delta, parts, p.accountant), p.shares
    )
    for name, one in noise._asdict().items():
      ledger.spend(name, Gaussian(one), secret.digest(own))
    measured, edges = marginals.measure(
      given.rows.codes, sizes, target, noise, own, p.penalty
    )
    order = marginals.families(edges, sizes, target)
    wanted = [(*parents, k) for k, parents in order]
    num = len(given.rows.codes)
    found = estimation.estimate(sizes, measured, num, wanted)
    _write(path, marginals.model(order, found))
  return _read(path)


def _write(path: pathlib.Path, model: Model) -> None:
  """A table for each column, named by its parents and itself, in order."""
  named: dict[str, Any] = {
    "-".join(map(str, (*parents, k))): table
    for k, parents, table in zip(*model, strict=True)
  }
  temporary = path.with_name(path.name + ".tmp")
  with temporary.open("wb") as file:
    np.savez(file, **named)
  os.replace(temporary, path)


def _read(path: pathlib.Path) -> Model:
  with np.load(path) as file:
    names = [tuple(map(int, name.split("-"))) for name in file.files]
    tables = tuple(file[name] for name in file.files)
  return Model(
    tuple(name[-1] for name in names),
    tuple(name[:-1] for name in names),
    tables,
  )


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  released.check(config)
  options.at_least(0, config, "privacy.penalty")
  shares = config.privacy.shares
  if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
    raise ValueError(
      f"config option privacy.shares={tuple(shares)}: must be three above 0,"
      " of columns, scores and edges, with the sum 1"
    )
  if not estimation.available():
    raise ValueError(
      "marginals are fitted by mbi, which is not here; run pip install"
      " '.[private]'"
    )
