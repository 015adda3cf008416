"""What experiments on interaction logs share: the data and its evaluation."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adv_rec.data import atomic, batching, interactions, sources
from adv_rec.data import dataset as prepared
from adv_rec.data.dataset import Dataset, Pairs
from adv_rec.evaluation import diversity, ranking, ranking_metrics
from adv_rec.experiments import attacks, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.training import parallel
from adv_rec.training.loop import Schedule
from adv_rec.types import Game, Params, Scorer, State

FITS = ("train", "train+validation")


def data_config() -> dict[str, Any]:
  """The options "data" of a config; None means the dataset's own default."""
  protocol = {
    field.name: type(0.0 if field.default is None else field.default)
    for field in dataclasses.fields(interactions.Protocol)
  }
  return {
    "prepared": "",  # a directory that scripts/prepare_data.py wrote
    "path": "",  # own log (CSV, Parquet, glob), or the dataset's folder
    "columns": "user=user,item=item,time=time",  # of an own log
    "protocol": "",  # a named one, such as "repeat": see sources.protocols
    "shards": 0,  # files of the train part, to train from; 0: from memory
    "lanes": 8,  # shards in memory at a time, at most
    "evaluate_shards": 0,  # shards whose users are evaluated; 0: all
    **{name: options.unset(kind) for name, kind in protocol.items()},
  }


def open_dataset(
  config: Config, workdir: pathlib.Path, streams: bool = False
) -> Dataset:
  """The prepared data of a workdir, made on the first call.

  Args:
    config: with "dataset" and "data", see `data_config`. An own log is
      config.data.path together with an empty config.dataset.
    workdir: gets the directory data/, so that it needs nothing else later.
    streams: whether the caller trains from the shards on disk, so that with
      config.data.evaluate_shards only the users of these need be in memory.

  Raises:
    ValueError: bad data, or a bad option that all recommenders share.
    FileNotFoundError: the data is not there.
  """
  _check(config)
  directory = workdir / "data"

  def make() -> None:
    if (directory / "dataset.json").exists():
      return
    if config.data.prepared:
      # Refuses what is not whole; shards are checked when they are read.
      sharded = prepared.describe(config.data.prepared)["shards"]
      prepared.load(config.data.prepared, shards=() if sharded else None)
      _copy(pathlib.Path(config.data.prepared), directory)
    else:
      source, protocol = describe(config.dataset, config.data)
      interactions.prepare(
        source, protocol, directory, shards=config.data.shards
      )

  parallel.on_one_process(make)
  if streams and config.data.shards and config.data.evaluate_shards:
    return prepared.load(directory, range(config.data.evaluate_shards))
  return prepared.load(directory)


def describe(
  name: str, data: Config
) -> tuple[interactions.Source, interactions.Protocol]:
  """Source and protocol that the options ask for."""
  asked = {
    field.name: data[field.name]
    for field in dataclasses.fields(interactions.Protocol)
    if data[field.name] is not None
  }
  if name in sources.NAMES and pathlib.Path(data.path).is_file():
    raise ValueError(
      f"config option data.path={data.path} is a file, where dataset={name}"
      " has a folder; for a log of your own leave the dataset empty: dataset="
    )
  if name:
    source = sources.find(name, data.path or None)
  elif data.path:
    source = sources.log(data.path, _roles(data.columns))
  else:
    raise ValueError(
      "no data: name a dataset (dataset=...), or give data.path=FILE with"
      " data.columns=user=...,item=...,time=..."
    )
  return source, dataclasses.replace(
    sources.protocol(name, data.protocol), **asked
  )


def _check(config: Config) -> None:
  options.one_of(FITS, config, "fit")
  options.at_least(0, config, "seed")
  options.at_least(0, config, "data.shards")
  options.at_least(1, config, "data.lanes")
  options.at_least(0, config, "data.evaluate_shards")
  options.at_least(1, config, "evaluation.user_block")
  ks, sizes = config.evaluation.ks, config.evaluation.robustness
  if not ks or not all(type(k) is int and k >= 1 for k in ks):
    raise ValueError(
      f"config option evaluation.ks={tuple(ks)}: write the lengths of the"
      " lists, each at least 1, as in (5,10)"
    )
  if not all(isinstance(x, int | float) and 0 <= x < np.inf for x in sizes):
    raise ValueError(
      f"config option evaluation.robustness={tuple(sizes)}: write sizes in"
      " median row norms, as in (0.25,0.5), or () for no curve"
    )


