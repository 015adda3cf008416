"""A declared table as the subject of a release: the unit is a row."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import declared, tabular
from adv_rec.data.tabular import Schema
from adv_rec.experiments import experiment, released
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.release import declares, measured, rows
from adv_rec.release.claims import Claim
from adv_rec.release.subject import Options, Subject
from adv_rec.types import State

_AUDITED = 50_000  # rows of a table that are attacked and measured, at most
_REHEARSED = 20_000  # rows, at most
_SHOWN = 5000  # rows of a rehearsal
_LIMITS = (
  "The number of rows that were learnt from, the declared schema and the"
  " options of the run count as public.",
  "Noise comes from a generator of 64 bits a step and is rounded to 32 bits;"
  " the guarantee is that of exact noise.",
)


def subject(config: Config, options: Options) -> Subject:
  """The table of a private config, by its declared schema.

  Raises:
    ValueError: it is not as declared, or declares what must not be released.
  """
  schema, num, dropped = _checked(config, options.drop)

  def made_up(folder: pathlib.Path, name: str, narrow: bool) -> Config:
    path = folder / f"{name}.parquet"
    tabular.save(folder / "schema.json", schema)
    size = min(num, _REHEARSED)
    pq.write_table(declared.made_up(schema, size, 0, narrow), path)
    changed = config.copy_and_resolve_references()
    changed.data.path = str(path)
    changed.data.schema = str(folder / "schema.json")
    return changed

  def drawn(workdir: pathlib.Path, wanted: int):
    found, state = experiment.restore(workdir)
    assert found.sample is not None  # rehearsed
    draw = functools.partial(found.sample, state)
    return wanted, rows.drawn(draw, wanted, config.seed)

  def outside(
    path: pathlib.Path,
    workdir: pathlib.Path,
    result: Mapping[str, Any],
    claim: Claim,
  ) -> dict[str, Any]:
    del result  # measured anew, on the rows that are released
    return measured.outside(
      rows.table(path, _AUDITED),
      _real(config, schema, workdir, "train"),
      _real(config, schema, workdir, "holdout"),
      workdir / "release",
      config.target,
      (claim.epsilon, claim.budget.delta),
      options.attacks,
      options.confidence,
      config.seed,
    )

  path = pathlib.Path(config.data.path)
  return Subject(
    name=path.name.partition(".")[0] or config.name,
    units="rows",
    made_up=made_up,
    shown=_shown,
    declared=lambda workdir: declares.table(schema, config.data.bins),
    learnt=lambda result: int(result["dataset"]["counts"]["train"]),
    rows=drawn,
    outside=outside,
    free=_free(schema, dropped),
    limits=_LIMITS,
  )


def _shown(built: Experiment, state: State, workdir: pathlib.Path) -> pa.Table:
  del workdir
  if built.sample is None:
    raise ValueError("this experiment draws no rows: none can be released")
  return built.sample(state, _SHOWN, 0)


def _checked(
  config: Config, drop: Sequence[str]
) -> tuple[Schema, int, tuple[str, ...]]:
  """The declared schema, the number of rows, and columns that are left out."""
  schema = released.declared_schema(config)
  declared.transform(schema, config.data.bins)  # all numbers have bounds
  table = (
    tabular.read(config.data.path) if config.data.path else tabular.adult()
  )
  drop = (*drop, *config.get("release", {}).get("drop", ()))
  known = {column.name for column in schema}
  undeclared = tuple(n for n in table.column_names if n not in known)
  for name in undeclared:
    if name not in drop:
      raise ValueError(
        f"column {name!r} of the table is undeclared; declare it in the schema,"
        f" or leave it out by --drop={name}"
      )
  for column in schema:
    if len(column.categories) > table.num_rows // 2:
      raise ValueError(
        f"column {column.name!r} declares {len(column.categories)} categories"
        f" for {table.num_rows} rows: such ids must not be released; take it"
        " out of the schema"
      )
  declared.snapped(table, schema, config.data.bins)
  return schema, table.num_rows, undeclared


def _real(
  config: Config, schema: Schema, workdir: pathlib.Path, part: str
) -> pa.Table:
  """Rows of the owner on the declared grid, some of them if there are many."""
  whole = pq.ParquetFile(workdir / "data" / f"{part}.parquet").read()
  order = np.random.default_rng([config.seed]).permutation(whole.num_rows)
  some = whole.take(np.sort(order[:_AUDITED]))
  return declared.snapped(some, schema, config.data.bins)


def _free(schema: Schema, dropped: tuple[str, ...]) -> dict[str, str]:
  """What costs nothing, and why."""
  lists = sum(column.kind == "category" for column in schema)
  found = {
    "bounds": f"of {len(schema) - lists} numbers: declared, not read off rows;"
    " what lies beyond them becomes the nearest bound",
    "category lists": f"of {lists} columns: declared; a value that is not"
    " declared stops the run before anything is spent",
    "preprocessing": "a function of each row and the schema; two made-up tables"
    " became games of one size in the rehearsal",
  }
  if dropped:
    found["left out"] = f"the columns {', '.join(dropped)} were not learnt from"
  return found
