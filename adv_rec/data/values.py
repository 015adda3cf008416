"""How one column of a log is understood: ids, times, values.

CSV has no types, so that they are decided here and not by an engine:

  ids     whole numbers if each is written as one (no leading zeros), else text
  time    whole numbers, else decimal numbers, else ISO 8601, in UTC where an
          offset is given
  value   finite numbers

Parquet columns keep their type: ids are whole numbers or text; times are
numbers, dates, timestamps (to microseconds, in UTC) or ISO 8601 text.
"""

from __future__ import annotations

from typing import Any

import ibis

ROLES = ("user", "item", "time", "value")
EVENT_ROLES = ("user", "type", "category", "time", "amount")
_MISSING = ("", "nan", "NaN", "null", "NULL", "None")
_INTEGER = r"^-?(0|[1-9][0-9]*)$"
_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}|$)"

EXPECTED = {
  "user": "an id: use whole numbers or text",
  "item": "an id: use whole numbers or text",
  "time": "a time: use ISO 8601 (2021-04-03 or 2021-04-03T17:05:00) or "
  "a number such as Unix seconds",
  "value": "a finite number",
  "type": "an event's type: use whole numbers or text",
  "category": "a category: use whole numbers or text",
  "amount": "a finite number",
}


def missing(column: Any) -> Any:
  """Where a column holds nothing: null, NaN, or text that says so."""
  if column.type().is_string():
    return column.isnull() | column.strip().isin(_MISSING)
  if column.type().is_floating():
    return column.isnull() | column.isnan()
  return column.isnull()


def readings(column: Any, role: str, untyped: bool) -> list[Any]:
  """The ways to understand a column, best first; none if its type is wrong.

  Args:
    column: the raw column, an Ibis expression.
    role: one of `ROLES` or `EVENT_ROLES`.
    untyped: whether text may stand for numbers, as in CSV.

  Returns:
    Expressions that are null where that way does not fit.
  """
  kind = column.type()
  if role in ("value", "amount"):
    return [_number(column)] if kind.is_numeric() or untyped else []
  if role == "time":
    if kind.is_string():
      return [_integer(column), _number(column), _timestamp(column)]
    if kind.is_timestamp() or kind.is_date():
      return [column.cast("timestamp(6)")]
    return [_integer(column), _number(column)] if kind.is_numeric() else []
  if kind.is_string():
    return [_integer(column), column] if untyped else [column]
  # Whole numbers turn floating where a table once had a missing one.
  return [_integer(column)] if kind.is_integer() or kind.is_floating() else []


def _integer(column: Any) -> Any:
  whole = column.try_cast("int64")
  if column.type().is_integer():
    return whole
  # Casting alone would round 1.7, and make 7 of 007.
  if column.type().is_string():
    fits = column.re_search(_INTEGER)
  else:
    fits = column % 1 == 0
  return ibis.ifelse(fits, whole, ibis.null("int64"))


def _number(column: Any) -> Any:
  number = column.try_cast("float64")
  infinite = number.isnan() | number.isinf()
  return ibis.ifelse(infinite, ibis.null("float64"), number)


def _timestamp(column: Any) -> Any:
  time = column.try_cast("timestamp('UTC')").cast("timestamp(6)")
  fits = column.re_search(_ISO)
  return ibis.ifelse(fits, time, ibis.null("timestamp(6)"))
