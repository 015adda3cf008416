"""The prepared format: what `writer` writes, and what training reads.

A prepared dataset is a directory:

  train.parquet, validation.parquet, test.parquet
    user, item: int32 codes; time and value where the source has them. Sorted
    by (user, time, item, value). Validation and test may be empty. Instead of
    train.parquet there may be N shards, train-00000-of-0000N.parquet and so
    on: shard s holds the rows of the users whose code is s modulo N.
  users.parquet, items.parquet
    id: the raw id, with the type it has in the source; then the features.
    The row number is the code.
  dataset.json
    name, counts, shards (rows of each, if there are any), filters (the counts
    after each step of the preparation), protocol, sha256 of each Parquet
    file, version of adv_rec.

The same input gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PARTS = ("train", "validation", "test")
DESCRIPTION = "dataset.json"
_OURS = rf"({'|'.join(PARTS)}|users|items|content|train-\d+-of-\d+)\.parquet"

Path = str | os.PathLike[str]


class Pairs(NamedTuple):
  """Interactions as parallel arrays of codes.

  Attributes:
    user: [N] int32.
    item: [N] int32.
  """

  user: np.ndarray
  item: np.ndarray


@dataclasses.dataclass(frozen=True)
class Dataset:
  """Interactions in three parts, and what is known of users and items.

  Attributes:
    name: name of the dataset.
    train: pairs to fit on, sorted by user and time.
    validation: pairs to choose by; may be empty.
    test: pairs to report on; may be empty.
    users: "id" -> raw ids [U], and features [U] by name. Row u is user code
      u. Text is an object array with None where unknown; whole numbers with
      unknown values are float with NaN.
    items: the same for items [I].
    protocol: how the data was filtered and split, and from which source.
    fingerprint: identifies protocol and contents, "" if not read from disk.
    partial: whether interactions were left on disk; see `load`.
  """

  name: str
  train: Pairs
  validation: Pairs
  test: Pairs
  users: dict[str, np.ndarray]
  items: dict[str, np.ndarray]
  protocol: dict[str, Any]
  fingerprint: str = ""
  partial: bool = False

  @property
  def num_users(self) -> int:
    """Number of users U; codes are 0 to U-1."""
    return len(self.users["id"])

  @property
  def num_items(self) -> int:
    """Number of items I; codes are 0 to I-1."""
    return len(self.items["id"])

  def history(self, *parts: str) -> tuple[np.ndarray, np.ndarray]:
    """The set of items of each user in the named parts, as CSR.

    Args:
      *parts: "train", "validation", "test"; none gives empty histories.

    Returns:
      (indptr [U+1] int64, items [N] int32): the items of user u are
      items[indptr[u]:indptr[u+1]], ascending, each item once.

    Raises:
      ValueError: for an unknown part.
    """
    if unknown := set(parts) - set(PARTS):
      raise ValueError(
        f"history of {sorted(unknown)}: the parts are {', '.join(PARTS)}"
      )
    cell = np.unique(
      np.concatenate(
        [np.empty(0, np.int64)]
        + [_cells(getattr(self, part), self.num_items) for part in parts]
      )
    )
    user, item = np.divmod(cell, max(self.num_items, 1))
    indptr = np.zeros(self.num_users + 1, np.int64)
    np.cumsum(np.bincount(user, minlength=self.num_users), out=indptr[1:])
    return indptr, item.astype(np.int32)


def _cells(pairs: Pairs, num_items: int) -> np.ndarray:
  return pairs.user.astype(np.int64) * num_items + pairs.item


def stems(part: str, shards: int = 0) -> list[str]:
  """The names of the files of a part, without .parquet.

  Args:
    part: one of `PARTS`.
    shards: files of the train part; 0 for one without a number.
  """
  if part != "train" or not shards:
    return [part]
  return [f"train-{n:05}-of-{shards:05}" for n in range(shards)]


def files(shards: int = 0) -> list[str]:
  """The names of all Parquet files of a dataset."""
  parts = [stem for part in PARTS for stem in stems(part, shards)]
  return [f"{stem}.parquet" for stem in (*parts, "users", "items")]


def is_ours(name: str) -> bool:
  """Whether a file may belong to a prepared dataset, by its name."""
  return name == DESCRIPTION or re.fullmatch(_OURS, name) is not None


def describe(directory: Path) -> dict[str, Any]:
  """The contents of dataset.json, with "shards" in any case.

  Raises:
    FileNotFoundError: the directory or one of the dataset's files is missing.
    ValueError: dataset.json is damaged.
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise FileNotFoundError(
      f"{directory}: no such directory; make it with scripts/prepare_data.py"
    )
  _require(directory, DESCRIPTION)
  try:
    description = json.loads((directory / DESCRIPTION).read_text("utf-8"))
    shards = [int(rows) for rows in description.get("shards", [])]
    found = {key: description[key] for key in ("name", "protocol")}
    found["counts"] = dict(description["counts"])
    expected = files(len(shards))
    found["sha256"] = {file: description["sha256"][file] for file in expected}
    counts = found["counts"]
    rows = [*(shards or [counts["train"]]), counts["validation"]]
    found["rows"] = dict(
      zip(
        expected,
        [*rows, counts["test"], counts["users"], counts["items"]],
        strict=True,
      )
    )
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{directory / DESCRIPTION} is not the description of a prepared "
      f"dataset ({type(error).__name__}); prepare it again"
    ) from error
  for file in expected:
    _require(directory, file)
  return found | {"shards": shards}


