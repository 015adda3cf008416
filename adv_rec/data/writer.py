"""Writes the prepared format of `dataset`, file by file."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec import __version__
from adv_rec.data import atomic, dataset

Rows = pa.Table | Callable[[], pa.Table]

_EMPTY = pa.table(
  {"user": pa.array([], "int32"), "item": pa.array([], "int32")}
)


def write(
  directory: dataset.Path,
  name: str,
  parts: Mapping[str, Rows],
  users: pa.Table,
  items: pa.Table,
  protocol: Mapping[str, Any],
  filters: Sequence[Mapping[str, Any]] = (),
  shards: int = 0,
) -> dict[str, int]:
  """Writes a prepared dataset, whole or not at all.

  The files are written to a temporary directory beside the target, which is
  then renamed, so that a reader never sees half of them.

  Args:
    directory: where to; a prepared dataset that is there is replaced.
    name: name of the dataset.
    parts: a stem of `dataset.stems` -> table of codes with the columns user,
      item and optionally time and value, or a function that makes the table
      when its turn comes; a file left out is empty.
    users: table with the column id and features, one row a code.
    items: the same for items.
    protocol: how the data was made; JSON types only.
    filters: the counts after each step of the preparation.
    shards: files of the train part, 0 for one; shard s holds the users whose
      code is s modulo `shards`.

  Returns:
    The counts, as they stand in dataset.json.

  Raises:
    FileExistsError: the target holds something else than a prepared dataset.
    ValueError: codes outside the tables of users and items.
  """
  check_target(directory)
  catalogues = {"user": users, "item": items}
  rows = {"users": len(users), "items": len(items)}
  in_train = {r: np.zeros(len(c), bool) for r, c in catalogues.items()}
  counts: dict[str, int] = {}

  def fill(folder: pathlib.Path) -> None:
    for part in dataset.PARTS:
      for stem in dataset.stems(part, shards):
        made = parts.get(stem, _EMPTY)
        table = _sorted(made() if callable(made) else made)
        for role, catalogue in catalogues.items():
          codes = table[role].to_numpy()
          _check_codes(part, role, codes, len(catalogue))
          if part == "train":
            in_train[role][codes] = True
        _write_table(table, folder / f"{stem}.parquet")
        rows[stem] = len(table)
    _write_table(users.combine_chunks(), folder / "users.parquet")
    _write_table(items.combine_chunks(), folder / "items.parquet")
    counts.update(_counts(rows, shards, in_train))
    description = {
      "name": name,
      "counts": counts,
      **({"shards": [rows[s] for s in _train(shards)]} if shards else {}),
      "filters": [dict(step) for step in filters],
      "protocol": dict(protocol),
      "sha256": {
        file: dataset.sha256(folder / file) for file in dataset.files(shards)
      },
      "adv_rec": __version__,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (folder / dataset.DESCRIPTION).write_text(text + "\n", "utf-8")

  atomic.replace(directory, fill)
  return counts


def check_target(directory: dataset.Path) -> None:
  """Raises OSError unless a dataset may be written to `directory`.

  It may where nothing is yet, in an empty directory, and over a prepared
  dataset. Called before long work, so that it is not done in vain.
  """
  atomic.check_place(directory)
  names = set(os.listdir(directory)) if os.path.isdir(directory) else set()
  ours = all(dataset.is_ours(name) for name in names)
  if names and not (ours and dataset.DESCRIPTION in names):
    raise FileExistsError(
      f"{directory} holds something else than a prepared dataset; "
      "choose another directory or empty it"
    )


def _write_table(table: pa.Table, path: pathlib.Path) -> None:
  # Fixed options: the bytes depend on the table and on Arrow alone.
  schema = pa.schema([pa.field(f.name, f.type) for f in table.schema])
  pq.write_table(
    table.cast(schema),
    path,
    compression="zstd",
    version="2.6",
    row_group_size=1 << 20,
  )


def _check_codes(part: str, role: str, codes: np.ndarray, size: int) -> None:
  if codes.size and not 0 <= codes.min() <= codes.max() < size:
    raise ValueError(
      f"{part}: {role} codes run from {codes.min()} to {codes.max()}, "
      f"but there are {size} {role}s"
    )


def _sorted(table: pa.Table) -> pa.Table:
  for index, name in enumerate(table.column_names):
    if name in ("user", "item"):
      table = table.set_column(index, name, table[name].cast("int32"))
  columns, present = ("user", "item", "time", "value"), table.column_names
  order = [n for n in ("user", "time", "item", "value") if n in present]
  keys = [(name, "ascending") for name in order]
  kept = [name for name in columns if name in present]
  return table.select(kept).sort_by(keys).combine_chunks()


def _train(shards: int) -> list[str]:
  return dataset.stems("train", shards)


def _counts(
  rows: Mapping[str, int], shards: int, in_train: Mapping[str, np.ndarray]
) -> dict[str, int]:
  parts = {
    part: sum(rows[stem] for stem in dataset.stems(part, shards))
    for part in dataset.PARTS
  }
  return {
    "users": rows["users"],
    "items": rows["items"],
    "interactions": sum(parts.values()),
    **parts,
    "users_without_train": int((~in_train["user"]).sum()),
    "items_without_train": int((~in_train["item"]).sum()),
  }
