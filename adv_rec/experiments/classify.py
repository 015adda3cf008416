"""What experiments on labels share: a click, a review, a trait of a customer.

A builder makes a `Task` of its config and ends in `classify_experiment`, which
gives it training, attacks, measures on validation and test, and robustness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from adv_rec.attacks import gradients
from adv_rec.data import batching
from adv_rec.evaluation.pointwise import chances, reliability
from adv_rec.experiments import attacks, learning, options
from adv_rec.experiments.answers import Apply, Rows
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.classify import classify
from adv_rec.losses import pointwise
from adv_rec.training.loop import Schedule
from adv_rec.types import Params, Predictor, State

LOSSES = ("cross_entropy", "hinge", "squares")  # of losses.pointwise
_FORMS = ("loss", "consistency", "free")
_DISPATCH = 50  # steps of one compiled call, where an epoch has more
_WARM_UP = 0.1  # share of the steps, where the rate decays


class Task(NamedTuple):
  """What a run is to learn to tell.

  Attributes:
    parts: "train", "validation" and "test" -> rows; a part may have none, or
      be left out. Rows of train with a label below 0 are not labelled.
    predictor: what learns it.
    classes: names of the classes.
    measures: (logits [N] or [N, C], rows) -> metrics.
    watch: the metric to choose by.
    dataset: for result.json: "name", "counts", "protocol", "fingerprint".
    encode: raw rows -> features without "label", by what was learnt from the
      training rows; unknown values have a code of their own.
    names: rows of features -> for each row the names of what its inputs are
      about, one for each of their rows: "item=apples", or the words of a text.
    text: the column of raw rows that `encode` takes as a list of texts; where
      it is "", `encode` takes the whole table.
    extra: further entries for the result's metrics, such as the share of the
      parameters that is trained.
  """

  parts: Mapping[str, Rows]
  predictor: Predictor
  classes: Sequence[str]
  measures: Callable[[np.ndarray, Rows], Mapping[str, float]]
  watch: str
  dataset: Mapping[str, Any]
  encode: Callable[[Any], dict[str, np.ndarray]]
  names: Callable[[Rows], list[list[str]]]
  text: str = ""
  extra: Mapping[str, float] = {}


def classify_config() -> Config:
  """The options that all classifiers share."""
  return ml_collections.ConfigDict(
    {
      "name": "",
      "title": "",
      "experiment": "",
      "seed": 0,
      "dataset": "",
      "data": {"path": ""},  # of your own rows, or a dataset's folder
      "fit": "train",  # or "train+validation", to report on test
      "loss": "cross_entropy",  # see LOSSES
      "l2": 0.0,  # of the inputs of an example
      "optimizer": "adam",  # adam, adagrad or sgd
      "learning_rate": 1e-3,
      "decay": False,  # of the rate: up for a tenth of the steps, then down
      "weight_decay": 0.0,  # of all parameters (AdamW)
      "average": 0.0,  # decay of an average of the parameters; 0: none
      "batch_size": 256,
      "epochs": 10,
      "evaluate_every": 1,  # epochs; 0: only at the end
      "checkpoint_every": 1,  # epochs
      "attack": {
        **learning.attack_config(),  # form may also be "free" (FreeLB)
        "whole": False,  # one ball for all rows of an example, as for a text
      },
      "evaluation": {
        "block": 1024,  # examples at a time
        "robustness": (),  # sizes in median row norms; empty: no curve
        "attacks": ("fgm", "random"),  # of the curve, see attacks.NAMES
      },
    }
  )


def check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  learning.check_training(config, _FORMS)
  options.one_of(LOSSES, config, "loss")
  options.one_of(("train", "train+validation"), config, "fit")
  for name in config.evaluation.attacks:
    attacks.by_name(name)
  options.at_least(1, config, "evaluation.block")
  options.at_least(0, config, "l2", "weight_decay", "average")
  if config.average >= 1:
    raise ValueError(f"config option average={config.average}: must be below 1")
  if config.weight_decay and config.optimizer != "adam":
    raise ValueError(
      f"config option weight_decay={config.weight_decay}: goes with"
      " optimizer=adam only"
    )
  if config.attack.form == "free" and config.attack.name != "pgd":
    raise ValueError(
      f"config option attack.name={config.attack.name!r}: free training climbs"
      " as pgd does; set attack.name=pgd, or another attack.form"
    )


def classify_experiment(config: Config, task: Task) -> Experiment:
  """A predictor's training, and its measures on validation and test.

  Validation is watched where the model is not fitted on it; a part without
  rows is left out.

  Args:
    config: as `classify_config`.
    task: what is learnt.

  Raises:
    ValueError: no rows to learn from, or labels of one class only.
  """
  check(config)
  fitted = _fitted(task, config.fit)
  steps_per_epoch = max(len(fitted["label"]) // config.batch_size, 1)
  calls = -(-steps_per_epoch // _DISPATCH)  # of equal length
  dispatch = steps_per_epoch // calls
  steps_per_epoch = calls * dispatch
  steps = config.epochs * steps_per_epoch
  game = classify(
    task.predictor,
    getattr(pointwise, config.loss),
    _optimizer(config, steps),
    l2=config.l2,
    attack=make_attack(config.attack),
    weight=learning.make_weight(config.attack, steps),
    consistency=config.attack.form == "consistency",
    climb=_climb(config.attack),
    average=config.average or None,
  )

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(len(fitted["label"]))
    return {name: x[order] for name, x in fitted.items()}

  parts = {
    name: task.parts[name]
    for name in ("validation", "test")
    if name not in config.fit.split("+")
    and len(task.parts.get(name, {}).get("label", ()))
  }
  apply = Apply(task.predictor, config)

  def measure(logits: np.ndarray, part: str) -> dict[str, float]:
    return {
      f"{part}/{name}": value
      for name, value in task.measures(logits, parts[part]).items()
    }

  def watch(state: State) -> dict[str, float]:
    logits = apply.logits(best(state), parts["validation"])
    return measure(logits, "validation")

  def attack(
    state: State,
    kinds: Mapping[str, attacks.MakeAttack],
    sizes: Sequence[float],
    part: str,
    source: State | None = None,
  ) -> list[dict[str, Any]]:
    if part not in parts:
      raise ValueError(
        f"the run has no {part} part to measure; choose {' or '.join(parts)}"
      )
    rows = parts[part]
    return [
      {
        "part": part,
        "metric": task.watch,
        **{k: v for k, v in row.items() if k != "logits"},
        **task.measures(row["logits"], rows),
      }
      for row in apply.under_attack(
        best(state), rows, kinds, sizes, source and best(source)
      )
    ]

  def finish(state: State) -> dict[str, Any]:
    result: dict[str, Any] = {"metrics": dict(task.extra)}
    for part, rows in parts.items():
      logits = apply.logits(best(state), rows)
      result["metrics"] |= measure(logits, part)
      if part == "test":
        result |= _of_examples(logits, rows["label"])
    if config.evaluation.robustness and parts:
      names = config.evaluation.attacks
      kinds = {name: attacks.by_name(name) for name in names}
      sizes = tuple(config.evaluation.robustness)
      result["robustness"] = attack(state, kinds, sizes, next(iter(parts)))
    return result

  protocol = {**task.dataset.get("protocol", {}), "fit": config.fit}
  return Experiment(
    game=game,
    batches=batching.stream(
      epoch_rows, len(fitted["label"]), config.batch_size
    ),
    schedule=Schedule(
      steps=steps,
      dispatch=dispatch,
      evaluate=config.evaluate_every * steps_per_epoch,
      checkpoint=config.checkpoint_every * steps_per_epoch,
    ),
    evaluate=watch if "validation" in parts else None,
    finish=finish,
    dataset={**task.dataset, "protocol": protocol},
    watch=f"validation/{task.watch}",
    attack=attack,
    task=task,
  )


def best(state: State) -> Params:
  """The averaged parameters where there are any, else the last ones."""
  return state.average.get("model", state.params["model"])


def make_attack(config: Config) -> gradients.Attack | None:
  """The attack of training; None where there is none, or it is free."""
  attack = learning.make_attack(config)
  if attack is None or config.form == "free":
    return None
  return gradients.whole(attack) if config.whole else attack


def _climb(config: Config) -> tuple[gradients.Climb, int] | None:
  """Of free training."""
  if config.form != "free" or learning.make_attack(config) is None:
    return None
  size = config.epsilon
  if config.relative:
    size = gradients.relative(size)
  return gradients.climb(size, config.steps, norm=config.norm), config.steps


def _optimizer(config: Config, steps: int) -> optax.GradientTransformation:
  rate = config.learning_rate
  if config.decay:
    warm = max(round(_WARM_UP * steps), 1)
    rate = optax.join_schedules(
      [
        # The first step moves, too.
        optax.linear_schedule(rate / warm, rate, warm),
        optax.linear_schedule(rate, 0.0, max(steps - warm, 1)),
      ],
      [warm],
    )
  if config.weight_decay:
    return optax.adamw(rate, weight_decay=config.weight_decay)
  return learning.make_optimizer(config, rate)


def _fitted(task: Task, fit: str) -> dict[str, np.ndarray]:
  parts = [task.parts[part] for part in fit.split("+") if part in task.parts]
  rows = {
    name: np.concatenate([part[name] for part in parts]) for name in parts[0]
  }
  known = np.unique(rows["label"][rows["label"] >= 0])
  if len(known) < 2:
    there = f"only {task.classes[int(known[0])]!r}" if len(known) else "none"
    raise ValueError(
      f"the labels of the training rows are of one class ({there}); a"
      " classifier needs two: check the label column and the split"
    )
  return rows


def _of_examples(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
  """What a result has of each example, and of chances where there is one.

  "per_user" is for paired comparisons: "user" is the number of the example.
  """
  losses = pointwise.cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
  answers = np.argmax(pointwise.classes(jnp.asarray(logits)), axis=1)
  found: dict[str, Any] = {
    "per_user": {
      "user": np.arange(len(labels)),
      "accuracy": (answers == labels).astype(float),
      "log_loss": np.asarray(losses),
    }
  }
  if logits.ndim == 1:
    found["reliability"] = reliability(labels, chances(logits))
  return found
