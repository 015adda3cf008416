"""A private experiment that is small: independent columns, counted and learnt.

What it lacks of a real one is a network; its parameters are a logit of each
cell, that start at noisy counts and learn by private maximum likelihood. Tests
of releases break it in ways that a real one could be broken. Fixtures, for the
modules that name this one in pytest_plugins: its table, and a release of it.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pyarrow.csv
import pytest
import scipy.special

from adv_rec.data import declared, tabular
from adv_rec.data.encoding import Encoded
from adv_rec.data.tabular import Column
from adv_rec.experiments import options, private, released
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.experiment import Experiment
from adv_rec.models.tabular import Layout
from adv_rec.privacy import accounting, counts, gradients, probes, secret
from adv_rec.privacy.gradients import PrivateLoss
from adv_rec.release import make
from adv_rec.training.loop import Schedule
from adv_rec.types import Player

ROWS = 500
SCHEMA = (
  Column("kind", "category", "string", categories=("a", "b", "c", "never")),
  Column("size", "integer", "int64", low=0, high=100, nulls=True),
  Column("bought", "category", "string", categories=("no", "yes")),
)
QUICK = make.Options(attacks=200, progress=False)


def config():
  made = private.private_config()
  made.name, made.title = "toy", "Toy"
  made.experiment = "release_toy.table"
  made.data.bins, made.batch_size, made.epochs = 5, 40, 2
  made.privacy.accountant = "rdp"
  made.privacy.clip = 1.0  # below the norm of a row's gradient, sqrt(3)
  return made


def read(config, workdir):
  """(schema, rows that are learnt from, rows that are kept back)."""
  schema = released.declared_schema(config)
  declares = config.copy_and_resolve_references()
  with declares.unlocked():
    declares.data.columns = tuple(column.name for column in schema)
  train, holdout, _ = tables._data(declares, workdir)
  snapped = (
    declared.snapped(part, schema, config.data.bins)
    for part in (train, holdout)
  )
  return schema, *snapped


def starting(cells, codes):
  """Logits from counts; codes are there for those who break the rules."""
  del codes
  return jnp.log(cells + 1.0).astype(jnp.float32)


def drawn(state, train):
  """Where rows are drawn from; likewise."""
  del train
  return state.params["model"]


def table(config, workdir):
  schema, train, _ = read(config, workdir)
  transform = declared.transform(schema, config.data.bins)
  rows = transform.encode(train, np.random.default_rng(0))
  layout = Layout(transform.sizes, transform.numbers)
  steps = round(config.epochs * train.num_rows / config.batch_size)
  folder = workdir / "privacy"
  batches, noise, cells, _ = private._spend(
    config, folder, rows, layout, steps, None
  )
  first = np.cumsum([0, *layout.sizes[:-1]])

  def blocks(own):
    return jnp.split(own, np.cumsum(layout.sizes)[:-1])

  def free(own, everyone, batch, key):
    loss = sum(jax.nn.logsumexp(block) for block in blocks(own))
    return loss, {"normalizer": loss}

  def examples(own, everyone, batch, key):
    return -own[batch["codes"] + first].sum(axis=1)

  player = Player(
    lambda key: starting(cells, rows.codes) + 1e-3 * jax.random.normal(key),
    PrivateLoss(examples, free, ("codes", "numbers")),
    optax.sgd(0.1),
    gradients.private(
      config.privacy.clip, noise, config.batch_size, batches.padded
    ),
  )
  game = {"model": player}

  def sample(state, num, seed):
    rng = np.random.default_rng([seed])
    codes = [
      rng.choice(len(block), num, p=scipy.special.softmax(block))
      for block in np.split(
        np.asarray(drawn(state, train), np.float64),
        np.cumsum(layout.sizes)[:-1],
      )
    ]
    made = Encoded(np.stack(codes, axis=1), np.zeros((num, 0), np.float32))
    return transform.decode(made, rng)

  def finish(state):
    tables.write(workdir / "synthetic.parquet", sample(state, 100, config.seed))
    secret.forget(folder / "secret")
    return {"metrics": {}}

  made_up = private._made_up(layout, batches.padded)
  return Experiment(
    game=game,
    batches=batches,
    schedule=Schedule(steps, steps, 0, steps),
    evaluate=None,
    finish=finish,
    dataset={"name": "toy", "counts": {"train": train.num_rows}},
    sample=sample,
    probes={
      "counts": probes.counted(
        lambda codes, whose: counts.noisy(
          codes, layout.sizes, config.privacy.counts, whose
        ),
        layout.sizes,
        config.privacy.counts,
      ),
      "training": probes.stepped(game, "model", made_up),
    },
  )


def made(rows=ROWS):
  rng = np.random.default_rng(0)
  size = rng.integers(10, 60, rows).astype(object)
  size[:5] = None
  return pa.table(
    {
      "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, rows)],
      "size": pa.array(size, pa.int64()),
      "bought": np.array(["no", "yes"])[rng.integers(0, 2, rows)],
    }
  )


def asked(folder, **given):
  """The config of a release from the table in a `toy_folder`."""
  small = {
    "data.path": str(folder / "own.csv"),
    "data.schema": str(folder / "schema.json"),
  }
  return options.override(config(), small | given)


def edit(folder, change, name="card.json"):
  """Changes a JSON file of a folder."""
  text = json.loads((folder / name).read_text())
  change(text)
  (folder / name).write_text(json.dumps(text, indent=2) + "\n")


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory):
  """A folder with a table, one with a column more, and a schema."""
  place = tmp_path_factory.mktemp("release")
  table = made()
  pyarrow.csv.write_csv(table, place / "own.csv")
  extra = table.append_column("customer", pa.array(range(ROWS)))
  pyarrow.csv.write_csv(extra, place / "more.csv")
  tabular.save(place / "schema.json", SCHEMA)
  return place


@pytest.fixture(scope="module")
def accounted_once():
  """The same mechanisms are accounted once: it takes half of the time."""
  known, epsilon = {}, accounting.epsilon

  def cached(mechanisms, delta, accountant="pld"):
    key = (tuple(mechanisms), delta, accountant)
    if key not in known:
      known[key] = epsilon(mechanisms, delta, accountant)
    return known[key]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(accounting, "epsilon", cached)
    yield


@pytest.fixture(scope="module")
def toy_release(toy_folder, accounted_once):
  """A release as it should be; tests change copies of it."""
  out = toy_folder / "good"
  make.release(asked(toy_folder), out, toy_folder / "work", QUICK)
  return out
