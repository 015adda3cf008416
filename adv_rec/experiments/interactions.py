"""What experiments on interaction logs share: the data and its evaluation."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from adv_rec.data import batching, interactions, sources
from adv_rec.data import dataset as prepared
from adv_rec.data.dataset import Dataset, Pairs
from adv_rec.evaluation import diversity, ranking, ranking_metrics
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config, parse
from adv_rec.training.loop import Schedule
from adv_rec.types import Game, Params, Scorer, State

FITS = ("train", "train+validation")


def data_config() -> dict[str, Any]:
  """The options "data" of a config; None means the dataset's own default."""
  return {
    "prepared": "",  # a directory that scripts/prepare_data.py wrote
    "path": "",  # own log (CSV, Parquet, glob), or the dataset's folder
    "columns": "user=user,item=item,time=time",  # of an own log
    "feedback": None,
    "min_value": None,
    "k_core": None,
    "split": None,
    "test_fraction": None,
    "validation_fraction": None,
    "seed": None,
  }


def open_dataset(config: Config, workdir: pathlib.Path) -> Dataset:
  """The prepared data of a workdir, made on the first call.

  Args:
    config: with "dataset" and "data", see `data_config`. An own log is
      config.data.path together with an empty config.dataset.
    workdir: gets the directory data/, so that it needs nothing else later.
  """
  directory = workdir / "data"
  data = config.data
  if (directory / "dataset.json").exists():
    return prepared.load(directory)
  if jax.process_index() == 0:
    if data.prepared:
      prepared.load(data.prepared)  # refuses what is not whole
      _copy(pathlib.Path(data.prepared), directory)
    else:
      source, protocol = describe(config.dataset, data)
      interactions.prepare(source, protocol, directory)
  if jax.process_count() > 1:
    jax.experimental.multihost_utils.sync_global_devices("data")
  return prepared.load(directory)


def describe(
  name: str, data: Config
) -> tuple[interactions.Source, interactions.Protocol]:
  """Source and protocol that the options ask for."""
  fields = (field.name for field in dataclasses.fields(interactions.Protocol))
  asked = {f: data[f] for f in fields if data[f] is not None}
  if name:
    source = sources.find(name, data.path or None)
  elif data.path:
    source = sources.log(data.path, parse(data.columns))
  else:
    raise ValueError(
      "no data: name a dataset (dataset=...), or give data.path=FILE with"
      " data.columns=user=...,item=...,time=..."
    )
  return source, dataclasses.replace(sources.default_protocol(name), **asked)


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
  temporary = target.with_name(target.name + ".tmp")
  shutil.rmtree(temporary, ignore_errors=True)
  shutil.copytree(source, temporary)
  temporary.rename(target)


def fitted(dataset: Dataset, fit: str) -> Pairs:
  """The interactions that a model is fitted on.

  Raises:
    ValueError: fit is not one of `FITS`.
  """
  if fit not in FITS:
    raise ValueError(f"config option fit={fit!r}: choose {' or '.join(FITS)}")
  pairs = [getattr(dataset, part) for part in fit.split("+")]
  return Pairs(*(np.concatenate(column) for column in zip(*pairs, strict=True)))


def description(dataset: Dataset, fit: str) -> dict[str, Any]:
  """What a result says of its data: counts and the whole protocol."""
  return {
    "name": dataset.name,
    "counts": {
      "users": dataset.num_users,
      "items": dataset.num_items,
      **{part: len(getattr(dataset, part).user) for part in prepared.PARTS},
    },
    "protocol": {
      **dataset.protocol,
      "fit": fit,
      "mask": "training items, and for test the validation items",
      "candidates": "all other items",
      "ties": "count against",
    },
    "fingerprint": dataset.fingerprint,
  }


