"""A generator of tables with a private discriminator: config -> experiment.

What is spent: noisy counts of all cells and tables of each column with the
target, once, and the steps of training on Poisson samples. What is public: the
number of rows, the declared schema, the config. workdir/privacy holds

  ledger.jsonl   every spend
  bought.npz     noisy counts, and noisy tables of columns with the target
  secret         until the run has ended, see `privacy.secret`

Nothing of this makes the whole workdir public: data/ holds the rows, and
result.json compares with rows that were kept back.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.data.batching import Part, share
from adv_rec.data.conditions import Conditions
from adv_rec.data.encoding import Encoded
from adv_rec.data.poisson import Poisson
from adv_rec.experiments import gan, options, released
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.private import private_table_gan
from adv_rec.losses import gan as losses
from adv_rec.models.gan import Generator
from adv_rec.models.tabular import Layout
from adv_rec.privacy import (
  accounting,
  counts,
  ghost,
  marginals,
  probes,
  secret,
)
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.gradients import PrivateLoss, private
from adv_rec.types import Batch, Game, Player, Probe, State, plain

Pairs = Mapping[marginals.Clique, np.ndarray]  # two columns -> their chances


def private_config() -> Config:
  """Options of private generators of tables."""
  config = tables.table_config()
  config.experiment = "adv_rec.experiments.private.table"
  released.declare(config)
  config.privacy = {
    "enabled": True,  # False: no clip, no noise, no ledger, to compare with
    "epsilon": 3.0,
    "delta": 1e-5,
    "accountant": "pld",
    # Of the discriminator's gradient of a row. With one that cuts most rows
    # the fakes, which are not clipped, win however good they are.
    "clip": 10.0,
    "counts": 30.0,  # noise multiplier of the counts
    # What tables of each column with the target have of the budget, in zCDP;
    # 0: none are bought.
    "pairs": 0.5,
    "pairs_weight": 5.0,  # of the distance from these, for the generator
    "earlier": (),  # ledgers of runs before on these rows, paid too
  }
  config.batch_size = 2048  # rows that a sample is expected to have
  config.average = 0.97  # there are a few hundred steps
  return config


def table(config: Config, workdir: pathlib.Path) -> Experiment:
  """A private conditional GAN of a table's rows; see the top of this file."""
  _check(config)
  table = released.read(config, workdir)
  rows, transform = table.rows, table.transform
  layout = Layout(transform.sizes, transform.numbers)
  schedule = tables._schedule(
    config.epochs * len(rows.codes) / (config.batch_size * config.updates)
  )
  generator = Generator(
    layout.width,
    config.model.latent,
    config.model.generator,
    activation=gan.ACTIVATIONS[config.model.activation],
  )

  def play(gradient: Callable[..., Any], pairs: Pairs) -> Game:
    rates = config.learning_rate
    return private_table_gan(
      layout,
      generator,
      gan.discriminator(config),
      getattr(losses, config.objective)(),
      gan.optimizer(config, rates.discriminator, schedule.steps),
      gan.optimizer(config, rates.generator, schedule.steps),
      gradient,
      penalties=gan.penalties(config),
      updates=config.updates,
      average=config.average or None,
      temperature=config.model.temperature,
      pairs=pairs,
      pairs_weight=config.privacy.pairs_weight,
    )

  _check_rows(play(plain, {})["discriminator"], layout)
  folder = workdir / "privacy"
  batches, noise, cells, pairs = _spend(
    config,
    folder,
    rows,
    layout,
    schedule.steps,
    released.target(config, transform),
  )
  # Without privacy: the same game, with a sample of each size and no noise.
  clip = config.privacy.clip if config.privacy.enabled else math.inf
  gradient = private(clip, noise, config.batch_size, batches.padded)
  game = play(gradient, pairs)
  asked = Conditions(rows, layout.sizes, cells)
  draw = tables.sampler(transform, asked, generator, layout)

  def both(start: int, stop: int, part: Part = (0, 1)) -> dict[str, np.ndarray]:
    """The samples, and cells for generated rows, a function of (seed, step)."""
    if config.privacy.enabled:
      secret.need(folder / "secret")
    num = config.batch_size * config.updates
    own = share(num, part)
    given = [
      asked.sampling(num, np.random.default_rng([config.seed, step]))[own]
      for step in range(start, stop)
    ]
    return {**batches(start, stop, part), "condition": np.stack(given)}

  def finish(state: State) -> dict[str, Any]:
    num = config.evaluation.samples or len(rows.codes)
    made = draw(state, num, config.seed)
    end = released.finish if config.privacy.enabled else released.measure
    return end(config, workdir, table, made)

  return Experiment(
    game=game,
    batches=both,
    schedule=schedule,
    evaluate=None,
    finish=finish,
    dataset=released.describe(config, table),
    watch="train/generator/guide",
    sample=draw,
    probes=_probes(config, folder, game, layout, batches.padded),
  )


