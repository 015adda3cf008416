"""A private experiment that is small: independent columns, counted and learnt.

What it lacks of a real one is a network; its parameters are a logit of each
cell, that start at noisy counts and learn by private maximum likelihood. Tests
of releases break it in ways that a real one could be broken.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.special

from adv_rec.data import declared
from adv_rec.data.encoding import Encoded
from adv_rec.experiments import private, released
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.experiment import Experiment
from adv_rec.models.tabular import Layout
from adv_rec.privacy import counts, gradients, probes, secret
from adv_rec.privacy.gradients import PrivateLoss
from adv_rec.training.loop import Schedule
from adv_rec.types import Player


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
