"""What customers are like, by what they do: config -> experiment.

The run's seed says which fold is tested, see `data.portraits.fold`. Baselines
of scikit-learn are runs like others, on the same rows.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from adv_rec.data import atomic, portraits
from adv_rec.data.portraits import Portraits
from adv_rec.evaluation import attributes
from adv_rec.experiments import classify, options
from adv_rec.experiments.answers import Rows
from adv_rec.experiments.classify import Task
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.games.recommend import closed_form
from adv_rec.losses import pointwise
from adv_rec.models.portraits import predictor
from adv_rec.training import parallel
from adv_rec.training.loop import Schedule
from adv_rec.types import State

MODELS = ("mlp", *attributes.CLASSIFIERS, "majority")
_LARGEST = 5.0  # deviations from the mean that a value may be


class Scaling(NamedTuple):
  """Of the training rows, by feature.

  Attributes:
    mean: [F].
    deviation: [F], 1 where a feature does not vary.
  """

  mean: np.ndarray
  deviation: np.ndarray


def demographics_config() -> Config:
  """The default config."""
  config = classify.classify_config()
  config.experiment = "adv_rec.experiments.portraits.demographics"
  config.target = "children"  # income, age, composition; or an own column
  config.dataset = "completejourney"  # "": data.path
  config.data.id = "id"  # column of an own table
  config.model = {"kind": "mlp", "hidden": (32,), "dropout": 0.5}  # see MODELS
  config.optimizer = "adam"
  config.learning_rate = 1e-3
  config.weight_decay = 0.1
  config.batch_size = 64
  config.epochs = 40
  config.evaluate_every = 10
  config.checkpoint_every = 40
  config.attack.whole = True  # one ball for all numbers of a customer
  config.attack.relative = True
  return config


def demographics(config: Config, workdir: pathlib.Path) -> Experiment:
  """A perceptron of numbers, attacked or not, or one of its baselines."""
  options.one_of(MODELS, config, "model.kind")
  options.at_least(1, config, "batch_size", "epochs")
  if not 0 <= config.model.dropout < 1:
    raise ValueError(
      f"config option model.dropout={config.model.dropout}: a share below 1"
    )
  data = open_data(config, workdir)
  split = portraits.fold(data.label, config.seed)
  known = {part: at[data.label[at] >= 0] for part, at in split.items()}
  scaling = _scaling(data.values[known["train"]])
  parts = {
    part: {
      "value": scaled(data.values[at], scaling),
      "label": data.label[at],
      "customer": at.astype(np.int32),
    }
    for part, at in known.items()
  }
  classes = len(data.classes)

  def measures(logits: np.ndarray, rows: Rows) -> dict[str, float]:
    chance = np.asarray(jnp.exp(log_chances(logits)))
    return attributes.scores(rows["label"], chance)

  def encode(raw: pa.Table | Sequence[Mapping[str, Any]]):
    return {"value": scaled(_values(raw, data.features), scaling)}

  dataset = {
    "name": data.name,
    "counts": {"customers": int((data.label >= 0).sum())},
    "protocol": {"target": config.target, "folds": portraits.FOLDS},
    "fingerprint": data.fingerprint,
  }
  if config.model.kind != "mlp":
    return _baseline(config, parts, classes, dataset)
  return classify.classify_experiment(
    config,
    Task(
      parts=parts,
      predictor=predictor(
        len(data.features),
        classes,
        tuple(config.model.hidden),
        config.model.dropout,
      ),
      classes=data.classes,
      measures=measures,
      watch="auc",
      dataset=dataset,
      encode=encode,
      names=lambda rows: [list(data.features)] * len(rows["value"]),
    ),
  )


def open_data(config: Config, workdir: pathlib.Path) -> Portraits:
  """The customers of a workdir, read on the first call.

  Raises:
    FileNotFoundError: the data is not there.
    ValueError: bad data, or no data is named.
  """
  folder = workdir / "data"

  def prepare() -> None:
    if folder.is_dir():
      return
    if config.dataset == "completejourney":
      found = portraits.households(config.target, config.data.path or None)
    elif not config.dataset and config.data.path:
      found = portraits.read(config.data.path, config.target, config.data.id)
    else:
      raise ValueError(
        f"config option dataset={config.dataset!r}: choose completejourney, or"
        " give your own table: dataset=,data.path=FILE,target=COLUMN"
      )
    atomic.replace(folder, lambda new: portraits.save(new, found))

  parallel.on_one_process(prepare)
  return portraits.load(folder)


def log_chances(logits: np.ndarray) -> jnp.ndarray:
  """Logarithms of the chances of all classes. [N] or [N, C] -> [N, C]."""
  rows = pointwise.classes(jnp.asarray(logits))
  return jnp.stack(
    [
      -pointwise.cross_entropy(rows, jnp.full(len(rows), c))
      for c in range(rows.shape[1])
    ],
    axis=1,
  )


def scaled(values: np.ndarray, scaling: Scaling) -> np.ndarray:
  """In deviations from the mean; what is unknown is the mean. [N, F]."""
  standard = (values - scaling.mean) / scaling.deviation
  standard = np.clip(np.nan_to_num(standard), -_LARGEST, _LARGEST)
  return standard.astype(np.float32)


def _scaling(values: np.ndarray) -> Scaling:
  there = np.isfinite(values)
  number = np.maximum(there.sum(axis=0), 1)
  mean = np.where(there, values, 0).sum(axis=0) / number
  square = np.where(there, values - mean, 0) ** 2
  deviation = np.sqrt(square.sum(axis=0) / number)
  return Scaling(mean, np.where(deviation > 1e-6, deviation, 1.0))


def _values(raw, features: Sequence[str]) -> np.ndarray:
  """[N, F] of raw rows; a feature that is not there is unknown."""
  rows = raw.to_pylist() if isinstance(raw, pa.Table) else raw
  try:
    return np.array(
      [
        [np.nan if (v := row.get(f)) is None else float(v) for f in features]
        for row in rows
      ]
    ).reshape(len(rows), len(features))
  except (TypeError, ValueError) as error:
    raise ValueError(f"the rows hold what is no number: {error}") from error


def _baseline(
  config: Config,
  parts: Mapping[str, Rows],
  classes: int,
  dataset: Mapping[str, Any],
) -> Experiment:
  """A model of scikit-learn, fitted when the run ends."""
  names = [part for part in parts if part not in config.fit.split("+")]

  def finish(state: State) -> dict[str, Any]:
    del state
    fitted = [parts[part] for part in config.fit.split("+")]
    values, label = (
      np.concatenate([part[name] for part in fitted])
      for name in ("value", "label")
    )
    metrics = {}
    for part in names:
      chance = attributes.chances(
        config.model.kind,
        values,
        label,
        parts[part]["value"],
        classes,
        config.seed,
      )
      found = attributes.scores(parts[part]["label"], chance)
      metrics |= {f"{part}/{name}": value for name, value in found.items()}
    return {"metrics": metrics}

  protocol = {**dataset["protocol"], "fit": config.fit}
  return Experiment(
    game=closed_form(lambda: {"none": jnp.zeros(1)}),
    batches=None,
    schedule=Schedule(),
    evaluate=None,
    finish=finish,
    dataset={**dataset, "protocol": protocol},
  )
