"""What private releases of a table share: rows as declared, ledger, result.

The unit is a row. What is public: the number of rows, the declared schema, the
config. Whatever is measured of a release is measured on real rows that were
kept back, as they are.
"""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from adv_rec.data import declared, tabular
from adv_rec.data.encoding import Encoded, Transform
from adv_rec.experiments import options
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.options import Config
from adv_rec.privacy import accounting, secret
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.ledger import EARLIER, Budget, Ledger


class Table(NamedTuple):
  """A table to be released.

  Attributes:
    train: the rows to learn from.
    holdout: those kept back.
    transform: how rows are encoded, by the schema alone.
    rows: the former, encoded.
  """

  train: pa.Table
  holdout: pa.Table
  transform: Transform
  rows: Encoded


def declare(config: Config) -> None:
  """Makes options of tables those of declared ones."""
  for name in ("columns", "max_categories", "rare"):
    del config.data[name]
  # What the table holds, written as data.tabular.save does and without a look
  # at its values; "": that of Adult.
  config.data.schema = ""
  config.data.bins = 32  # values of a number


def check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  options.one_of(("test", "validation"), config, "holdout")
  options.one_of(accounting.ACCOUNTANTS, config, "privacy.accountant")
  options.at_least(2, config, "data.bins")
  options.at_least(0, config, "evaluation.samples")
  options.above_zero(config, "data.test", "privacy.epsilon", "privacy.delta")
  if config.data.test >= 1 or config.privacy.delta >= 1:
    raise ValueError(
      f"config options data.test={config.data.test}, privacy.delta="
      f"{config.privacy.delta}: must be below 1"
    )


def read(config: Config, workdir: pathlib.Path) -> Table:
  """The rows of config.data, encoded by what is declared of them.

  Raises:
    ValueError: the table is not as declared.
  """
  schema = declared_schema(config)
  declares = config.copy_and_resolve_references()
  with declares.unlocked():
    declares.data.columns = tuple(column.name for column in schema)
  train, holdout, _ = tables._data(declares, workdir)
  snapped = declared.snapped(train, schema, config.data.bins)
  transform = declared.transform(schema, config.data.bins)
  rows = transform.encode(snapped, np.random.default_rng(0))
  return Table(train, holdout, transform, rows)


def target(config: Config, transform: Transform) -> int | None:
  """Which block of codes is config.target; None where it names none.

  Raises:
    ValueError: it is no category, or one that its schema knows one value of.
  """
  if not config.target:
    return None
  names = [p.column.name for p in transform.parts if p.cells > 1]
  if config.target not in names:
    raise ValueError(
      f"config option target={config.target}: its schema declares one category"
    )
  return names.index(config.target)


def declared_schema(config: Config) -> tabular.Schema:
  """What a private run knows of its table before it spends anything."""
  if config.data.schema:
    return tabular.load(pathlib.Path(config.data.schema))
  return declared.ADULT


def describe(config: Config, table: Table) -> dict[str, Any]:
  """The data, for result.json."""
  transform = table.transform
  return {
    "name": pathlib.Path(config.data.path).name or "adult",
    "counts": {
      "train": table.train.num_rows,
      config.holdout: table.holdout.num_rows,
      "columns": len(transform.parts),
      "width": sum(transform.sizes) + transform.numbers,
    },
    "protocol": {"holdout": config.holdout, "test": config.data.test},
    "fingerprint": tables._fingerprint(table.train, table.holdout),
  }


def ledger(config: Config, folder: pathlib.Path, unit: str = "row") -> Ledger:
  """That of a run, workdir/privacy/ledger.jsonl, with earlier spends."""
  p = config.privacy
  made = Ledger(
    folder / "ledger.jsonl", Budget(p.epsilon, p.delta, unit, p.accountant)
  )
  made.carry(p.earlier)
  return made


def earlier(ledger: Ledger) -> list[Gaussian]:
  """What runs before this one have spent on the same rows."""
  return [
    Gaussian(**line["gaussian"])
    for line in ledger.spends()
    if line["name"].startswith(EARLIER)
  ]


def measure(
  config: Config, workdir: pathlib.Path, table: Table, made: pa.Table
) -> dict[str, Any]:
  """Writes generated rows and measures them: entries of result.json."""
  tables.write(workdir / "synthetic.parquet", made)
  return tables._measured(config, table.train, table.holdout, made)


def finish(
  config: Config, workdir: pathlib.Path, table: Table, made: pa.Table
) -> dict[str, Any]:
  """`measure`, then says what was spent and destroys the secret.

  Returns:
    Entries of result.json, with "privacy": the budget and what was spent.
  """
  found = measure(config, workdir, table, made)
  folder = workdir / "privacy"
  found["privacy"] = spent(ledger(config, folder))
  found["metrics"][f"{config.holdout}/spent"] = found["privacy"]["spent"]
  secret.forget(folder / "secret")
  return found


def spent(ledger: Ledger) -> dict[str, Any]:
  """The budget and what was spent of it, for result.json."""
  return {
    **ledger.budget._asdict(),
    "spent": ledger.epsilon(),
    "spends": ledger.spends(),
  }
