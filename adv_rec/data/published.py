"""The splits that others published, kept row by row.

| name | split of | train / validation / test | users | items |
|---|---|---|---|---|
| apr_movielens_100k | MovieLens-100K, leave one out | 99,056 / 0 / 943 | 943 | 1,682 |
| apr_amazon | Amazon, leave one out | 73,413 / 0 / 3,915 | 3,915 | 2,549 |
| cfgan_ml100k | MovieLens-100K | 80,000 / 0 / 19,963 | 943 | 1,653 |
| irgan_ml100k | MovieLens-100K | 80,000 / 0 / 20,000 | 943 | 1,682 |
| ml100k_random | MovieLens-100K, 8:1:1 | 80,808 / 9,596 / 9,596 | 943 | 1,682 |
| gowalla | check-ins | 810,128 / 0 / 217,242 | 29,858 | 40,981 |
| lastfm | listening counts | 42,135 / 0 / 10,533 | 1,880 | 4,489 |

Ids that only the test names stay in the catalogue. Values are ratings, or
listening counts in lastfm. IRGAN counts ratings of 4 and 5 as positive, which
is Protocol(min_value=4, ...); the others count every row. In apr_amazon value
and time are always 1.

Licences: MovieLens is for research and may not be redistributed; LastFM
(HetRec 2011) is for non-commercial use; with the Amazon and Gowalla splits no
licence is stated.
"""  # noqa: E501

from __future__ import annotations

import gzip
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from adv_rec.data import locate
from adv_rec.data.interactions import Source

_RESEARCH = "MovieLens, GroupLens: research use, no redistribution"


class Split(NamedTuple):
  """A published split.

  Attributes:
    folder: where it lies under $ADV_REC_DATA.
    files: part -> file name there; in an explicit folder the file may also
      have the name without its first word (trainingset.tsv).
    columns: of the files; none where each line is a user and all its items.
    delimiter: between columns.
    licence: under which it may be used.
    origin: where it was published.
    header: whether the files have a line of names.
  """

  folder: str
  files: Mapping[str, str]
  columns: tuple[str, ...]
  delimiter: str
  licence: str
  origin: str
  header: bool = False


SPLITS: dict[str, Split] = {
  "apr_movielens_100k": Split(
    "apr_split",
    {
      "train": "movielens100k.trainingset.tsv",
      "test": "movielens100k.testset.tsv",
    },
    ("user", "item", "value", "time"),
    "\t",
    _RESEARCH,
    "folder data/movielens100k of the GitHub repository "
    "sisinflab/The-Idiosyncratic-Effects-of-Adversarial-Training",
  ),
  "apr_amazon": Split(
    "apr_split",
    {"train": "amazon.trainingset.tsv", "test": "amazon.testset.tsv"},
    ("user", "item", "value", "time"),
    "\t",
    "not stated",
    "folder data/amazon of the GitHub repository "
    "sisinflab/The-Idiosyncratic-Effects-of-Adversarial-Training",
  ),
  "cfgan_ml100k": Split(
    "cfgan_split",
    {"train": "ML100K.train", "test": "ML100K.test"},
    ("user", "item", "value"),
    " ",
    _RESEARCH,
    "folder datasets/ML100K of the GitHub repository Bigdasgit/CFGAN",
  ),
  "irgan_ml100k": Split(
    "irgan_split",
    {
      "train": "movielens-100k-train.txt",
      "test": "movielens-100k-test.txt",
    },
    ("user", "item", "value"),
    "\t",
    _RESEARCH,
    "folder item_recommendation/ml-100k of the GitHub repository geek-ai/irgan",
  ),
  "ml100k_random": Split(
    "ml100k_random",
    {"train": "train.tsv", "validation": "valid.tsv", "test": "test.tsv"},
    ("user", "item"),
    "\t",
    _RESEARCH,
    "the split that RecBole 1.2.1 makes of ml-100k by default (seed 2020), "
    "saved as three tab-separated files of user_id and item_id",
    header=True,
  ),
  "gowalla": Split(
    "gowalla",
    {"train": "train.txt", "test": "test.txt"},
    (),
    " ",
    "not stated",
    "folder data/gowalla of the GitHub repository gusye1234/LightGCN-PyTorch",
  ),
  "lastfm": Split(
    "lastfm",
    {"train": "data1.txt", "test": "test1.txt"},
    ("user", "item", "value"),
    "\t",
    "HetRec 2011: non-commercial use",
    "folder data/lastfm of the GitHub repository gusye1234/LightGCN-PyTorch",
  ),
}


def find(name: str, path: str | os.PathLike[str] | None = None) -> Source:
  """A published split by its name; see `sources.find`."""
  split = SPLITS[name]
  places = [path, locate.environment(split.folder)]
  names = list(split.files.values())
  short = [name.split(".", 1)[1] for name in names if name.endswith("set.tsv")]
  if short and locate.present(short, places):
    names = short
  paths = locate.files(name, names, places, split.origin)
  origin = {"licence": split.licence, "files": list(split.files.values())}
  if split.columns:
    tables = [
      locate.table(path, split.columns, split.delimiter, split.header)
      for path in paths
    ]
    parts = dict(zip(split.files, tables, strict=True))
    return Source(name, parts, origin=origin)
  lists = [adjacency(path) for path in paths]
  parts = dict(zip(split.files, [pairs for pairs, _ in lists], strict=True))
  users = np.unique(np.concatenate([users for _, users in lists]))
  return Source(name, parts, users=pa.table({"id": users}), origin=origin)


def adjacency(path: pathlib.Path) -> tuple[pa.Table, np.ndarray]:
  """Reads lines of a user and all its items.

  Args:
    path: the file, plain or gzip: whole numbers with spaces between.

  Returns:
    (table of user and item, int64; all users, also those without an item).

  Raises:
    ValueError: something else than whole numbers.
  """
  rows = []
  opener = gzip.open if path.suffix == ".gz" else open
  try:
    with opener(path, "rt", encoding="utf-8") as file:
      for number, line in enumerate(file, 1):
        if not line.strip():
          continue
        try:
          rows.append(np.array(line.split(), np.int64))
        except ValueError as error:
          raise ValueError(
            f"{path}, line {number}: expected whole numbers, a user and its "
            "items"
          ) from error
  except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
    raise ValueError(f"{path} is damaged: {error}") from error
  users = np.array([row[0] for row in rows], np.int64)
  degree = [len(row) - 1 for row in rows]
  items = np.concatenate([np.empty(0, np.int64), *(row[1:] for row in rows)])
  return pa.table({"user": np.repeat(users, degree), "item": items}), users
