"""Generators of tables: config -> experiment; samples of a trained run."""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import atomic, conditions, encoding, tabular
from adv_rec.data.conditions import Conditions
from adv_rec.data.encoding import Encoded, Transform
from adv_rec.evaluation import tabular as measures
from adv_rec.experiments import experiment, gan, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.tabular import table_gan
from adv_rec.losses import gan as losses
from adv_rec.models.gan import Generator, sample
from adv_rec.models.tabular import Layout, drawn
from adv_rec.training import parallel
from adv_rec.training.loop import Schedule
from adv_rec.types import Params, State

_logger = logging.getLogger(__name__)

_SPLIT_SEED = 0  # of the rows kept for testing, whatever the run's seed
_DISPATCH = 50  # steps of one compiled call
_CHUNK = 8192  # rows of one compiled call; part of what a seed means


def table_config() -> Config:
  """What generators of tables share."""
  config = gan.gan_config()
  config.experiment = "adv_rec.experiments.tabular.table"
  config.update(
    {
      "data": {
        "path": "",  # CSV or Parquet of your own; "": Adult
        "columns": (),  # those to learn; (): all
        "max_categories": 256,  # of a column
        "rare": "error",  # where there are more; "pool": the rarest share one
        "test": 0.2,  # share of the rows that is kept for testing
      },
      # What the result is measured on: the test part, or a cut of the same
      # share from the training part, which is then not learnt from.
      "holdout": "test",
      "target": "",  # a column of categories to predict; "": none
      "objective": "wasserstein",
      "penalty": {"gradient": 10.0},
      "model": {
        "latent": 64,
        "generator": (128, 128),
        "discriminator": (128, 128),
        "temperature": 0.2,  # of the relaxed categories
      },
      "learning_rate": {"generator": 1e-3, "discriminator": 1e-3},
      "decay": True,
      "average": 0.99,
      "batch_size": 256,
      "epochs": 30,
      "evaluation": {"samples": 0},  # rows to generate; 0: as many as learnt
    }
  )
  config.model.activation = "leaky_relu"
  for name in ("steps", "evaluate_every", "checkpoint_every", "watch"):
    del config[name]
  del config.model.gaussian
  return config


def table(config: Config, workdir: pathlib.Path) -> Experiment:
  """A conditional GAN of a table's rows, measured by what they are good for."""
  _check(config)
  train, holdout, schema = _data(config, workdir)
  transform = encoding.fit(
    train, schema, config.data.max_categories, config.data.rare == "pool"
  )
  rows = transform.encode(train, np.random.default_rng([config.seed, 1]))
  asked = Conditions(rows, transform.sizes)
  layout = Layout(transform.sizes, transform.numbers)
  generator = Generator(
    layout.width,
    config.model.latent,
    config.model.generator,
    activation=gan.ACTIVATIONS[config.model.activation],
  )
  schedule = _schedule(config.epochs * train.num_rows / config.batch_size)
  game = table_gan(
    layout,
    generator,
    gan.discriminator(config),
    getattr(losses, config.objective)(),
    gan.optimizer(config, config.learning_rate.discriminator, schedule.steps),
    gan.optimizer(config, config.learning_rate.generator, schedule.steps),
    penalties=gan.penalties(config),
    pack=config.pack,
    updates=config.updates,
    average=config.average or None,
    temperature=config.model.temperature,
  )
  draw = sampler(transform, asked, generator, layout)

  def finish(state: State) -> dict[str, Any]:
    num = config.evaluation.samples or train.num_rows
    fake = draw(state, num, config.seed)
    if jax.process_index() == 0:
      write(workdir / "synthetic.parquet", fake)
    return _measured(config, train, holdout, fake)

  description = {
    "name": pathlib.Path(config.data.path).name or "adult",
    "counts": {
      "train": train.num_rows,
      config.holdout: holdout.num_rows,
      "columns": len(schema),
      "width": layout.width,
    },
    "protocol": {"holdout": config.holdout, "test": config.data.test},
  }
  return Experiment(
    game=game,
    batches=conditions.batches(rows, asked, config.batch_size, config.seed),
    schedule=schedule,
    evaluate=None,
    finish=finish,
    dataset={**description, "fingerprint": _fingerprint(train, holdout)},
    watch="train/generator/guide",
    sample=draw,
  )


