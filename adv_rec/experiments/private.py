"""A generator of tables with a private discriminator: config -> experiment.

What is spent: noisy counts of all cells, once, and the steps of training on
Poisson samples. What is public: the number of rows, the declared schema, the
config. workdir/privacy holds

  ledger.jsonl   every spend
  counts.npy     the noisy counts
  secret         until the run has ended, see `privacy.secret`

Nothing of this makes the whole workdir public: data/ holds the rows, and
result.json compares with rows that were kept back.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

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
from adv_rec.privacy import accounting, counts, ghost, probes, secret
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.gradients import PrivateLoss, private
from adv_rec.types import Batch, Game, Player, State, plain


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

  def play(gradient: Callable[..., Any]) -> Game:
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
    )

  _check_rows(play(plain)["discriminator"], layout)
  folder = workdir / "privacy"
  batches, noise, cells = _spend(config, folder, rows, layout, schedule.steps)
  # Without privacy: the same game, with a sample of each size and no noise.
  clip = config.privacy.clip if config.privacy.enabled else math.inf
  game = play(private(clip, noise, config.batch_size, batches.padded))
  asked = Conditions(rows, layout.sizes, cells)
  draw = tables.sampler(transform, asked, generator, layout)

  def both(start: int, stop: int, part: Part = (0, 1)) -> dict[str, np.ndarray]:
    """The samples, and cells for generated rows, a function of (seed, step)."""
    if config.privacy.enabled and not (folder / "secret").exists():
      raise ValueError(
        f"{folder / 'secret'} is gone: this run has ended, and cannot go on"
        " without spending twice; begin a new one"
      )
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
    probes={
      "counts": probes.counted(
        lambda codes, whose: counts.noisy(
          codes, layout.sizes, config.privacy.counts, whose
        ),
        layout.sizes,
        config.privacy.counts,
      ),
      "training": probes.stepped(
        game, "discriminator", _made_up(layout, batches.padded)
      ),
    },
  )


def _spend(
  config: Config,
  folder: pathlib.Path,
  rows: Encoded,
  layout: Layout,
  steps: int,
) -> tuple[Poisson, float, np.ndarray]:
  """Writes what the run spends, or finds it written.

  Returns:
    The sampler, the noise multiplier of training, and the noisy counts.
  """
  if not config.privacy.enabled:
    own = secret.digest(bytes([config.seed % 256])).encode()  # hides nothing
    sampler = Poisson(
      rows._asdict(), config.batch_size, own, updates=config.updates
    )
    return sampler, 0.0, counts.noisy(rows.codes, layout.sizes, 0.0, own)
  ledger = released.ledger(config, folder)
  written = {line["name"]: line["gaussian"] for line in ledger.spends()}
  path, counted = folder / "secret", folder / "counts.npy"
  ended = "training" in written and counted.exists() and not path.exists()
  own = bytes(secret.BYTES) if ended else secret.keep(path)  # zeros: not used
  sampler = Poisson(
    rows._asdict(), config.batch_size, own, updates=config.updates
  )
  before = Gaussian(config.privacy.counts)
  earlier = released.earlier(ledger)

  def both(noise: float) -> list[Gaussian]:
    return [before, accounting.steps(sampler, noise, steps)]

  if "training" in written:
    noise = float(written["training"]["noise_multiplier"])
  else:
    p = config.privacy
    noise = accounting.calibrate(
      p.epsilon, p.delta, lambda z: [*earlier, *both(z)], p.accountant
    )
  if ended:
    return sampler, noise, np.load(counted)
  whose = secret.digest(own)
  ledger.spend("counts", before, whose)
  ledger.spend("training", both(noise)[1], whose)
  cells = counts.noisy(rows.codes, layout.sizes, config.privacy.counts, own)
  np.save(counted, cells)
  return sampler, noise, cells


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
  if config.pack != 1:
    raise ValueError(
      f"config option pack={config.pack}: must be 1, since the rows of a pack"
      " would be judged as one, and each could do what all of them may"
    )
