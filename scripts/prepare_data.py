r"""Turns purchases, ratings or clicks into a dataset that models train on.

A dataset that we know (--dataset; its usual filter and split are used):

  python scripts/prepare_data.py --dataset=completejourney --out=/tmp/retail

A log of your own, CSV or Parquet, one row an interaction (--path):

  python scripts/prepare_data.py --path=sales.csv --out=/tmp/sales \
    --columns=user=customer,item=sku,time=sold_at --k_core=5

--columns says which column holds what: user and item always, time unless the
split is random, value (a rating, a quantity) if there is one. A pattern such
as --path='logs/*.parquet' reads many files.

All purchases, the last weeks for test (--protocol), on Spark (--engine):

  python scripts/prepare_data.py --dataset=completejourney --protocol=repeat \
    --engine=spark --master=local[2] --out=/tmp/repeat

What is done: each user-item pair is kept once, at its first time (--feedback);
users and items with few interactions are removed (--k_core); each user's
latest interactions become the test part, those before them the validation
part (--split). The program prints what is left after each step, and writes
Parquet files and dataset.json to --out. Both engines write the same.
"""

from __future__ import annotations

import dataclasses
import functools

import cli
from absl import flags

from adv_rec.data import dataset, engines, interactions, protocol, sources

_DATASET = flags.DEFINE_string(
  "dataset", None, f"One of: {', '.join(sources.NAMES)}."
)
_PATH = flags.DEFINE_string(
  "path",
  None,
  "Your CSV or Parquet file, or a pattern in quotes. With --dataset: the "
  "folder that holds its files.",
)
_COLUMNS = flags.DEFINE_list(
  "columns",
  None,
  "Which column of your log is what: user=NAME,item=NAME,time=NAME,value=NAME.",
)
_OUT = flags.DEFINE_string("out", None, "Directory to write.")
_NAME = flags.DEFINE_string(
  "name", None, "Name of your dataset; by default that of the file."
)
_NAMED = flags.DEFINE_string(
  "protocol",
  "",
  "Settings to start from: first (something new, the default) or repeat "
  "(all purchases, the last weeks for test); the options below change them.",
)
_FEEDBACK = flags.DEFINE_enum(
  "feedback",
  None,
  protocol.FEEDBACK,
  "first: each user-item pair once, at its first time. all: every row.",
)
_MIN_VALUE = flags.DEFINE_float(
  "min_value", None, "Leave out rows whose value is smaller."
)
_K_CORE = flags.DEFINE_integer(
  "k_core",
  None,
  "Users and items keep at least this many interactions (10 for your own "
  "log); 0 keeps all.",
)
_SPLIT = flags.DEFINE_enum(
  "split",
  None,
  protocol.SPLITS,
  "temporal: each user's latest interactions are for test. temporal_global: "
  "the latest of all, one cut in time. leave_one_out: only each user's last "
  "one. random. new_users: of a share of the users all but the first few. "
  "given: the dataset comes split.",
)
_TEST_FRACTION = flags.DEFINE_float(
  "test_fraction",
  None,
  "Share of each user's interactions for test (temporal_global: of all; "
  "new_users: of the users).",
)
_VALIDATION_FRACTION = flags.DEFINE_float(
  "validation_fraction",
  None,
  "Share of what the test leaves for validation; 0 for none.",
)
_SEED = flags.DEFINE_integer(
  "seed", None, "Of the random split, and of who is a new user."
)
_KNOWN = flags.DEFINE_integer(
  "known", None, "Interactions of a new user to train on, for new_users."
)
_MASK = flags.DEFINE_enum(
  "mask",
  None,
  protocol.MASKS,
  "What evaluation leaves out of a user's ranking: the items of its history, "
  "or none, where what was bought may be bought again.",
)
_SHARDS = flags.DEFINE_integer(
  "shards",
  0,
  "Files to write the train part in, for logs larger than memory; 0 for one.",
)
_ENGINE = flags.DEFINE_enum(
  "engine", "duckdb", ("duckdb", "spark"), "What does the work."
)
_MASTER = flags.DEFINE_string(
  "master", None, "Where Spark runs: local[*] if not given, or a cluster's URL."
)
_MEMORY = flags.DEFINE_string(
  "memory", "", "What the engine may use, as 4g or 500m, before it uses disk."
)

_PROTOCOL = (
  _FEEDBACK,
  _MIN_VALUE,
  _K_CORE,
  _SPLIT,
  _TEST_FRACTION,
  _VALIDATION_FRACTION,
  _SEED,
  _KNOWN,
  _MASK,
)


def main() -> None:
  if not _OUT.value:
    raise ValueError("say where to write: --out=DIRECTORY")
  if _SHARDS.value < 0:
    raise ValueError(f"--shards={_SHARDS.value}: must not be negative")
  if _MASTER.value is not None and _ENGINE.value != "spark":
    raise ValueError("--master goes with --engine=spark")
  source = _source()
  changes = {f.name: f.value for f in _PROTOCOL if f.value is not None}
  default = sources.protocol(_DATASET.value or "", _NAMED.value)
  engine = functools.partial(engines.duckdb, _MEMORY.value)
  if _ENGINE.value == "spark":
    engine = functools.partial(
      engines.spark, _MASTER.value or "local[*]", _MEMORY.value
    )
  interactions.prepare(
    source,
    dataclasses.replace(default, **changes),
    _OUT.value,
    print,
    engine,
    _SHARDS.value,
  )
  description = dataset.describe(_OUT.value)
  print(f"\n{description['name']} in {_OUT.value}")
  for name in ("users", "items", *dataset.PARTS):
    print(f"  {name:<12}{description['counts'][name]:>14,}")


def _source() -> interactions.Source:
  if _DATASET.value is not None:
    if _COLUMNS.value is not None or _NAME.value is not None:
      raise ValueError("--columns and --name go with --path, not --dataset")
    return sources.find(_DATASET.value, _PATH.value)
  if _PATH.value is None:
    raise ValueError("say what to prepare: --dataset=NAME or --path=FILE")
  columns = {}
  for pair in _COLUMNS.value or ():
    role, equals, column = pair.partition("=")
    if not equals or not role or not column:
      raise ValueError(
        f"--columns: {pair!r} is not ROLE=COLUMN, such as user=customer"
      )
    if role in columns:
      raise ValueError(f"--columns names the {role} twice")
    columns[role] = column
  return sources.log(_PATH.value, columns, _NAME.value)


if __name__ == "__main__":
  cli.run(main)
