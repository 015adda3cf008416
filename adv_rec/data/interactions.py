"""Any log of interactions -> filters, split, codes: the prepared format.

One implementation, in Ibis expressions, on DuckDB. Every choice that could
depend on the engine is fixed here: ids are sorted before they are numbered,
ties in time are broken by the item's id, and "random" is the order of an MD5
hash.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import ibis
import pyarrow as pa

from adv_rec.data import dataset, steps, values
from adv_rec.data import files as files_lib
from adv_rec.data.protocol import Protocol

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Source:
  """Where interactions come from, and what is known of users and items.

  Attributes:
    name: name of the dataset.
    parts: {"log": ...} for a log to split, else "train", "test" and maybe
      "validation"; each a `files.Files` or a table with the columns user,
      item and optionally time and value.
    users: table with the column id and features, or None. Only users with
      interactions are kept, except that a given split keeps all.
    items: the same for items.
    origin: what to record of the source: files, package, licence.
  """

  name: str
  parts: Mapping[str, files_lib.Files | pa.Table]
  users: pa.Table | None = None
  items: pa.Table | None = None
  origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def prepare(
  source: Source,
  protocol: Protocol,
  directory: dataset.Path,
  progress: Callable[[str], None] = _logger.info,
) -> dataset.Dataset:
  """Filters, splits, numbers and writes a log.

  Args:
    source: from `sources`, or made by hand.
    protocol: what to do.
    directory: where to write; see `dataset.write`.
    progress: receives one line a step, with the counts after it.

  Returns:
    The dataset, read back.

  Raises:
    ValueError: bad input, or nothing left to split; nothing is written.
    OSError: files missing, or no place to write to.
  """
  dataset.check_target(directory)
  _check_parts(source, protocol)
  with tempfile.TemporaryDirectory() as spill:
    con = ibis.duckdb.connect(temp_directory=spill)
    try:
      log, known, filters = _filter(con, source, protocol, progress)
      log = steps.materialise(con, _split(log, protocol))
      _check_split(source, protocol, log)
      # A given split keeps ids that only a feature table or a filtered row
      # names, since its candidates are part of the protocol.
      given = protocol.split == "given"
      users = _catalogue(con, source, "user", known if given else log, given)
      items = _catalogue(con, source, "item", known if given else log, given)
      parts = _parts(con, log, users, items)
      tables = [_table(catalogue) for catalogue in (users, items)]
    finally:
      con.disconnect()
  counts = dataset.write(
    directory,
    source.name,
    parts,
    *tables,
    protocol=protocol.in_effect() | {"source": dict(source.origin)},
    filters=filters,
  )
  progress(f"written to {os.fspath(directory)}: {_listed(counts)}")
  return dataset.load(directory)


def _check_parts(source: Source, protocol: Protocol) -> None:
  given = protocol.split == "given"
  names = set(source.parts)
  if names != {"log"} and not {"train", "test"} <= names <= set(dataset.PARTS):
    raise ValueError(
      f"{source.name} has the parts {sorted(names)}; a source has a log, or "
      "train and test and maybe validation"
    )
  if given == ("log" in names):
    raise ValueError(
      f"{source.name} is {'one log' if given else 'split already'}, which "
      f"does not go with split={protocol.split!r}"
    )
  if given and "validation" in names and protocol.validation_fraction:
    raise ValueError(
      f"{source.name} has a validation part; use validation_fraction=0"
    )


def _filter(
  con: Any,
  source: Source,
  protocol: Protocol,
  progress: Callable[[str], None],
) -> tuple[ibis.Table, ibis.Table, list[dict[str, Any]]]:
  """The filtered log, the log as it was read, and the counts of each step."""
  filters: list[dict[str, Any]] = []

  def record(step: str, log: ibis.Table) -> ibis.Table:
    log = steps.materialise(con, log)
    counts = steps.counts(log)
    if not counts["interactions"] and not filters:
      raise ValueError(f"{source.name} has no rows")
    if not counts["interactions"]:
      before = {k: n for k, n in filters[-1].items() if k != "step"}
      raise ValueError(
        f"{source.name}: nothing is left after the step {step!r}, before "
        f"which there were {_listed(before)}; ask for less"
      )
    filters.append({"step": step, **counts})
    progress(f"{step}: {_listed(counts)}")
    return log

  known = log = record("read", _read(con, source))
  for role in ("user", "item"):
    if filters[0][f"{role}s"] < 2:
      raise ValueError(
        f"{source.name} has a single {role}; a recommender needs at least two"
      )
  _check_roles(source, protocol, log)
  if protocol.min_value is not None:
    log = record(
      f"value >= {protocol.min_value:g}",
      log.filter(ibis._.value >= protocol.min_value),
    )
  if protocol.feedback == "first":
    log = record("first of each pair", steps.first_of_each_pair(log))
  if protocol.k_core > 1:
    log, rounds = steps.k_core(con, log, protocol.k_core)
    log = record(f"{protocol.k_core}-core in {rounds} rounds", log)
  return log, known, filters


def _read(con: Any, source: Source) -> ibis.Table:
  tables = {}
  for part, content in source.parts.items():
    if isinstance(content, files_lib.Files):
      table = files_lib.read(con, content)
    else:
      _check_table(f"{source.name}: {part}", content)
      table = ibis.memtable(content)
    tables[part] = table
  if "log" in tables:
    return tables["log"]
  schemas = {table.schema() for table in tables.values()}
  if len(schemas) > 1:
    raise ValueError(
      f"{source.name}: the parts have different columns or types: "
      + "; ".join(f"{p} {dict(t.schema())}" for p, t in tables.items())
    )
  return ibis.union(
    *(t.mutate(part=ibis.literal(p)) for p, t in tables.items())
  )


def _check_table(label: str, table: pa.Table) -> None:
  if not {"user", "item"} <= set(table.column_names) <= set(values.ROLES):
    raise ValueError(
      f"{label} needs the columns user, item and maybe time and value; it has "
      f"{', '.join(table.column_names)}"
    )
  for name in table.column_names:
    if count := table[name].null_count:
      raise ValueError(f"{label} has {count} rows without a {name}")


def _check_roles(source: Source, protocol: Protocol, log: ibis.Table) -> None:
  if (
    protocol.split in ("temporal", "leave_one_out")
    and "time" not in log.columns
  ):
    raise ValueError(
      f"{source.name}: the split {protocol.split!r} needs a time: say which "
      "column it is (time=COLUMN), or choose split='random'"
    )
  if protocol.min_value is not None and "value" not in log.columns:
    raise ValueError(
      f"{source.name}: min_value needs a value: say which column it is "
      "(value=COLUMN)"
    )


def _split(log: ibis.Table, protocol: Protocol) -> ibis.Table:
  if protocol.split != "given":
    return steps.split(
      log,
      protocol.split,
      protocol.test_fraction,
      protocol.validation_fraction,
      protocol.seed,
    )
  if protocol.validation_fraction:
    return steps.cut_validation(
      log, protocol.validation_fraction, protocol.seed
    )
  return log


def _check_split(source: Source, protocol: Protocol, log: ibis.Table) -> None:
  if protocol.split == "given":
    present = set(log.part.to_pyarrow().unique().to_pylist())
    if absent := {"train", "test"} - present:
      raise ValueError(f"{source.name}: {absent.pop()} has no rows")
    return
  users = log.group_by("user").aggregate(
    train=(log.part == "train").sum(), total=log.count()
  )
  short = users.filter(users.train == 0)
  count, fewest = (
    short.aggregate(n=short.count(), fewest=short.total.min())
    .to_pyarrow()
    .to_pylist()[0]
    .values()
  )
  if count:
    raise ValueError(
      f"{source.name}: the split {protocol.split!r} leaves {count:,} users "
      f"without a training row (the shortest has {fewest} interactions); use "
      f"a larger k_core (now {protocol.k_core}) or smaller fractions"
    )


def _catalogue(
  con: Any, source: Source, role: str, log: ibis.Table, all_ids: bool
) -> ibis.Table:
  """A temporary table of id, code and features, for users or items."""
  ids = log.select(id=log[role])
  features: pa.Table | None = getattr(source, f"{role}s")
  if features is None:
    table = ids.distinct()
  else:
    if len(features["id"].unique()) < len(features):
      raise ValueError(f"{source.name}: the table of {role}s has an id twice")
    known = ibis.memtable(features)
    if known.id.type() != ids.id.type():
      raise ValueError(
        f"{source.name}: the ids of {role}s are {ids.id.type()} in the log "
        f"and {known.id.type()} in the table of {role}s"
      )
    ids = ids.union(known.select("id")) if all_ids else ids
    table = ids.distinct().left_join(known, "id").drop("id_right")
  code = ibis.row_number().over(order_by="id").cast("int32")
  return steps.materialise(con, table.mutate(code=code))


def _parts(
  con: Any, log: ibis.Table, users: ibis.Table, items: ibis.Table
) -> dict[str, pa.Table]:
  """The rows of each part, with codes for ids."""
  coded = log.join(users.select(user="id", user_code="code"), "user")
  coded = coded.join(items.select(item="id", item_code="code"), "item")
  rest = [name for name in ("time", "value") if name in log.columns]
  coded = steps.materialise(
    con, coded.select("part", *rest, user="user_code", item="item_code")
  )
  return {
    part: coded.filter(coded.part == part).drop("part").to_pyarrow()
    for part in dataset.PARTS
  }


def _table(catalogue: ibis.Table) -> pa.Table:
  return catalogue.order_by("code").drop("code").to_pyarrow()


def _listed(counts: Mapping[str, int]) -> str:
  return ", ".join(
    f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items()
  )
