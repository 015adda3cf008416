"""What experiments on interaction logs share: the data."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from typing import Any

import numpy as np

from adv_rec.data import atomic, interactions, sources
from adv_rec.data import dataset as prepared
from adv_rec.data.dataset import Dataset, Pairs
from adv_rec.experiments import options
from adv_rec.experiments.options import Config
from adv_rec.training import parallel

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
  options.at_least(0, config, "evaluation.users")
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