class _Bought(NamedTuple):
  """What is known of the data before training, and how that is sampled.

  Attributes:
    sampler: of the rows.
    noise: multiplier of training.
    counts: noisy, of all cells.
    pairs: two columns, the target one of them -> noisy chances.
  """

  sampler: Poisson
  noise: float
  counts: np.ndarray
  pairs: Pairs


def _probes(
  config: Config, folder: pathlib.Path, game: Game, layout: Layout, filled: int
) -> dict[str, Probe]:
  """Of each spend; `filled` rows is what a batch is filled up to."""
  sizes = layout.sizes
  found = {
    "counts": probes.counted(
      lambda codes, whose: counts.noisy(
        codes, sizes, config.privacy.counts, whose
      ),
      sizes,
      config.privacy.counts,
    ),
    "training": probes.stepped(game, "discriminator", _made_up(layout, filled)),
  }
  if not config.privacy.enabled:
    return found
  bought = {
    line["name"]: line["gaussian"]["noise_multiplier"]
    for line in released.ledger(config, folder).spends()
  }
  if "pairs" not in bought:
    return found
  alike, cliques = np.zeros((100, len(sizes)), np.int64), _cliques(sizes, 0)

  def tables(present: bool, trial: int) -> np.ndarray:
    rows, rng = alike[0 if present else 1 :], np.random.default_rng(trial)
    made = marginals.tables(rows, sizes, cliques, bought["pairs"], rng)
    return np.concatenate([x.counts.ravel() for x in made])

  return {**found, "pairs": probes.projected(tables)}