def _roles(columns: str) -> dict[str, str]:
  try:
    return options.parse(columns)
  except ValueError:
    raise ValueError(
      f"config option data.columns={columns}: write role=column, as in"
      " user=customer,item=sku,time=day"
    ) from None


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
  def fill(fresh: pathlib.Path) -> None:
    shutil.copytree(source, fresh, dirs_exist_ok=True)

  atomic.replace(target, fill)


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
      "mask": _mask(dataset),
      "candidates": "all items" if repeats(dataset) else "all other items",
      "ties": "count against",
    },
    "fingerprint": dataset.fingerprint,
    # The counts above are then those of the users in memory.
    **({"partial": True} if dataset.partial else {}),
  }


def repeats(dataset: Dataset) -> bool:
  """Whether items of a user's history may be recommended to it again."""
  return dataset.protocol.get("mask", "history") == "none"


def _mask(dataset: Dataset) -> str:
  if repeats(dataset):
    return "none"
  return "training items, and for test the validation items"


class Evaluator:
  """Full ranking of the users of one part, as the protocol asks.

  All items are ranked except those of the user's history: train for the
  validation part, train and validation for the test part. Where the protocol
  says mask="none", no item is excepted.
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

    Raises:
      ValueError: a list is longer than the catalogue.
    """
    history = ("train",) if part == "validation" else ("train", "validation")
    if repeats(dataset):
      history = ()
    self._part = part
    self._ks = _within(tuple(config.ks), dataset.num_items)
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
    values = ranking_metrics.per_user(self.rank(scorer), self._ks)
    return ranking_metrics.summarize(values)

  def all(
    self, scorer: Scorer
  ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Accuracy and diversity, and the accuracy of each user.

    Returns:
      {"test/ndcg@10": ...}; and {"user": codes [U], "ndcg@10": [U], ...}.
    """
    ranked = self.rank(scorer)
    by_user = ranking_metrics.per_user(ranked, self._ks)
    values = ranking_metrics.summarize(by_user)
    for k in self._ks:
      values |= diversity.evaluate(
        ranked.items,
        k,
        self._counts,
        self._categories,
        train_users=self._train_users,
      )
    values = {f"{self._part}/{name}": value for name, value in values.items()}
    return values, {"user": self._users, **by_user}


def ranking_experiment(
  config: Config,
  data: Dataset,
  game: Game,
  scorer: Callable[[Params], Scorer],
  batches: batching.Batches | None = None,
  schedule: Schedule | None = None,
  tables: Sequence[str] = (),
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
    tables: entries of the player's parameters that are embeddings, which an
      attack may move; none for models without.

  Raises:
    ValueError: config.evaluation.robustness, and nothing to attack.
  """
  sizes = config.evaluation.robustness
  if sizes and not (tables and len(data.test.user)):
    missing = "test part" if tables else "embeddings"
    raise ValueError(
      f"config option evaluation.robustness={tuple(sizes)}: {config.title} has"
      f" no {missing} to attack; leave it out"
    )
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

  def score(state: State) -> Scorer:
    return scorer(state.params["model"])

  def evaluate(state: State) -> dict[str, float]:
    values = evaluators["validation"].accuracy(score(state))
    return {f"validation/{name}": value for name, value in values.items()}

  attack = None
  if tables and "test" in evaluators:
    attack = attacks.on_embeddings(
      scorer,
      tables,
      fitted(data, config.fit),
      data.num_items,
      config.seed,
      evaluators["test"].accuracy,
    )

  def finish(state: State) -> dict[str, Any]:
    result: dict[str, Any] = {"metrics": {}}
    for part, evaluator in evaluators.items():
      metrics, by_user = evaluator.all(score(state))
      result["metrics"] |= metrics
      if part == "test":
        result["per_user"] = by_user
    if attack and sizes:
      kinds = {name: attacks.by_name(name) for name in ("fgm", "random")}
      result["robustness"] = attack(state, kinds, sizes)
    return result

  return Experiment(
    game=game,
    batches=batches,
    schedule=schedule or Schedule(),
    evaluate=evaluate if "validation" in evaluators else None,
    finish=finish,
    dataset=description(data, config.fit),
    watch="validation/ndcg@10",
    scorer=score,
    attack=attack,
  )


def _within(ks: tuple[int, ...], num_items: int) -> tuple[int, ...]:
  if max(ks) > num_items:
    short = tuple(k for k in ks if k <= num_items) or (1,)
    raise ValueError(
      f"config option evaluation.ks={ks}: lists of {max(ks)} are longer than"
      f" the catalogue of {num_items} items; shorten them, as in {short}"
    )
  return ks


def _codes(names: np.ndarray | None) -> np.ndarray | None:
  """Category names as integers, -1 where unknown."""
  if names is None:
    return None
  known = np.array([name is not None for name in names], bool)
  codes = np.full(len(names), -1)
  codes[known] = np.unique(names[known].astype(str), return_inverse=True)[1]
  return codes
