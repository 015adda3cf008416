"""What a card declares of the rows, and whether rows are so.

What is said is JSON, the part "table" of a card: of a table the columns and how
many values a number has, of a log of events what `data.declared_events` holds.
The rows of a folder are checked by it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from adv_rec.data import declared, declared_events
from adv_rec.data.declared_events import Declared
from adv_rec.data.tabular import Column, Schema
from adv_rec.data.values import EVENT_ROLES


class Declares(NamedTuple):
  """What rows must be.

  Attributes:
    types: column -> Arrow's type.
    check: raises ValueError where a table is not as declared.
  """

  types: dict[str, pa.DataType]
  check: Callable[[pa.Table], None]


def read(says: Mapping[str, Any]) -> Declares:
  """What `table` or `events` has said, or the part "table" of a card.

  Raises:
    KeyError, TypeError, ValueError, AttributeError: it declares no rows.
  """
  if "events" in says:
    names = [column["name"] for column in says["columns"]]
    given = declared_events.parse(says["events"])
    households = int(says["sequences"])
    found = declared_events.frame(given, names).table.schema
    return Declares(
      dict(zip(found.names, found.types, strict=True)),
      lambda made: declared_events.check(made, given, names, households),
    )
  schema = tuple(
    Column(**{**column, "categories": tuple(column["categories"])})
    for column in says["columns"]
  )
  return Declares(
    {column.name: pa.type_for_alias(column.type) for column in schema},
    _on_grid(schema, int(says["bins"])),
  )


def table(schema: Schema, bins: int) -> dict[str, Any]:
  """What is said of a table.

  Args:
    schema: of its rows.
    bins: values of a number, at most.
  """
  return {"bins": bins, "columns": [column._asdict() for column in schema]}


def events(
  given: Declared, names: Sequence[str], sequences: int
) -> dict[str, Any]:
  """What is said of a log of events.

  Args:
    given: what is declared of it.
    names: of its columns, in the order of `values.EVENT_ROLES`.
    sequences: whose events may be there.
  """
  types = declared_events.frame(given, list(names)).table.schema.types
  words = {
    "user": f"{sequences:,} made-up ones",
    "type": f"{len(given.kinds)} types",
    "category": f"{sum(map(len, given.kinds.values()))} pairs of type and"
    " category",
    "time": f"{given.first} to {given.last}",
    "amount": f"0 to {given.amounts[-1]:g}, {given.decimals} digits after the"
    " point",
  }
  return {
    "events": given._asdict(),
    "sequences": sequences,
    "columns": [
      {"name": name, "type": str(kind), "declared": words[role]}
      for name, kind, role in zip(names, types, EVENT_ROLES, strict=True)
    ],
  }


def _on_grid(schema: Schema, bins: int) -> Callable[[pa.Table], None]:
  def check(made: pa.Table) -> None:
    names = [column.name for column in schema]
    if made.column_names != names:
      raise ValueError(
        f"the rows have the columns {made.column_names}, the schema {names}"
      )
    snapped = declared.snapped(made, schema, bins)
    for name in made.column_names:
      if not snapped[name].combine_chunks().equals(made[name].combine_chunks()):
        raise ValueError(
          f"column {name!r} holds numbers that are not among the {bins} values"
          " between its declared bounds"
        )

  return check
