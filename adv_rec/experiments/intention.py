"""Purchase intention: config -> experiment.

Who buys in a category in the next week? Predictors learn from real rows alone,
with positive rows repeated, or with rows of generated sequences beside them.
The generator sees what the predictors see: the weeks of training, no others.
"""

from __future__ import annotations

import hashlib
import pathlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from adv_rec.data import event_codes, events, intention
from adv_rec.data.events import Log
from adv_rec.data.intention import HISTORY, Rows
from adv_rec.evaluation import intention as predictors
from adv_rec.experiments import event_generator, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.recommend import closed_form
from adv_rec.models.events import Sizes
from adv_rec.training.loop import Schedule
from adv_rec.types import State

TRAINING = ("real", "oversampled", "likelihood", "adversarial")
_SEQUENCES = 4_096  # drawn at a time
_DRAWS = 8  # at most


class Weeks(NamedTuple):
  """When what happens; week 0 begins on the day of the first event.

  Attributes:
    origin: when that is, in the units of the log.
    train: weeks whose purchases are learnt from.
    validation: the weeks after them.
    test: the last ones.
  """

  origin: Any
  train: np.ndarray
  validation: np.ndarray
  test: np.ndarray


def intention_config() -> Config:
  """The default config."""
  config = event_generator.events_config()
  config.experiment = "adv_rec.experiments.intention.next_week"
  config.update(
    {
      "training": "real",  # see TRAINING
      "households": 1.0,  # share of the users that is learnt from
      # Generated rows for each real one; the best by average precision in the
      # weeks of validation.
      "shares": (0.25, 1.0),
      "task": {
        "bought": "purchase",  # the type of event to predict
        "categories": 12,  # the most frequent
        "every": 6,  # one of so many weeks is learnt from
        "validation": 4,  # weeks
        "test": 8,
      },
    }
  )
  config.model.dim = 64
  config.steps = 600
  config.adversary.start = 500
  config.adversary.lead = 50
  del config.evaluation, config.evaluate_every, config.data.holdout
  return config


def next_week(config: Config, workdir: pathlib.Path) -> Experiment:
  """Predictors of purchases, with generated rows or without."""
  _check(config)
  config = config.copy_and_resolve_references()
  if config.training != "adversarial":
    config.adversary.weight = 0.0
  log = event_generator.kept_log(
    config, workdir, lambda log: _weeks(log, config)
  )
  weeks = _weeks(log, config)
  end = weeks.origin + weeks.validation[0] * 7 * log.day
  before = log.time < end
  task = intention.make_task(
    log.take(before), config.task.bought, config.task.categories
  )
  parts = {
    name: intention.calendar(log, weeks.origin, getattr(weeks, name), task)
    for name in ("train", "validation", "test")
  }
  chosen = _chosen(log.num_users, config)
  for name in ("train", "validation"):  # what few users say is all one has
    parts[name] = parts[name].take(chosen[parts[name].user])
  generates = config.training in TRAINING[2:]
  learnt = log.take(chosen[log.user] & before)
  coding = event_codes.fit(learnt, config.data.max_categories, config.data.bins)
  codes = event_codes.encode(learnt, coding, np.random.default_rng(0))
  model = event_generator.make_model(config, Sizes(*coding.sizes))
  draw = event_generator.sampler(model, config.model.length)

  def generated(state: State, size: int) -> Rows:
    found, have = [], 0
    for i in range(_DRAWS):
      seed = config.seed * _DRAWS + i
      rng = np.random.default_rng([seed, 4])
      ids = events.new_ids(log.column("user"), _SEQUENCES)
      made = draw(state, _SEQUENCES, seed)
      made = event_codes.decode(made, coding, learnt, ids, rng)
      found.append(intention.own_weeks(made, task))
      have += len(found[-1].label)
      if have >= size:
        break
    whole = Rows(*(np.concatenate(x) for x in zip(*found, strict=True)))
    rng = np.random.default_rng([config.seed, 5])
    return whole.take(rng.permutation(have)[:size])

  def finish(state: State) -> dict[str, Any]:
    train, rng = parts["train"], np.random.default_rng([config.seed, 6])
    choices = {"real": train}
    if config.training == "oversampled":
      choices = {"oversampled": oversampled(train, rng)}
    elif generates:
      extra = generated(state, round(max(config.shares) * len(train.label)))
      choices = {
        str(share): join(train, extra, round(share * len(train.label)))
        for share in config.shares
      }
    return compared(choices, parts, config.seed)

  counts = {f"{name} rows": len(rows.label) for name, rows in parts.items()}
  rates = {
    f"{name} positive": round(float(rows.label.mean()), 4)
    for name, rows in parts.items()
  }
  # Features are sums of floats, whose last bits are the machine's.
  digest = hashlib.sha256(np.asarray(parts["test"].label, np.int8).tobytes())
  return Experiment(
    game=event_generator.make_game(config, model, codes, coding.end)
    if generates
    else closed_form(lambda: {"none": jnp.zeros(1)}),
    batches=event_generator.make_batches(config, codes, coding.end)
    if generates
    else None,
    schedule=event_generator.make_schedule(config) if generates else Schedule(),
    evaluate=None,
    finish=finish,
    dataset={
      "name": pathlib.Path(config.data.path).name or "completejourney events",
      "counts": {"test rows": counts.pop("test rows")},
      "rows": counts | rates,
      "fingerprint": digest.hexdigest()[:16],
    },
    watch="train/generator/loss",
  )


