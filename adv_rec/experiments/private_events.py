"""A generator of event sequences, households protected: config -> experiment.

The unit is a household with all of its rows. Two models:

  recurrent  maximum likelihood by DP-SGD on Poisson samples of households. A
             household in a sample adds the gradient of `most` of its windows,
             clipped as one.
  markov     a first-order chain of noisy counts; a household adds those of a
             mean window of its own, of norm `bound` at most.

What is public: the number of households, what is declared of the log
(`data.declared_events`), the config. There is no critic: one that is shown real
sequences would spend as well, and added nothing without privacy.

workdir/privacy holds the ledger, until the run has ended the secret, and the
chain that was bought. synthetic.parquet is the release. Nothing else of the
workdir is public: data/ holds the log, and result.json compares with households
that were kept back.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from adv_rec.data import declared_events, event_codes
from adv_rec.data.declared_events import Declared
from adv_rec.data.events import Log
from adv_rec.experiments import (
  event_generator,
  event_measures,
  events,
  options,
  private_sequences,
  released,
)
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.events import Data
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.private_sequences import UNIT, bounded
from adv_rec.models.events import Sizes
from adv_rec.privacy import accounting, secret
from adv_rec.training.loop import Schedule
from adv_rec.types import State

MODELS = ("recurrent", "markov")


def private_config() -> Config:
  """The default config."""
  config = event_generator.events_config()
  config.experiment = "adv_rec.experiments.private_events.sequences"
  for name in ("level", "max_categories", "bins"):
    del config.data[name]
  del config.adversary, config.evaluate_every
  # What the log holds, written as data.declared_events says and without a look
  # at its values; "": that of The Complete Journey.
  config.data.declared = ""
  config.privacy = {
    "enabled": True,  # False: no clip, no noise, no ledger, to compare with
    "epsilon": 3.0,
    "delta": 1e-5,
    "accountant": "pld",
    "windows": 16,  # of a household, from which those of a sample are drawn
    "most": 1,  # of these in a sample, clipped as one
    "clip": 0.5,  # of the gradient of a household, nats per event
    "bound": 5.0,  # of the counts of a household, for the chain
    "earlier": (),  # ledgers of runs before on these rows, paid too
  }
  config.model.dim = 64
  config.batch_size = 512  # households that a sample is expected to have
  config.steps = 300
  return config


def sequences(config: Config, workdir: pathlib.Path) -> Experiment:
  """A private generator of sequences; see the top of this file."""
  check(config)
  data = prepared(config, workdir)
  sizes, length = Sizes(*data.coding.sizes), config.model.length
  model: Any = event_generator.make_model(config, sizes)
  folder, train = workdir / "privacy", data.parts["train"]
  codes, owners = private_sequences.windows(config, train, data.coding.end)
  if config.model.kind == "recurrent":
    paid = private_sequences.training(config, folder, model, codes, owners)
  elif config.privacy.enabled:
    paid = private_sequences.chain(config, folder, codes, owners, sizes)
  else:
    paid = private_sequences.Paid(
      event_generator.make_game(config, model, train, data.coding.end)
    )
  schedule = event_generator.make_schedule(config)
  draw = event_generator.sampler(model, length)
  sample = events.tables(data, draw)
  measure = event_measures.measure(
    config, data.coding, data.parts, model, draw, data.log.day
  )

  def finish(state: State) -> dict[str, Any]:
    made = sample(state, len(train.begin) - 1, config.seed)
    tables.write(workdir / "synthetic.parquet", made)
    metrics = measure(state, "validation") | measure(state, "test")
    told: dict[str, Any] = {"unit": UNIT, "noise": False}
    if config.privacy.enabled:
      told = released.spent(released.ledger(config, folder, UNIT))
      metrics["test/spent"] = told["spent"]
    secret.forget(folder / "secret")
    return {
      "metrics": metrics,
      "privacy": told | {"bounded": bounded(config)},
    }

  return Experiment(
    game=paid.game,
    batches=paid.batches,
    schedule=schedule if paid.batches else Schedule(),
    evaluate=None,
    finish=finish,
    dataset=events.describe(config, data),
    watch="train/generator/gradient_norm",
    sample=sample,
    probes=paid.probes if config.privacy.enabled else {},
  )


def declared_of(config: Config) -> Declared:
  """What is declared of the log of a config.

  Raises:
    ValueError: the file is not as it should be.
  """
  path = config.data.declared
  return declared_events.load(path) if path else declared_events.JOURNEY


def prepared(config: Config, workdir: pathlib.Path) -> Data:
  """The log as it is declared; what is shown of it is the declared only."""
  declared = declared_of(config)

  def split(log: Log) -> dict[str, Log]:
    log = declared_events.conform(log, declared)
    part = events.part_of_users(log.num_users, config.data.holdout)
    return events.divided(log, part)

  log = event_generator.kept_log(config, workdir, split)
  coding = declared_events.coding(declared, log)
  rng = np.random.default_rng(0)  # no value lies in two cells
  parts = {
    name: event_codes.encode(own, coding, rng)
    for name, own in split(log).items()
  }
  frame = declared_events.frame(declared, log.table.column_names)
  return Data(frame, frame.column("user"), coding, parts)


def check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  options.one_of(MODELS, config, "model.kind")
  event_generator.check_model(config)
  options.one_of(accounting.ACCOUNTANTS, config, "privacy.accountant")
  options.at_least(10, config, "evaluation.samples")
  options.at_least(1, config, "privacy.windows", "privacy.most")
  options.at_least(0, config, "seed")
  options.above_zero(
    config,
    "data.holdout",
    "privacy.epsilon",
    "privacy.delta",
    "privacy.clip",
    "privacy.bound",
  )
  if config.data.holdout >= 0.5 or config.privacy.delta >= 1:
    raise ValueError(
      f"config options data.holdout={config.data.holdout},"
      f" privacy.delta={config.privacy.delta}: must be below .5 and 1"
    )
