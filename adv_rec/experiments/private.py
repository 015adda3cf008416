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

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.data import declared, tabular
from adv_rec.data.batching import Part, share
from adv_rec.data.conditions import Conditions
from adv_rec.data.encoding import Encoded
from adv_rec.data.poisson import Poisson
from adv_rec.experiments import gan, options
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
from adv_rec.privacy.ledger import EARLIER, Budget, Ledger
from adv_rec.types import Batch, Game, Player, State, plain


def private_config() -> Config:
  """Options of private generators of tables."""
  config = tables.table_config()
  config.experiment = "adv_rec.experiments.private.table"
  for name in ("columns", "max_categories", "rare"):
    del config.data[name]
  # What the table holds, written as data.tabular.save does and without a look
  # at its values; "": that of Adult.
  config.data.schema = ""
  config.data.bins = 32  # values of a number
  config.privacy = {
    "epsilon": 3.0,
    "delta": 1e-5,
    "accountant": "pld",
    "clip": 1.0,  # of the discriminator's gradient of a row
    "counts": 30.0,  # noise multiplier of the counts
    # Ledgers of earlier runs on the same rows, which this budget pays too.
    "earlier": (),
  }
  config.batch_size = 512  # rows that a sample is expected to have
  return config


def table(config: Config, workdir: pathlib.Path) -> Experiment:
  """A private conditional GAN of a table's rows; see the top of this file."""
  _check(config)
  schema = declared_schema(config)
  declares = config.copy_and_resolve_references()
  with declares.unlocked():
    declares.data.columns = tuple(column.name for column in schema)
  train, holdout, _ = tables._data(declares, workdir)
  train, holdout = (
    declared.snapped(part, schema, config.data.bins)
    for part in (train, holdout)
  )
  transform = declared.transform(schema, config.data.bins)
  rows = transform.encode(train, np.random.default_rng(0))
  layout = Layout(transform.sizes, transform.numbers)
  schedule = tables._schedule(
    config.epochs * train.num_rows / (config.batch_size * config.updates)
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
  game = play(
    private(config.privacy.clip, noise, config.batch_size, batches.padded)
  )
  asked = Conditions(rows, layout.sizes, cells)
  draw = tables.sampler(transform, asked, generator, layout)

  def both(start: int, stop: int, part: Part = (0, 1)) -> dict[str, np.ndarray]:
    """The samples, and cells for generated rows, a function of (seed, step)."""
    if not (folder / "secret").exists():
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
    num = config.evaluation.samples or train.num_rows
    fake = draw(state, num, config.seed)
    tables.write(workdir / "synthetic.parquet", fake)
    found = tables._measured(config, train, holdout, fake)
    ledger = _ledger(config, folder)
    found["privacy"] = {
      **ledger.budget._asdict(),
      "spent": ledger.epsilon(),
      "spends": ledger.spends(),
    }
    secret.forget(folder / "secret")
    return found

  return Experiment(
    game=game,
    batches=both,
    schedule=schedule,
    evaluate=None,
    finish=finish,
    dataset={
      "name": pathlib.Path(config.data.path).name or "adult",
      "counts": {
        "train": train.num_rows,
        config.holdout: holdout.num_rows,
        "columns": len(schema),
        "width": layout.width,
      },
      "protocol": {"holdout": config.holdout, "test": config.data.test},
      "fingerprint": tables._fingerprint(train, holdout),
    },
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


def declared_schema(config: Config) -> tabular.Schema:
  """What a private run knows of its table before it spends anything."""
  if config.data.schema:
    return tabular.load(pathlib.Path(config.data.schema))
  return declared.ADULT


def _ledger(config: Config, folder: pathlib.Path) -> Ledger:
  p = config.privacy
  return Ledger(
    folder / "ledger.jsonl", Budget(p.epsilon, p.delta, "row", p.accountant)
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
  ledger = _ledger(config, folder)
  ledger.carry(config.privacy.earlier)
  written = {line["name"]: line["gaussian"] for line in ledger.spends()}
  path, counted = folder / "secret", folder / "counts.npy"
  ended = "training" in written and counted.exists() and not path.exists()
  own = bytes(secret.BYTES) if ended else secret.keep(path)  # zeros: not used
  sampler = Poisson(
    rows._asdict(), config.batch_size, own, updates=config.updates
  )
  before = Gaussian(config.privacy.counts)
  earlier = [
    Gaussian(**what)
    for name, what in written.items()
    if name.startswith(EARLIER)
  ]

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
  options.one_of(("test", "validation"), config, "holdout")
  options.one_of(accounting.ACCOUNTANTS, config, "privacy.accountant")
  options.at_least(1, config, "epochs")
  options.at_least(2, config, "data.bins")
  options.at_least(0, config, "evaluation.samples")
  options.above_zero(
    config,
    "model.temperature",
    "data.test",
    *(f"privacy.{n}" for n in ("epsilon", "delta", "clip", "counts")),
  )
  if config.pack != 1:
    raise ValueError(
      f"config option pack={config.pack}: must be 1, since the rows of a pack"
      " would be judged as one, and each could do what all of them may"
    )
  if config.data.test >= 1 or config.privacy.delta >= 1:
    raise ValueError(
      f"config options data.test={config.data.test}, privacy.delta="
      f"{config.privacy.delta}: must be below 1"
    )