def _spend(
  config: Config,
  folder: pathlib.Path,
  rows: Encoded,
  layout: Layout,
  steps: int,
  target: int | None,
) -> _Bought:
  """Writes what the run spends and spends it, or finds it done."""
  sizes, p = layout.sizes, config.privacy
  cliques = [] if target is None else _cliques(sizes, target)

  def sample(own: bytes) -> Poisson:
    return Poisson(
      rows._asdict(), config.batch_size, own, updates=config.updates
    )

  def buy(own: bytes, count: float, pair: float) -> tuple[np.ndarray, Pairs]:
    rng = secret.generator(own, b"pairs")
    made = marginals.tables(rows.codes, sizes, cliques, pair, rng)
    return counts.noisy(rows.codes, sizes, count, own), {
      x.clique: _chances(x.counts) for x in made if p.pairs
    }

  if not p.enabled:
    own = secret.digest(bytes([config.seed % 256])).encode()  # hides nothing
    return _Bought(sample(own), 0.0, *buy(own, 0.0, 0.0))
  ledger = released.ledger(config, folder)
  written = {line["name"]: line["gaussian"] for line in ledger.spends()}
  path, bought = folder / "secret", folder / "bought.npz"
  ended = "training" in written and bought.exists() and not path.exists()
  own = bytes(secret.BYTES) if ended else secret.keep(path)  # zeros: not used
  sampler, earlier = sample(own), released.earlier(ledger)
  before = {"counts": Gaussian(p.counts)}
  if p.pairs and cliques:
    whole = accounting.calibrate(
      p.epsilon, p.delta, lambda z: [*earlier, Gaussian(z)], p.accountant
    )
    # zCDP is in proportion to 1 / noise_multiplier^2.
    before["pairs"] = Gaussian(whole / math.sqrt(p.pairs))

  def all_of(noise: float) -> list[Gaussian]:
    return [*before.values(), accounting.steps(sampler, noise, steps)]

  if "training" in written:
    noise = float(written["training"]["noise_multiplier"])
  else:
    noise = accounting.calibrate(
      p.epsilon, p.delta, lambda z: [*earlier, *all_of(z)], p.accountant
    )
  if ended:
    return _Bought(sampler, noise, *_read(bought))
  whose = secret.digest(own)
  for name, spend in before.items():
    ledger.spend(name, spend, whose)
  ledger.spend("training", all_of(noise)[-1], whose)
  pair = before["pairs"].noise_multiplier if "pairs" in before else 0.0
  found = buy(own, p.counts, pair)
  _write(bought, *found)
  return _Bought(sampler, noise, *found)


def _cliques(sizes: tuple[int, ...], target: int) -> list[marginals.Clique]:
  """Each column with the target."""
  others = [k for k in range(len(sizes)) if k != target]
  return [(min(k, target), max(k, target)) for k in others]


def _chances(counts: np.ndarray) -> np.ndarray:
  """Noisy counts as a distribution; alike where none is above 0."""
  counts = np.maximum(counts, 0.0)
  total = counts.sum()
  return counts / total if total else np.full_like(counts, 1 / counts.size)


def _write(path: pathlib.Path, counted: np.ndarray, pairs: Pairs) -> None:
  named: dict[str, Any] = {f"{a}-{b}": x for (a, b), x in pairs.items()}
  temporary = path.with_name(path.name + ".tmp")
  with temporary.open("wb") as file:
    np.savez(file, counts=counted, **named)
  os.replace(temporary, path)


def _read(path: pathlib.Path) -> tuple[np.ndarray, Pairs]:
  with np.load(path) as file:
    named = dict(file)
  counted = named.pop("counts")
  return counted, {
    tuple(map(int, name.split("-"))): x for name, x in named.items()
  }


def _check_rows(player: Player, layout: Layout) -> None:
  """Refuses a discriminator that mixes rows, before anything is spent."""
  made_up = _made_up(layout, 4)
  key, loss = jax.random.key(0), player.loss
  assert isinstance(loss, PrivateLoss)
  own = jax.jit(player.init)(key)
  ghost.check_rows(loss.examples, own, {}, made_up, key, loss.data)


def _made_up(layout: Layout, rows: int) -> Batch:
  """Rows that are nobody's."""
  rng = np.random.default_rng(0)
  codes = [rng.integers(0, size, rows) for size in layout.sizes]
  return {
    "codes": jnp.asarray(np.stack(codes, axis=1), jnp.int32),
    "numbers": jnp.zeros((rows, layout.numbers)),
  }


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  gan.check_players(config)
  released.check(config)
  options.at_least(1, config, "epochs")
  options.above_zero(
    config, "model.temperature", "privacy.clip", "privacy.counts"
  )
  options.at_least(0, config, "privacy.pairs", "privacy.pairs_weight")
  if config.privacy.pairs >= 1:
    raise ValueError(
      f"config option privacy.pairs={config.privacy.pairs}: a share of the"
      " budget, must be below 1"
    )
  if config.pack != 1:
    raise ValueError(
      f"config option pack={config.pack}: must be 1, since the rows of a pack"
      " would be judged as one, and each could do what all of them may"
    )