def load(directory: Path, shards: Collection[int] | None = None) -> Dataset:
  """Reads a prepared dataset and checks that it is whole.

  Args:
    directory: what `writer.write` or `interactions.prepare` made.
    shards: of a dataset in shards, those to read: the interactions of their
      users only, in all three parts, so that memory holds a sample of users.
      None reads all.

  Returns:
    The dataset.

  Raises:
    FileNotFoundError: the directory or one of its files is missing.
    ValueError: a file is damaged or does not belong to the others, or a shard
      that does not exist.
  """
  directory = pathlib.Path(directory)
  description = describe(directory)
  total = len(description["shards"])
  if shards is not None and not set(shards) <= set(range(total)):
    raise ValueError(
      f"{directory} has {total} shards, numbered from 0; there is no shard "
      f"{max(shards)}"
    )
  train = stems("train", total)
  if shards is not None:
    train = [train[n] for n in sorted(shards)]
  tables = {
    stem: read_checked(directory, f"{stem}.parquet", description)
    for stem in (*train, "validation", "test", "users", "items")
  }
  parts = {"train": _merged([pairs(tables[stem]) for stem in train])}
  for part in ("validation", "test"):
    parts[part] = pairs(tables[part])
    if shards is not None:
      chosen = np.isin(parts[part].user % total, list(shards))
      parts[part] = Pairs(*(column[chosen] for column in parts[part]))
  return Dataset(
    name=description["name"],
    **parts,
    users=_columns(tables["users"]),
    items=_columns(tables["items"]),
    protocol=description["protocol"],
    fingerprint=_fingerprint(description["protocol"], description["sha256"]),
    partial=shards is not None and len(set(shards)) < total,
  )


def read_checked(
  directory: pathlib.Path, file: str, description: dict[str, Any]
) -> pa.Table:
  """One Parquet file of a dataset.

  Raises:
    ValueError: it is not the file that the description means.
  """
  if sha256(directory / file) != description["sha256"][file]:
    raise ValueError(
      f"{directory / file} is not the file that {DESCRIPTION} describes "
      "(its sha256 differs); prepare the dataset again"
    )
  table, rows = pq.read_table(directory / file), description["rows"][file]
  if table.num_rows != rows:
    raise ValueError(
      f"{directory / file} has {table.num_rows} rows where {DESCRIPTION} "
      f"says {rows}; prepare the dataset again"
    )
  return table


def _require(directory: pathlib.Path, file: str) -> None:
  if not (directory / file).is_file():
    raise FileNotFoundError(
      f"{directory / file} is missing; prepare the dataset again"
    )


def _merged(shards: list[Pairs]) -> Pairs:
  """Interactions of several shards, by user, each user's in their order."""
  if len(shards) == 1:
    return shards[0]
  empty = np.empty(0, np.int32)
  user, item = (
    np.concatenate([empty, *columns])
    for columns in (zip(*shards, strict=True) if shards else ((), ()))
  )
  order = np.argsort(user, kind="stable")
  return Pairs(user[order], item[order])


def pairs(table: pa.Table) -> Pairs:
  """The codes in a table of interactions."""
  return Pairs(table["user"].to_numpy(), table["item"].to_numpy())


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
  return {name: table[name].to_numpy() for name in table.column_names}


def sha256(path: pathlib.Path) -> str:
  """The hash of a file's bytes, as hexadecimal digits."""
  digest = hashlib.sha256()
  with path.open("rb") as file:
    for block in iter(functools.partial(file.read, 1 << 20), b""):
      digest.update(block)
  return digest.hexdigest()


def _fingerprint(protocol: Any, hashes: Any) -> str:
  text = json.dumps([protocol, hashes], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
