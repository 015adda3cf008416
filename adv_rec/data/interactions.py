"""Any log of interactions -> filters, split, codes: the prepared format.

One implementation, in Ibis expressions, on DuckDB or Spark (`engines`). Every
choice that could depend on the engine is fixed here: ids are sorted before
they are numbered, ties in time are broken by the item's id, and "random" is
the order of an MD5 hash.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ibis
import pyarrow as pa

from adv_rec.data import codes, dataset, engines, steps, values, writer
from adv_rec.data import files as files_lib
from adv_rec.data.engines import Engine
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
  engine: engines.Start = engines.duckdb,
  shards: int = 0,
) -> dataset.Dataset:
  """Filters, splits, numbers and writes a log.

  Args:
    source: from `sources`, or made by hand.
    protocol: what to do.
    directory: where to write; see `writer.write`.
    progress: receives one line a step and a file, with the counts after it.
    engine: starts what does the work; `engines.duckdb`, or
      `functools.partial(engines.spark, master)`. The result is the same.
    shards: files to write the train part in, for `shards.triples`; 0 for one
      file. Memory holds one shard at a time.

  Returns:
    The dataset, read back; with shards without its interactions.

  Raises:
    ValueError: bad input, or nothing left to split; nothing is written.
    OSError: files missing, or no place to write to.
  """
  writer.check_target(directory)
  _check_parts(source, protocol)
  with engine() as running:
    filters: list[dict[str, Any]] = []
    record = functools.partial(_record, source.name, filters, progress)
    known = _read(running, source)
    log = _filter(running, source, protocol, known, record, filters)
    log = _split(running, source, protocol, log, record)
    progress(f"split: {protocol.split}")
    # A given split keeps ids that only a feature table or a filtered row
    # names, since its candidates are part of the protocol.
    given = protocol.split == "given"
    users, items = (
      codes.catalogue(
        running, source.name, known if given else log, role, features, given
      )
      for role, features in (("user", source.users), ("item", source.items))
    )
    coded = codes.coded(running, log, users, items, shards)
    running.drop(log)
    counts = writer.write(
      directory,
      source.name,
      {
        stem: functools.partial(_fetch, progress, stem, rows)
        for stem, rows in codes.parts(running, coded, shards)
      },
      codes.features(running, users),
      codes.features(running, items),
      protocol=protocol.in_effect() | {"source": dict(source.origin)},
      filters=filters,
      shards=shards,
    )
  progress(f"written to {os.fspath(directory)}: {_listed(counts)}")
  return dataset.load(directory, shards=() if shards else None)


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


def _record(
  name: str,
  filters: list[dict[str, Any]],
  progress: Callable[[str], None],
  step: str,
  log: ibis.Table,
) -> None:
  """Adds the counts after a step to `filters`, and reports them."""
  counts = steps.counts(log)
  if not counts["interactions"] and not filters:
    raise ValueError(f"{name} has no rows")
  if not counts["interactions"]:
    before = {k: n for k, n in filters[-1].items() if k != "step"}
    raise ValueError(
      f"{name}: nothing is left after the step {step!r}, before which there "
      f"were {_listed(before)}; ask for less"
    )
  filters.append({"step": step, **counts})
  progress(f"{step}: {_listed(counts)}")


def _fetch(
  progress: Callable[[str], None], stem: str, rows: Callable[[], pa.Table]
) -> pa.Table:
  """The rows of a file, reported."""
  table = rows()
  progress(f"{stem}.parquet: {len(table):,} interactions")
  return table


def _filter(
  engine: Engine,
  source: Source,
  protocol: Protocol,
  known: ibis.Table,
  record: Callable[[str, ibis.Table], None],
  filters: Sequence[Mapping[str, Any]],
) -> ibis.Table:
  """The rows to split; `known`, the log as read, is kept for a given split.

  `filters` holds the counts of what was recorded last.
  """

  def follow(step: str, rows: ibis.Table) -> ibis.Table:
    rows = engine.materialise(rows)
    if log is not known or protocol.split != "given":
      engine.drop(log)
    record(step, rows)
    return rows

  log = known
  record("read", log)
  for role in ("user", "item"):
    if filters[-1][f"{role}s"] < 2:
      raise ValueError(
        f"{source.name} has a single {role}; a recommender needs at least two"
      )
  _check_roles(source, protocol, log)
  if protocol.min_value is not None:
    log = follow(
      f"value >= {protocol.min_value:g}",
      log.filter(ibis._.value >= protocol.min_value),
    )
  if protocol.feedback == "first":
    log = follow("first of each pair", steps.first_of_each_pair(log))
  if protocol.k_core > 1:
    core, rounds = steps.k_core(engine, log, protocol.k_core)
    engine.drop(log)  # never of a given split, which has no core
    log = core
    record(f"{protocol.k_core}-core in {rounds} rounds", log)
  return log


def _read(engine: Engine, source: Source) -> ibis.Table:
  tables = {}
  for part, content in source.parts.items():
    if isinstance(content, files_lib.Files):
      table = files_lib.read(engine, content)
    else:
      _check_table(f"{source.name}: {part}", content)
      table = engine.materialise(engine.table(content))
    tables[part] = table
  if "log" in tables:
    return tables["log"]
  schemas = {table.schema() for table in tables.values()}
  if len(schemas) > 1:
    raise ValueError(
      f"{source.name}: the parts have different columns or types: "
      + "; ".join(f"{p} {dict(t.schema())}" for p, t in tables.items())
    )
  return engine.materialise(
    ibis.union(*(t.mutate(part=ibis.literal(p)) for p, t in tables.items()))
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
  if protocol.split not in ("random", "given") and "time" not in log.columns:
    raise ValueError(
      f"{source.name}: the split {protocol.split!r} needs a time: say which "
      "column it is (time=COLUMN), or choose split='random'"
    )
  if protocol.min_value is not None and "value" not in log.columns:
    raise ValueError(
      f"{source.name}: min_value needs a value: say which column it is "
      "(value=COLUMN)"
    )


def _split(
  engine: Engine,
  source: Source,
  protocol: Protocol,
  log: ibis.Table,
  record: Callable[[str, ibis.Table], None],
) -> ibis.Table:
  """The log with its parts, checked."""
  fractions = protocol.test_fraction, protocol.validation_fraction
  if protocol.split != "given":
    draw = protocol.seed, protocol.known
    table = steps.split(log, protocol.split, *fractions, *draw)
  elif protocol.validation_fraction:
    table = steps.cut_validation(log, fractions[1], protocol.seed)
  else:
    table = log
  table = engine.materialise(table)
  if protocol.split != "given":
    engine.drop(log)
  if protocol.split == "temporal_global":
    _check_parts_have_rows(source, protocol, table)
    divided, table = table, engine.materialise(steps.of_train_users(table))
    engine.drop(divided)
    record("users with a train row", table)
  _check_split(source, protocol, table)
  return table


def _check_parts_have_rows(
  source: Source, protocol: Protocol, log: ibis.Table
) -> None:
  wanted = ["train", "test"]
  if protocol.split != "given" and protocol.validation_fraction:
    wanted.insert(1, "validation")
  present = log.part.value_counts().to_pyarrow()["part"].to_pylist()
  for part in wanted:
    if part not in present:
      times = "; too many rows share one time" * (protocol.split != "given")
      raise ValueError(f"{source.name}: {part} has no rows{times}")


def _check_split(source: Source, protocol: Protocol, log: ibis.Table) -> None:
  if protocol.split in ("given", "temporal_global", "new_users"):
    return _check_parts_have_rows(source, protocol, log)
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


def _listed(counts: Mapping[str, int]) -> str:
  return ", ".join(
    f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items()
  )