def compared(
  choices: dict[str, Rows], parts: dict[str, Rows], seed: int
) -> dict[str, Any]:
  """Each predictor, learnt from what is best for it by validation.

  Args:
    choices: name -> rows to learn from.
    parts: "validation" and "test" rows.
    seed: of the predictors.

  Returns:
    Entries of the result: "metrics", and "chosen" of the choices.
  """
  metrics, chosen = {}, {}
  for name in predictors.PREDICTORS:
    best = None
    for choice, rows in choices.items():
      both = [parts["validation"], parts["test"]]
      asked = Rows(*(np.concatenate(x) for x in zip(*both, strict=True)))
      chance = predictors.predict(name, rows, asked, seed)
      cut = len(both[0].label)
      valid, test = (
        predictors.scores(rows.label, own)
        for rows, own in zip(both, np.split(chance, [cut]), strict=True)
      )
      if best is None or valid["ap"] > best[0]["ap"]:
        best, chosen[name] = (valid, test), choice
    assert best is not None
    for part, values in zip(("validation", "test"), best, strict=True):
      for metric, value in values.items():
        metrics[f"{part}/{name}_{metric}"] = value
  return {"metrics": metrics, "chosen": chosen}


def oversampled(rows: Rows, rng: np.random.Generator) -> Rows:
  """Rows with positive ones repeated until they are as many as the others."""
  positive = np.flatnonzero(rows.label)
  missing = max(len(rows.label) - 2 * len(positive), 0)
  more = rng.choice(positive, missing)
  return rows.take(np.append(np.arange(len(rows.label)), more))


def join(real: Rows, extra: Rows, size: int) -> Rows:
  """Real rows and the first of the others."""
  some = extra.take(np.arange(min(size, len(extra.label))))
  return Rows(*(np.concatenate(x) for x in zip(real, some, strict=True)))


def _chosen(users: int, config: Config) -> np.ndarray:
  """The users that are learnt from, [U] bool."""
  count = max(2, round(config.households * users))
  rng = np.random.default_rng([config.seed, 3])
  return np.isin(np.arange(users), rng.permutation(users)[:count])


def _weeks(log: Log, config: Config) -> Weeks:
  origin = log.time.min() // log.day * log.day
  whole = int((log.time.max() - origin) // (7 * log.day))
  task = config.task
  test, validation = whole - task.test, whole - task.test - task.validation
  if validation <= HISTORY:
    raise ValueError(
      f"the log covers {whole} whole weeks; {task.validation} to validate,"
      f" {task.test} to test, {HISTORY} of history and one to learn from take"
      " more: set task.validation and task.test, or give a longer log"
    )
  return Weeks(
    origin,
    # The last one, and those before it.
    np.arange(validation - 1, HISTORY - 1, -task.every)[::-1],
    np.arange(validation, test),
    np.arange(test, whole),
  )


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  options.one_of(TRAINING, config, "training")
  options.above_zero(config, "households")
  names = ("categories", "every", "validation", "test")
  options.at_least(1, config, *(f"task.{name}" for name in names))
  if config.households > 1 or not config.shares or min(config.shares) <= 0:
    raise ValueError(
      f"config options households={config.households}, shares="
      f"{config.shares}: households must be at most 1, shares above 0"
    )
  event_generator.check_generator(config)
