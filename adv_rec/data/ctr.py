"""Clicks to predict: rows of fields with a label, from three datasets.

frappe            Use of apps in contexts: 96,203 records of 957 users and
  4,082 apps (Baltrunas et al. 2015, arXiv:1505.03014). For research, no
  redistribution. Each is paired with two apps that its user has not used in
  that context (He & Chua 2017, arXiv:1708.05027, section 5.1); 288,609 rows,
  7:2:1 at random. Which negatives others drew is not known.
movielens_100k    Whether a user gives a film 4 or 5 stars, 8:1:1 at random.
retail            Whether a household that visits a store buys a product that
  is promoted there; see `promotions`.

Negatives and splits have a seed of their own: all runs see the same rows.
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa

from adv_rec.data import batching, examples, locate, promotions, sources
from adv_rec.data.examples import Examples
from adv_rec.data.fields import Column

NAMES = ("frappe", "movielens_100k", "retail")

_NEGATIVES = 2  # for each record of Frappe
_SEED = 0
_RECENT = 10  # films that a rating knows of
_RECORD = (
  "user", "item", "cnt", "daytime", "weekday", "isweekend", "homework", "cost",
  "weather", "country", "city",
)  # fmt: skip
_FRAPPE = tuple(name for name in _RECORD if name != "cnt")


def find(name: str, path: str | os.PathLike[str] | None = None) -> Examples:
  """A dataset by its name.

  Args:
    name: one of `NAMES`.
    path: the folder that holds its files; None looks in the usual places.

  Raises:
    ValueError: unknown name, or unreadable files.
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  if name == "frappe":
    return frappe(path)
  if name == "movielens_100k":
    return movielens_100k(path)
  if name == "retail":
    return promotions.retail(path)
  raise ValueError(
    f"no dataset of clicks is named {name!r}; choose {', '.join(NAMES)}, or"
    " give data.path=FILE with dataset= and data.columns"
  )


def frappe(path: str | os.PathLike[str] | None = None) -> Examples:
  """Frappe; see the top of this file."""
  (file,) = locate.files(
    "frappe",
    ["frappe.csv"],
    [path, locate.environment("frappe")],
    "https://www.baltrunas.info/context-aware",
  )
  table = locate.table(file, _RECORD, "\t", header=True)
  table = table.select(list(_FRAPPE))
  context = [name for name in _FRAPPE if name != "item"]
  coded = np.stack(
    [
      table[name].combine_chunks().dictionary_encode().indices.to_numpy()
      for name in context
    ],
    axis=1,
  )
  _, example, code = np.unique(
    coded, axis=0, return_index=True, return_inverse=True
  )
  item = table["item"].to_numpy()
  apps, item_code = np.unique(item, return_inverse=True)
  sampler = batching.NegativeSampler(code.ravel(), item_code, len(apps))
  rng = np.random.default_rng([_SEED])
  drawn = [sampler(rng) for _ in range(_NEGATIVES)]
  items = np.concatenate([sampler.items, *drawn])
  source = np.tile(example[sampler.users], 1 + _NEGATIVES)
  rows = table.take(pa.array(source)).set_column(
    _FRAPPE.index("item"), "item", pa.array(apps[items])
  )
  label = np.arange(len(items)) < len(sampler.items)
  return examples.make(
    "frappe",
    rows,
    [Column(name, "category") for name in _FRAPPE],
    label,
    examples.at_random(len(label), (0.2, 0.1), _SEED),
    rows["user"],
  )


def movielens_100k(path: str | os.PathLike[str] | None = None) -> Examples:
  """MovieLens-100K; a rating knows the films that its user rated before it.

  Which films those are, not how they were rated: a rating is somebody's label.
  """
  source = sources.find("movielens_100k", path)
  log = source.parts["log"]
  assert isinstance(log, pa.Table) and source.users and source.items
  log = log.sort_by([(n, "ascending") for n in ("user", "time", "item")])
  user, item = (log[name].to_numpy() for name in ("user", "item"))
  own = {"user": log["user"], "item": log["item"]}
  for key, features, names in (
    ("user", source.users, ("age", "gender", "occupation")),
    ("item", source.items, ("genres",)),
  ):
    ids = features["id"].to_numpy()
    place = np.argsort(ids)[np.searchsorted(np.sort(ids), own[key].to_numpy())]
    for name in names:
      own[name] = features[name].take(pa.array(place))
  own["recent"] = _before(user, item, _RECENT)
  columns = [
    Column("user", "category"),
    Column("item", "category"),
    Column("age", "number"),
    Column("gender", "category"),
    Column("occupation", "category"),
    Column("genres", "list", length=6),
    Column("recent", "list", of="item", length=_RECENT),
  ]
  return examples.make(
    "movielens_100k",
    pa.table(own),
    columns,
    log["value"].to_numpy() >= 4,
    examples.at_random(len(user), (0.1, 0.1), _SEED),
    log["user"],
  )


def _before(owner: np.ndarray, values: np.ndarray, length: int) -> pa.Array:
  """The values of the same owner before each, the newest first, as lists."""
  n, back = len(owner), np.arange(1, length + 1)
  place = np.arange(n)[:, None] - back
  there = (place >= 0) & (owner[place] == owner[:, None])
  ends = np.append(0, np.cumsum(there.sum(axis=1)))
  return pa.ListArray.from_arrays(
    pa.array(ends.astype(np.int32)), pa.array(values[place[there]])
  )
