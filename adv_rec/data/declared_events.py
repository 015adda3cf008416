"""Logs of events by what is declared of them, without a look at their values.

What a private generator of sequences knows before it spends anything: the types
and their categories, as the catalogue has them; the ends of bins of gaps and of
amounts, round numbers; the first and the last moment. What is generated has
these and nothing else: its users are numbered, its times, types and names are
the declared ones.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adv_rec.data import events
from adv_rec.data.encoding import Code, Transform
from adv_rec.data.event_codes import Bins, Coding, Kind
from adv_rec.data.events import Log
from adv_rec.data.tabular import Column
from adv_rec.data.values import EVENT_ROLES


class Declared(NamedTuple):
  """What a log may hold; a file of one is JSON with these names.

  Attributes:
    kinds: type -> its categories, all of text.
    first: the first moment: text of a date or a time, or a number.
    last: the last one.
    gaps: ends of the bins of days between two events, rising from 0; a gap of
      0 has a cell of its own, and longer ones are in the last bin.
    amounts: likewise of amounts.
    decimals: digits of an amount after the point.
  """

  kinds: Mapping[str, tuple[str, ...]]
  first: Any
  last: Any
  gaps: tuple[float, ...]
  amounts: tuple[float, ...]
  decimals: int = 2


def load(path: str | pathlib.Path) -> Declared:
  """Reads what is declared of a log.

  Raises:
    ValueError: the file is not as it should be.
  """
  try:
    return parse(json.loads(pathlib.Path(path).read_text("utf-8")))
  except ValueError as error:
    raise ValueError(f"{path} declares no log of events: {error}") from error


def parse(values: Mapping[str, Any]) -> Declared:
  """What is declared of a log, from JSON values.

  Raises:
    ValueError: they are not as they should be.
  """
  try:
    found = Declared(**values)
    _coded(found, 1)
    _moments(found)
  except (TypeError, AttributeError, LookupError, pa.ArrowException) as error:
    raise ValueError(f"{error}") from error
  return found


def coding(declared: Declared, log: Log) -> Coding:
  """How the events of a log are encoded: by what is declared of it alone.

  Args:
    declared: of the log.
    log: of which only the unit of time counts.
  """
  return Coding(*_coded(declared, log.day))


def conform(log: Log, declared: Declared) -> Log:
  """A log with its types and categories as text, all of them declared.

  Numbers beyond the bins are no error: they count as in the nearest.

  Raises:
    ValueError: it holds what is not declared of it.
  """
  table = log.table
  for role in ("type", "category"):
    at = EVENT_ROLES.index(role)
    values = table.column(at).cast(pa.string())
    table = table.set_column(at, table.column_names[at], values)
  log = log._replace(table=table)
  _check_kinds(table, declared)
  if log.day != frame(declared, table.column_names).day:
    raise ValueError(
      "of the log and what is declared of it one has dates, the other numbers"
      " as times"
    )
  return log


def frame(declared: Declared, names: list[str]) -> Log:
  """Nobody's events, which span what is declared: `event_codes.decode` of it.

  Args:
    declared: of a log.
    names: of its five columns.
  """
  moments = _moments(declared)
  kind = next(iter(declared.kinds))
  num = len(moments)
  columns = [
    pa.array(np.repeat(["a", "b"], num)),
    pa.array([kind] * 2 * num),
    pa.array([declared.kinds[kind][0]] * 2 * num),
    pa.concat_arrays([moments, moments]),
    pa.array(np.zeros(2 * num)),
  ]
  return events.make(pa.table(dict(zip(names, columns, strict=True))))


def check(
  made: pa.Table, declared: Declared, names: list[str], sequences: int
) -> None:
  """Raises ValueError unless rows may be of sequences that were generated.

  Args:
    made: rows, as `event_codes.decode` makes them of a `frame`.
    declared: of a log.
    names: of its five columns.
    sequences: how many there are at most.
  """
  near = frame(declared, names)
  if made.schema != near.table.schema:
    raise ValueError(
      f"the rows have the columns {_said(made)}, what is declared makes"
      f" {_said(near.table)}"
    )
  user, _, _, time, amount = (made.column(name) for name in names)
  ids = events.new_ids(near.column("user"), sequences)
  _refuse(pc.is_in(user, ids), user, "which is no made-up user")
  _check_kinds(made, declared)
  moments = _moments(declared)
  first, second, last = moments.cast(pa.int64()).to_numpy()
  at = time.cast(moments.type).cast(pa.int64()).to_numpy()
  there = (first <= at) & (at <= last) & ((at - first) % (second - first) == 0)
  _refuse(there, time, "which is no declared moment")
  paid = amount.to_numpy()
  there = (paid >= 0) & (paid <= declared.amounts[-1])
  there &= np.round(paid, declared.decimals) == paid
  _refuse(there, amount, "which is no declared amount")


def _said(table: pa.Table) -> str:
  return ", ".join(f"{field.name}: {field.type}" for field in table.schema)


def _refuse(valid: Any, values: pa.ChunkedArray, why: str) -> None:
  """Raises ValueError for the first value that is not valid."""
  bad = ~np.asarray(valid).astype(bool)
  if bad.any():
    raise ValueError(f"the rows have {values[int(np.argmax(bad))]!s}, {why}")


def _check_kinds(table: pa.Table, declared: Declared) -> None:
  """Raises ValueError for an event that is not declared.

  Args:
    table: of which the second column has types, the third categories, as text.
    declared: of the log.
  """
  known = pa.array(["\0".join(pair) for pair in _pairs(declared)])
  found = tuple(
    table.column(EVENT_ROLES.index(role)) for role in ("type", "category")
  )
  pairs = pc.binary_join_element_wise(*found, "\0")
  bad = pc.invert(pc.is_in(pairs, known)).to_numpy()
  if bad.any():
    row = int(np.argmax(bad))
    what, where = (column[row].as_py() for column in found)
    raise ValueError(
      f"the log has an event of type {what!r} and category {where!r}, which is"
      " not declared of it"
    )


def _pairs(declared: Declared) -> list[tuple[str, str]]:
  """Types with a category of theirs."""
  return [(name, x) for name, own in declared.kinds.items() for x in own]


def _coded(declared: Declared, day: int) -> tuple[tuple[Kind, ...], Bins, Bins]:
  """The fields of a coding."""
  top = float(declared.amounts[-1])
  kinds = tuple(
    Kind(name, (category,), np.ones(1), 0.0, top)
    for name, category in _pairs(declared)
  )
  if not kinds or len({kind[:2] for kind in kinds}) < len(kinds):
    raise ValueError("kinds are none, or one of them is there twice")
  whole = Column("x", "integer", "int64")
  amount = Column("x", "float", "double", decimals=declared.decimals)
  return (
    kinds,
    _bins(whole, np.array(declared.gaps, float) * day),
    _bins(amount, np.array(declared.amounts, float)),
  )


def _bins(column: Column, ends: np.ndarray) -> Bins:
  """A cell for 0, and bins between some ends."""
  if len(ends) < 2 or ends[0] != 0 or (np.diff(ends) <= 0).any():
    raise ValueError(f"ends of bins must rise from 0: {list(ends)}")
  column = column._replace(low=0, high=float(ends[-1]))
  code = Code(column, np.zeros(1), knots=ends)
  return Bins(Transform((code,)), len(ends) - 1)


def _moments(declared: Declared) -> pa.Array:
  """The first moment, one a second later, and the last."""
  ends = declared.first, declared.last
  if all(isinstance(x, int | float) for x in ends):
    low, high = (round(x) for x in ends)
    found, second = pa.array([low, low + 1, high]), 1
  else:
    low, high = (np.datetime64(str(x), "s").astype(np.int64) for x in ends)
    second = 1_000_000
    found = pa.array(np.array([low, low + 1, high]) * second)
    found = found.cast(pa.timestamp("us"))
  if not low + 1 < high:
    raise ValueError(f"the last moment, {ends[1]}, is not after {ends[0]}")
  return found


# As the documentation of The Complete Journey has it, and the table of all
# products, sold or not: departments, three types of campaigns, a year.
_DEPARTMENTS = (
  "AUTOMOTIVE|CHARITABLE CONT|CHEF SHOPPE|CNTRL/STORE SUP|COSMETICS|COUPON|DELI"
  "|DRUG GM|ELECT &PLUMBING|FLORAL|FROZEN GROCERY|FUEL|GARDEN CENTER"
  "|GM MERCH EXP|GROCERY|HOUSEWARES|MEAT|MEAT-PCKGD|MISCELLANEOUS|NUTRITION"
  "|PASTRY|PHOTO & VIDEO|POSTAL CENTER|PROD-WHS SALES|PRODUCE|RESTAURANT"
  "|SALAD BAR|SEAFOOD|SEAFOOD-PCKGD|SPIRITS|TOYS|TRAVEL & LEISURE"
)
JOURNEY = Declared(
  kinds={
    "campaign": ("Type A", "Type B", "Type C"),
    "coupon": tuple(_DEPARTMENTS.split("|")),
    "purchase": tuple(_DEPARTMENTS.split("|")),
  },
  first="2017-01-01",
  last="2018-01-02",
  # Hours, the days of a week, weeks, months.
  gaps=(0, 1 / 24, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 21, 30, 61, 366),
  # Dollars.
  amounts=(0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10, 15, 20, 30, 50, 100, 1000),
)
