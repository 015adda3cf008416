"""PATE-GAN of a table: config -> experiment.

What is spent: noisy counts of all cells, once, and in each step the noisy votes
of teachers on a few generated rows (`privacy.votes`). The teachers' parts of
the rows come from the run's secret, as the noise does. workdir/privacy holds

  ledger.jsonl   every spend
  counts.npy     the noisy counts
  secret         until the run has ended, see `privacy.secret`

Checkpoints hold the teachers, which have learnt rows without noise: they stay
where the rows stay.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data.batching import Part, share
from adv_rec.data.conditions import Conditions
from adv_rec.data.encoding import Encoded
from adv_rec.experiments import gan, options, released
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.pate import DATA, Tally, pate_gan
from adv_rec.models.gan import Generator
from adv_rec.models.random_features import random_features
from adv_rec.models.tabular import Layout
from adv_rec.privacy import accounting, counts, probes, secret, votes
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.gradients import NOISE
from adv_rec.types import Game, Probe, State


def pate_config() -> Config:
  """Options of PATE-GAN."""
  config = tables.table_config()
  config.experiment = "adv_rec.experiments.pate.table"
  released.declare(config)
  for name in (
    "objective",
    "penalty",
    "pack",
    "epochs",
    "updates",
    "learning_rate",
  ):
    del config[name]
  config.privacy = {
    "enabled": True,  # False: no noise, no ledger, to compare with
    "epsilon": 3.0,
    "delta": 1e-5,
    "accountant": "pld",
    "counts": 30.0,  # noise multiplier of the counts
    "earlier": (),  # ledgers of runs before on these rows, paid too
  }
  config.teachers = {
    "number": 3000,
    "rows": 2,  # of its part that each sees in a step
    "features": 256,  # of rows, as teachers see them
    "scale": 1.0,  # of these, see `models.random_features`
    "learning_rate": 0.01,
    "decay": 5.0,  # of their parameters, times the rate in a step
  }
  config.queries = 64  # generated rows that are voted on in a step
  config.memory = 50  # steps whose votes the student learns from
  config.steps = 150
  config.updates = 8  # of the student and the generator in a step
  config.weight = {"score": 1.0, "columns": 5.0}  # for the generator
  config.model.discriminator = (64,)  # the student
  config.learning_rate = {"student": 1e-3, "generator": 1e-3}
  config.batch_size = 128  # generated rows of an update
  config.average = 0.97
  return config


def table(config: Config, workdir: pathlib.Path) -> Experiment:
  """PATE-GAN of a table's rows; see the top of this file."""
  _check(config)
  given = released.read(config, workdir)
  rows, transform = given.rows, given.transform
  if len(rows.codes) < config.teachers.number:
    raise ValueError(
      f"config option teachers.number={config.teachers.number}: each needs rows"
      f" of its own, and there are {len(rows.codes)}"
    )
  layout = Layout(transform.sizes, transform.numbers)
  schedule = tables._schedule(config.steps)
  folder = workdir / "privacy"
  bought = _spend(config, folder, rows, layout, schedule.steps)
  generator = Generator(
    layout.width,
    config.model.latent,
    config.model.generator,
    activation=gan.ACTIVATIONS[config.model.activation],
  )

  def tally(cast: jax.Array, words: jax.Array) -> jax.Array:
    return votes.noisy(cast, bought.noise, words)

  game = _game(config, layout, generator, tally, bought.counts, schedule.steps)
  asked = Conditions(rows, layout.sizes, bought.counts)
  draw = tables.sampler(transform, asked, generator, layout)

  def batches(
    start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    """A function of (secret, step)."""
    if config.privacy.enabled and not (folder / "secret").exists():
      raise ValueError(
        f"{folder / 'secret'} is gone: this run has ended, and cannot go on"
        " without spending twice; begin a new one"
      )
    drawn = [
      _batch(config, rows, asked, bought.secret, step)
      for step in range(start, stop)
    ]
    return {
      name: np.stack([x[name][share(len(x[name]), part)] for x in drawn])
      for name in drawn[0]
    }

  def finish(state: State) -> dict[str, Any]:
    num = config.evaluation.samples or len(rows.codes)
    made = draw(state, num, config.seed)
    end = released.finish if config.privacy.enabled else released.measure
    return end(config, workdir, given, made)

  return Experiment(
    game=game,
    batches=batches,
    schedule=schedule,
    evaluate=None,
    finish=finish,
    dataset=released.describe(config, given),
    watch="train/generator/guide",
    sample=draw,
    probes={
      "counts": probes.counted(
        lambda codes, whose: counts.noisy(
          codes, layout.sizes, config.privacy.counts, whose
        ),
        layout.sizes,
        config.privacy.counts,
      ),
      "votes": _probe(config, game, layout, tally),
    },
  )


def _game(
  config: Config,
  layout: Layout,
  generator: Generator,
  tally: Tally,
  counted: np.ndarray,
  steps: int,
) -> Game:
  taught = config.teachers
  block = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
  chances = counted / np.bincount(block, counted)[block]
  optimizers = {
    name: gan.optimizer(config, rate, steps * config.updates)
    for name, rate in config.learning_rate.items()
  }
  # What was seen last counts most: fakes of before are gone.
  optimizers["teachers"] = optax.chain(
    optax.add_decayed_weights(taught.decay), optax.sgd(taught.learning_rate)
  )
  return pate_gan(
    layout,
    generator,
    gan.discriminator(config),
    random_features(layout, chances, taught.features, taught.scale),
    tally,
    optimizers,
    jnp.asarray(chances, jnp.float32),
    teachers=taught.number,
    queries=config.queries,
    memory=config.memory,
    updates=config.updates,
    average=config.average or None,
    temperature=config.model.temperature,
    score=config.weight.score,
    columns=config.weight.columns,
  )


class _Bought(NamedTuple):
  """What a run may know of the rows, and what it draws noise from.

  Attributes:
    noise: multiplier of the votes of a step.
    counts: noisy, of all cells.
    secret: of the run; zeros where it has ended.
  """

  noise: float
  counts: np.ndarray
  secret: bytes


def _spend(
  config: Config,
  folder: pathlib.Path,
  rows: Encoded,
  layout: Layout,
  steps: int,
) -> _Bought:
  """Writes what the run spends, or finds it written."""
  p = config.privacy
  if not p.enabled:
    own = secret.digest(bytes([config.seed % 256])).encode()  # hides nothing
    exact = counts.noisy(rows.codes, layout.sizes, 0.0, own)
    return _Bought(0.0, exact, own)
  ledger = released.ledger(config, folder)
  written = {line["name"]: line["gaussian"] for line in ledger.spends()}
  path, counted = folder / "secret", folder / "counts.npy"
  if "votes" in written:
    noise = float(written["votes"]["noise_multiplier"])
  else:
    before = [*released.earlier(ledger), Gaussian(p.counts)]
    noise = accounting.calibrate(
      p.epsilon,
      p.delta,
      lambda z: [*before, Gaussian(z, steps)],
      p.accountant,
    )
  if "votes" in written and counted.exists() and not path.exists():
    return _Bought(noise, np.load(counted), bytes(secret.BYTES))
  own = secret.keep(path)
  whose = secret.digest(own)
  ledger.spend("counts", Gaussian(p.counts), whose)
  ledger.spend("votes", Gaussian(noise, steps), whose)
  cells = counts.noisy(rows.codes, layout.sizes, p.counts, own)
  np.save(counted, cells)
  return _Bought(noise, cells, own)


def _batch(
  config: Config, rows: Encoded, asked: Conditions, own: bytes, step: int
) -> dict[str, np.ndarray]:
  """The batch of a step: rows of each teacher, then what is public.

  The part of teacher k are the rows k, k + K, ... of an order of the secret's.
  """
  teachers, rounds = config.teachers.number, config.updates
  order = secret.generator(own, b"parts").permutation(len(rows.codes))
  rng = secret.generator(own, b"rows %d" % step)
  sizes = (len(order) - 1 - np.arange(teachers)) // teachers + 1
  nth = rng.random((teachers, config.teachers.rows * rounds)) * sizes[:, None]
  at = np.arange(teachers)[:, None] + teachers * nth.astype(np.int64)
  num = config.batch_size * rounds
  public = np.random.default_rng([config.seed, step])
  words = secret.generator(own, b"noise %d" % step).bytes(8)
  return {
    DATA: rows.codes[order[at.ravel()]],
    "condition": asked.sampling(num, public),
    NOISE: np.broadcast_to(np.frombuffer(words, np.uint32), (num, 2)),
  }


def _probe(config: Config, game: Game, layout: Layout, tally: Tally) -> Probe:
  """Of the votes: one row is another one, and what it moves votes otherwise.

  Which teachers it moves is found by an update of all of them; with it they say
  yes to all, without it no, and the others are of two minds.
  """
  teachers, each = config.teachers.number, config.teachers.rows
  player, key = game["teachers"], jax.random.key(0)

  @jax.jit
  def moved():
    everyone = {
      name: p.init(jax.random.fold_in(key, turn))
      for turn, (name, p) in enumerate(game.items())
    }
    own = everyone["teachers"]
    state = player.optimizer.init(own)

    def learnt(first: int):
      codes = jnp.zeros((teachers * each, len(layout.sizes)), jnp.int32)
      batch = {
        DATA: codes.at[0].set(first),
        "condition": jnp.zeros(config.batch_size, jnp.int32),
      }
      gradient, _ = player.gradient(player.loss)(own, everyone, batch, key)
      found, _ = player.optimizer.update(gradient, state, own)
      return optax.apply_updates(own, found)

    differs = jax.tree.map(
      lambda a, b: jnp.any((a != b).reshape(teachers, -1), axis=1),
      learnt(0),
      learnt(1),
    )
    return functools.reduce(jnp.logical_or, jax.tree.leaves(differs))

  def probe(trials: int) -> tuple[np.ndarray, np.ndarray]:
    others = jnp.arange(teachers)[:, None] % 2 == 0
    others = jnp.broadcast_to(others, (teachers, config.queries))
    of_row = moved()[:, None]
    words = np.random.default_rng(0).integers(0, 2**32, (trials, 2), np.uint32)
    counted = jax.jit(
      lambda present, own: tally(jnp.where(of_row, present, others), own)
    )
    return probes.projected(lambda present, t: counted(present, words[t]))(
      trials
    )

  return probe


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  released.check(config)
  counted = ("steps", "updates", "memory", "queries", "batch_size")
  taught = ("number", "rows", "features")
  options.at_least(
    1,
    config,
    "model.latent",
    *counted,
    *(f"teachers.{name}" for name in taught),
  )
  options.above_zero(
    config,
    "model.temperature",
    "privacy.counts",
    "teachers.scale",
    "teachers.learning_rate",
    *(f"learning_rate.{name}" for name in config.learning_rate),
  )
  options.at_least(
    0,
    config,
    "average",
    "model.dropout",
    "teachers.decay",
    "weight.score",
    "weight.columns",
  )
  for name in ("activation", "discriminator_activation"):
    options.one_of(tuple(gan.ACTIVATIONS), config, f"model.{name}")
  if config.average >= 1 or config.model.dropout >= 1:
    raise ValueError(
      f"config options average={config.average}, model.dropout="
      f"{config.model.dropout}: must be below 1"
    )
  if config.queries > config.batch_size:
    raise ValueError(
      f"config option queries={config.queries}: must be at most batch_size ="
      f" {config.batch_size}, the rows that are generated for them"
    )