class Evaluator:
  """Full ranking of the users of one part, as the protocol asks.

  All items are ranked except those of the user's history: train for the
  validation part, train and validation for the test part.
  """

  def __init__(
    self,
    dataset: Dataset,
    config: Config,
    part: str,
    fit: str,
  ):
    """Prepares the masks.

    Args:
      dataset: the data.
      config: the options "evaluation": ks, user_block.
      part: "validation" or "test".
      fit: one of `FITS`; popularity is counted over what was fitted.
    """
    history = ("train",) if part == "validation" else ("train", "validation")
    self._part = part
    self._ks = tuple(config.ks)
    self._user_block = config.user_block
    self._mask = dataset.history(*history)
    self._relevant = dataset.history(part)
    self._users = np.flatnonzero(np.diff(self._relevant[0]))
    fitted = dataset.history(*fit.split("+"))
    self._counts = np.bincount(fitted[1], minlength=dataset.num_items)
    self._train_users = int((np.diff(fitted[0]) > 0).sum())
    self._categories = _codes(dataset.items.get("category"))

  def rank(self, scorer: Scorer) -> ranking.Ranking:
    """The lists of all users of the part."""
    return ranking.top_k(
      scorer,
      self._users,
      self._mask,
      self._relevant,
      max(self._ks),
      user_block=self._user_block,
    )

  def accuracy(self, scorer: Scorer) -> dict[str, float]:
    """{"ndcg@10": ...}: means over users."""
    return self._accuracy(self.rank(scorer))

  def all(self, scorer: Scorer) -> dict[str, float]:
    """Accuracy and diversity, as {"test/ndcg@10": ...}."""
    ranked = self.rank(scorer)
    values = self._accuracy(ranked)
    for k in self._ks:
      values |= diversity.evaluate(
        ranked.items,
        k,
        self._counts,
        self._categories,
        train_users=self._train_users,
      )
    return {f"{self._part}/{name}": value for name, value in values.items()}

  def _accuracy(self, ranked: ranking.Ranking) -> dict[str, float]:
    return ranking_metrics.summarize(ranking_metrics.per_user(ranked, self._ks))


def ranking_experiment(
  config: Config,
  data: Dataset,
  game: Game,
  scorer: Callable[[Params], Scorer],
  batches: batching.Batches | None = None,
  schedule: Schedule | None = None,
  finish: Callable[[State], dict[str, Any]] | None = None,
) -> Experiment:
  """An experiment of one player, "model", that ends in a scorer.

  Validation is watched where the model is not fitted on it, test always; a
  part without interactions is left out.

  Args:
    config: with "evaluation" and "fit".
    data: what the model is fitted and measured on.
    game: has the player "model".
    scorer: parameters of that player -> scorer of all users.
    batches: see `Experiment`.
    schedule: no steps by default, for models known without playing.
    finish: state -> more entries of result.json.
  """
  parts = [
    part
    for part, watched in (
      ("validation", config.fit == "train"),
      ("test", True),
    )
    if watched and len(getattr(data, part).user)
  ]
  evaluators = {
    part: Evaluator(data, config.evaluation, part, config.fit) for part in parts
  }

  def evaluate(state: State) -> dict[str, float]:
    values = evaluators["validation"].accuracy(scorer(state.params["model"]))
    return {f"validation/{name}": value for name, value in values.items()}

  def finish_all(state: State) -> dict[str, Any]:
    metrics: dict[str, float] = {}
    for evaluator in evaluators.values():
      metrics |= evaluator.all(scorer(state.params["model"]))
    return {"metrics": metrics, **(finish(state) if finish else {})}

  return Experiment(
    game=game,
    batches=batches,
    schedule=schedule or Schedule(),
    evaluate=evaluate if "validation" in evaluators else None,
    finish=finish_all,
    dataset=description(data, config.fit),
    watch="validation/ndcg@10",
  )


def _codes(names: np.ndarray | None) -> np.ndarray | None:
  """Category names as integers, -1 where unknown."""
  if names is None:
    return None
  known = np.array([name is not None for name in names], bool)
  codes = np.full(len(names), -1)
  codes[known] = np.unique(names[known].astype(str), return_inverse=True)[1]
  return codes