def sampler(
  transform: Transform,
  asked: Conditions,
  generator: Generator,
  layout: Layout,
) -> Callable[[State, int, int], pa.Table]:
  """(state, rows, seed) -> a table of so many generated rows.

  The condition of each row is a category as frequent as in the data, and the
  row has it. Drawn in calls of one size on one device, so that the rows do
  not depend on how many devices there are.
  """

  @jax.jit
  def chunk(params: Params, key: jax.Array, number: int, cells: jax.Array):
    sample_key, noise_key = jax.random.split(jax.random.fold_in(key, number))
    given = jax.nn.one_hot(cells, layout.cells)
    outputs = sample(generator, params, sample_key, _CHUNK, given)
    return drawn(outputs, noise_key, layout)

  def draw(state: State, rows: int, seed: int) -> pa.Table:
    if rows < 1:
      raise ValueError(f"rows is {rows}: ask for at least 1")
    params = state.average.get("generator", state.params["generator"])
    params = jax.device_get(params)
    rng = np.random.default_rng([seed, 2])
    cells = asked.sampling(rows, rng)
    padded = np.resize(cells, -(-rows // _CHUNK) * _CHUNK).reshape(-1, _CHUNK)
    key = jax.random.key(seed)
    made = [chunk(params, key, i, part) for i, part in enumerate(padded)]
    tables = []
    # Rows of one call are decoded while the device works on the next ones.
    for part, arrays in zip(padded, made, strict=True):
      codes, numbers = (np.asarray(x) for x in arrays)
      rows_of = Encoded(asked.fulfil(codes, part), numbers)
      tables.append(transform.decode(rows_of, rng))
    return pa.concat_tables(tables).slice(0, rows).combine_chunks()

  return draw


def generate(workdir: pathlib.Path, rows: int, seed: int) -> pa.Table:
  """More rows from a trained run; the same seed gives the same table.

  Args:
    workdir: of the run.
    rows: how many.
    seed: of the draw. That of the run, with as many rows as the run has
      learnt from, gives its synthetic.parquet again.

  Raises:
    FileNotFoundError: the workdir holds no trained run.
    ValueError: the run generates no table, or rows is not positive.
  """
  found, state = experiment.restore(workdir)
  if found.sample is None:
    raise ValueError(f"{workdir} is a run that generates no table")
  return found.sample(state, rows, seed)


def write(path: pathlib.Path, made: pa.Table) -> None:
  """Writes Parquet that is whole at any moment."""
  temporary = path.with_name(path.name + ".tmp")
  pq.write_table(made, temporary)
  os.replace(temporary, path)


def _data(
  config: Config, workdir: pathlib.Path
) -> tuple[pa.Table, pa.Table, tabular.Schema]:
  """(what is learnt, what is measured on, schema), kept in the workdir."""
  folder = workdir / "data"

  def prepare() -> None:
    data = config.data
    whole = tabular.read(data.path) if data.path else tabular.adult()
    for name in (*data.columns, *filter(None, [config.target])):
      if name not in whole.column_names:
        raise ValueError(
          f"the table has no column {name!r}; it has"
          f" {', '.join(whole.column_names)}"
        )
    if data.columns:
      whole = whole.select(list(data.columns))
    tabular.infer(whole)  # what is wrong with the data, before it is split
    train, holdout = tabular.split(whole, data.test, _SPLIT_SEED)
    if config.holdout == "validation":
      train, holdout = tabular.split(train, data.test, _SPLIT_SEED)
    schema = tabular.infer(train)
    kinds = {column.name: column.kind for column in schema}
    if config.target and kinds.get(config.target) != "category":
      raise ValueError(
        f"config option target={config.target}: must be a column of"
        " categories that is learnt"
      )

    def fill(place: pathlib.Path) -> None:
      pq.write_table(train, place / "train.parquet")
      pq.write_table(holdout, place / "holdout.parquet")
      tabular.save(place / "schema.json", schema)

    atomic.replace(folder, fill)

  if not folder.is_dir():
    parallel.on_one_process(prepare)
  train, holdout = (
    pq.ParquetFile(folder / f"{part}.parquet").read()
    for part in ("train", "holdout")
  )
  return train, holdout, tabular.load(folder / "schema.json")


def _measured(
  config: Config, train: pa.Table, holdout: pa.Table, fake: pa.Table
) -> dict[str, Any]:
  """Entries of the result."""
  means, columns = measures.quality(holdout, fake)
  # A sample should have what was learnt, not what only the holdout has.
  means["coverage"] = measures.coverage(train, fake)
  floor, _ = measures.quality(holdout, train)
  metrics = means | {f"{name}_real": value for name, value in floor.items()}
  if config.target:
    for name, learnt in (("auc", fake), ("auc_real", train)):
      for prefix, classifier in (("", "boosting"), ("logistic_", "logistic")):
        metrics[prefix + name] = measures.utility(
          learnt, holdout, config.target, config.seed, classifier
        )
  return {
    "metrics": {f"{config.holdout}/{k}": v for k, v in metrics.items()},
    "columns": columns,
  }


def _schedule(steps: float) -> Schedule:
  """Calls of one length, so that one program is compiled; ten checkpoints."""
  dispatch = max(1, min(_DISPATCH, round(steps)))
  calls = max(1, round(steps / dispatch))
  checkpoint = dispatch * max(1, calls // 10)
  return Schedule(calls * dispatch, dispatch, 0, checkpoint)


def _fingerprint(*tables: pa.Table) -> str:
  """Of all values, in order."""
  digest = hashlib.sha256()
  for found in tables:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema) as stream:
      stream.write_table(found.combine_chunks())
    digest.update(sink.getvalue())
  return digest.hexdigest()[:16]


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  gan.check_players(config)
  options.one_of(("test", "validation"), config, "holdout")
  options.one_of(("error", "pool"), config, "data.rare")
  options.at_least(1, config, "epochs")
  options.at_least(2, config, "data.max_categories")
  options.at_least(0, config, "evaluation.samples")
  options.above_zero(config, "model.temperature", "data.test")
  if config.data.test >= 1:
    raise ValueError(f"config option data.test={config.data.test}: a share")
