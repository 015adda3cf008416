"""Numbers users and items: ids in a log -> codes 0 to U-1 and 0 to I-1."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import ibis
import pyarrow as pa

from adv_rec.data import dataset
from adv_rec.data.engines import Engine


def catalogue(
  engine: Engine,
  name: str,
  log: ibis.Table,
  role: str,
  features: pa.Table | None,
  all_ids: bool,
) -> ibis.Table:
  """A temporary table of id, code and features, for users or items.

  Args:
    engine: does the work.
    name: of the dataset, for messages.
    log: whose ids are numbered, in their order.
    role: "user" or "item".
    features: table with the column id and features, or None.
    all_ids: whether to number the ids that only `features` has, too.

  Raises:
    ValueError: an id comes twice in `features`, or is of another type there.
  """
  ids = log.select(id=log[role])
  if features is None:
    table = ids.distinct()
  else:
    if len(features["id"].unique()) < len(features):
      raise ValueError(f"{name}: the table of {role}s has an id twice")
    known = engine.table(features)
    if known.id.type() != ids.id.type():
      raise ValueError(
        f"{name}: the ids of {role}s are {ids.id.type()} in the log and "
        f"{known.id.type()} in the table of {role}s"
      )
    ids = ids.union(known.select("id")) if all_ids else ids
    table = ids.distinct().left_join(known, "id").drop("id_right")
  code = ibis.row_number().over(order_by="id").cast("int32")
  return engine.materialise(table.mutate(code=code))


def features(engine: Engine, catalogue: ibis.Table) -> pa.Table:
  """Ids and features of a catalogue; row n is code n."""
  return engine.collect(catalogue).sort_by("code").drop_columns("code")


def coded(
  engine: Engine,
  log: ibis.Table,
  users: ibis.Table,
  items: ibis.Table,
  shards: int,
) -> ibis.Table:
  """A temporary table of a split log's rows, with codes for ids.

  Instead of the part, the column file (int32) says where a row belongs: the
  position in `_stems(shards)`. Files are picked out one after another, and a
  small number is quick to look for.
  """
  table: Any = log.join(users.select(user="id", user_code="code"), "user")
  table = table.join(items.select(item="id", item_code="code"), "item")
  rest = [name for name in ("time", "value") if name in log.columns]
  stems = _stems(shards)
  first = table.user_code % shards if shards else ibis.literal(0)
  file = ibis.cases(
    *((table.part == p, stems.index(p)) for p in ("validation", "test")),
    else_=first,
  )
  return engine.materialise(
    table.select(
      *rest, user="user_code", item="item_code", file=file.cast("int32")
    )
  )


def parts(
  engine: Engine, coded: ibis.Table, shards: int
) -> Iterator[tuple[str, Callable[[], pa.Table]]]:
  """(name, rows) of each file of interactions; rows are fetched when called.

  Args:
    engine: does the work.
    coded: from `coded`.
    shards: files of the train part; see `dataset.stems`.
  """
  for number, stem in enumerate(_stems(shards)):
    mine = coded.filter(coded.file == number).drop("file")
    yield stem, functools.partial(engine.collect, mine)


def _stems(shards: int) -> list[str]:
  return [s for part in dataset.PARTS for s in dataset.stems(part, shards)]
