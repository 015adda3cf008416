"""The prepared format: what `prepare` writes, and what training reads.

A prepared dataset is a directory:

  train.parquet, validation.parquet, test.parquet
    user, item: int32 codes; time and value where the source has them. Sorted
    by (user, time, item, value). Validation and test may be empty.
  users.parquet, items.parquet
    id: the raw id, with the type it has in the source; then the features.
    The row number is the code.
  dataset.json
    name, counts, filters (the counts after each step of the preparation),
    protocol, sha256 of each Parquet file, version of adv_rec.

The same input gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec import __version__
from adv_rec.data import atomic

PARTS = ("train", "validation", "test")
_DESCRIPTION = "dataset.json"
_FILES = tuple(f"{name}.parquet" for name in (*PARTS, "users", "items"))

Path = atomic.Path


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
  """

  name: str
  train: Pairs
  validation: Pairs
  test: Pairs
  users: dict[str, np.ndarray]
  items: dict[str, np.ndarray]
  protocol: dict[str, Any]
  fingerprint: str = ""

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


def load(directory: Path) -> Dataset:
  """Reads a prepared dataset and checks that it is whole.

  Args:
    directory: what `write` or `interactions.prepare` made.

  Returns:
    The dataset.

  Raises:
    FileNotFoundError: the directory or one of its files is missing.
    ValueError: a file is damaged or does not belong to the others.
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise FileNotFoundError(
      f"{directory}: no such directory; make it with scripts/prepare_data.py"
    )
  for file in (_DESCRIPTION, *_FILES):
    if not (directory / file).is_file():
      raise FileNotFoundError(
        f"{directory / file} is missing; prepare the dataset again"
      )
  try:
    description = json.loads((directory / _DESCRIPTION).read_text("utf-8"))
    counts, hashes = description["counts"], description["sha256"]
    name, protocol = description["name"], description["protocol"]
    rows = {file: counts[pathlib.Path(file).stem] for file in _FILES}
    hashes = {file: hashes[file] for file in _FILES}
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"{directory / _DESCRIPTION} is not the description of a prepared "
      f"dataset ({type(error).__name__}); prepare it again"
    ) from error
  tables = {}
  for file in _FILES:
    if _sha256(directory / file) != hashes[file]:
      raise ValueError(
        f"{directory / file} is not the file that {_DESCRIPTION} describes "
        "(its sha256 differs); prepare the dataset again"
      )
    tables[pathlib.Path(file).stem] = table = pq.read_table(directory / file)
    if table.num_rows != rows[file]:
      raise ValueError(
        f"{directory / file} has {table.num_rows} rows where {_DESCRIPTION} "
        f"says {rows[file]}; prepare the dataset again"
      )
  return Dataset(
    name=name,
    **{part: _pairs(tables[part]) for part in PARTS},
    users=_columns(tables["users"]),
    items=_columns(tables["items"]),
    protocol=protocol,
    fingerprint=_fingerprint(protocol, hashes),
  )


def write(
  directory: Path,
  name: str,
  parts: Mapping[str, pa.Table],
  users: pa.Table,
  items: pa.Table,
  protocol: Mapping[str, Any],
  filters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, int]:
  """Writes a prepared dataset, whole or not at all.

  The files are written to a temporary directory beside the target, which is
  then renamed, so that a reader never sees half of them.

  Args:
    directory: where to; a prepared dataset that is there is replaced.
    name: name of the dataset.
    parts: "train", "validation", "test" -> table of codes with the columns
      user, item and optionally time and value; a part left out is empty.
    users: table with the column id and features, one row a code.
    items: the same for items.
    protocol: how the data was made; JSON types only.
    filters: the counts after each step of the preparation.

  Returns:
    The counts, as they stand in dataset.json.

  Raises:
    FileExistsError: the target holds something else than a prepared dataset.
    ValueError: codes outside the tables of users and items.
  """
  check_target(directory)
  tables = {part: _sorted(parts.get(part, _EMPTY)) for part in PARTS}
  for part, table in tables.items():
    for role, catalogue in (("user", users), ("item", items)):
      codes = table[role].to_numpy()
      if codes.size and not 0 <= codes.min() <= codes.max() < len(catalogue):
        raise ValueError(
          f"{part}: {role} codes run from {codes.min()} to {codes.max()}, "
          f"but there are {len(catalogue)} {role}s"
        )
  counts = _counts(tables, users, items)
  tables |= {"users": users.combine_chunks(), "items": items.combine_chunks()}

  def fill(temporary: pathlib.Path) -> None:
    for stem, table in tables.items():
      # Fixed options: the bytes depend on the table and on Arrow alone.
      pq.write_table(
        table.replace_schema_metadata(None),
        temporary / f"{stem}.parquet",
        compression="zstd",
        version="2.6",
        row_group_size=1 << 20,
      )
    description = {
      "name": name,
      "counts": counts,
      "filters": [dict(step) for step in filters],
      "protocol": dict(protocol),
      "sha256": {file: _sha256(temporary / file) for file in _FILES},
      "adv_rec": __version__,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (temporary / _DESCRIPTION).write_text(text + "\n", "utf-8")

  atomic.replace(directory, fill)
  return counts


def check_target(directory: Path) -> None:
  """Raises OSError unless a dataset may be written to `directory`.

  It may where nothing is yet, in an empty directory, and over a prepared
  dataset. Called before long work, so that it is not done in vain.
  """
  atomic.check_place(directory)
  names = set(os.listdir(directory)) if os.path.isdir(directory) else set()
  if names and not (_DESCRIPTION in names <= {_DESCRIPTION, *_FILES}):
    raise FileExistsError(
      f"{directory} holds something else than a prepared dataset; "
      "choose another directory or empty it"
    )


_EMPTY = pa.table(
  {"user": pa.array([], "int32"), "item": pa.array([], "int32")}
)


def _sorted(table: pa.Table) -> pa.Table:
  order = [
    name
    for name in ("user", "time", "item", "value")
    if name in table.column_names
  ]
  for index, name in enumerate(table.column_names):
    if name in ("user", "item"):
      table = table.set_column(index, name, table[name].cast("int32"))
  names = [n for n in ("user", "item", "time", "value") if n in order]
  keys = [(name, "ascending") for name in order]
  return table.select(names).sort_by(keys).combine_chunks()


def _counts(
  tables: Mapping[str, pa.Table], users: pa.Table, items: pa.Table
) -> dict[str, int]:
  train = tables["train"]
  rows = {part: tables[part].num_rows for part in PARTS}
  return {
    "users": len(users),
    "items": len(items),
    "interactions": sum(rows.values()),
    **rows,
    "users_without_train": len(users) - len(train["user"].unique()),
    "items_without_train": len(items) - len(train["item"].unique()),
  }


def _pairs(table: pa.Table) -> Pairs:
  return Pairs(table["user"].to_numpy(), table["item"].to_numpy())


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
  return {name: table[name].to_numpy() for name in table.column_names}


def _sha256(path: pathlib.Path) -> str:
  digest = hashlib.sha256()
  with path.open("rb") as file:
    for block in iter(functools.partial(file.read, 1 << 20), b""):
      digest.update(block)
  return digest.hexdigest()


def _fingerprint(protocol: Any, hashes: Any) -> str:
  text = json.dumps([protocol, hashes], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
