"""Tables by what is declared of them, without a look at their values.

What a private generator knows of a table before it spends anything: the columns
and their categories, and bounds of the numbers, from a document or a form. A
schema that is inferred from the rows tells which values occur.

Numbers become one of few values, even between their bounds, so that all columns
are categories.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from adv_rec.data import tabular
from adv_rec.data.encoding import Code, Transform
from adv_rec.data.tabular import Column, Schema


def transform(schema: Schema, bins: int) -> Transform:
  """How rows are encoded: a cell for each category or value of the grid."""
  return Transform(
    tuple(
      Code(
        column,
        np.array(column.categories, dtype=object)
        if column.kind == "category"
        else grid(column, bins),
      )
      for column in schema
    )
  )


def grid(column: Column, bins: int) -> np.ndarray:
  """At most `bins` values from the least to the greatest of a number, sorted.

  Raises:
    ValueError: the column declares no bounds.
  """
  low, high = column.low, column.high
  if low is None or high is None or not low < high:
    raise ValueError(
      f"column {column.name!r} has no bounds; declare low and high in the"
      " schema, wide enough for any value there may be"
    )
  values = np.linspace(low, high, bins)
  return np.unique(np.rint(values)) if column.kind == "integer" else values


def snapped(table: pa.Table, schema: Schema, bins: int) -> pa.Table:
  """The declared columns, each number the nearest of its grid.

  Numbers beyond the bounds become the nearest bound.

  Raises:
    ValueError: a column is missing, or holds what its schema excludes.
  """
  columns = {}
  for column in schema:
    if column.name not in table.column_names:
      raise ValueError(
        f"the table has no column {column.name!r}, which its schema declares;"
        f" it has {', '.join(table.column_names)}"
      )
    values = table[column.name]
    if column.kind != "category":
      absent, found = tabular.missing(values), tabular.numbers(values)
      found[absent] = column.low
      levels = grid(column, bins)
      nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, found)]
      kind = pa.type_for_alias(column.type)
      values = pa.chunked_array([pa.array(nearest, mask=absent).cast(kind)])
    columns[column.name] = values
  made = pa.table(columns)
  tabular.check(made, schema)
  return made


def made_up(schema: Schema, rows: int, seed: int, narrow: bool) -> pa.Table:
  """Rows that are nobody's, valid in a schema.

  Args:
    schema: with bounds.
    rows: how many.
    seed: of the draw.
    narrow: whether only the first half of the categories and the lower half of
      the numbers occur, and no value is missing; otherwise each is as likely
      as any other, and a tenth are missing where some may.
  """
  rng = np.random.default_rng([seed])
  columns = {}
  for column in schema:
    absent = (rng.random(rows) < 0.1) & column.nulls & (not narrow)
    if column.kind == "category":
      num = len(column.categories)
      cells = rng.integers(0, max(num // 2, 1) if narrow else num, rows)
      values = np.array(column.categories, dtype=object)[cells]
    else:
      low, high = grid(column, 2)
      values = rng.uniform(low, (low + high) / 2 if narrow else high, rows)
      values = np.rint(values) if column.kind == "integer" else values
    kind = pa.type_for_alias(column.type)
    columns[column.name] = pa.array(values, mask=absent).cast(kind)
  return pa.table(columns)


def _words(text: str) -> tuple[str, ...]:
  return tuple(sorted(f" {word}" for word in text.split()))


def _number(name: str, low: int, high: int) -> Column:
  return Column(name, "integer", "int64", low=low, high=high)


def _category(name: str, text: str) -> Column:
  return Column(name, "category", "string", categories=_words(text))


# Categories as the documentation of the data set lists them (adult.names; a
# space comes before each value in the file), bounds by what the words mean.
ADULT: Schema = (
  _number("age", 0, 99),
  _category(
    "workclass",
    "? Federal-gov Local-gov Never-worked Private Self-emp-inc Self-emp-not-inc"
    " State-gov Without-pay",
  ),
  _category(
    "education",
    "10th 11th 12th 1st-4th 5th-6th 7th-8th 9th Assoc-acdm Assoc-voc Bachelors"
    " Doctorate HS-grad Masters Preschool Prof-school Some-college",
  ),
  _number("education-num", 1, 16),
  _category(
    "marital-status",
    "Divorced Married-AF-spouse Married-civ-spouse Married-spouse-absent"
    " Never-married Separated Widowed",
  ),
  _category(
    "occupation",
    "? Adm-clerical Armed-Forces Craft-repair Exec-managerial Farming-fishing"
    " Handlers-cleaners Machine-op-inspct Other-service Priv-house-serv"
    " Prof-specialty Protective-serv Sales Tech-support Transport-moving",
  ),
  _category(
    "relationship",
    "Husband Not-in-family Other-relative Own-child Unmarried Wife",
  ),
  _category("race", "Amer-Indian-Eskimo Asian-Pac-Islander Black Other White"),
  _category("sex", "Female Male"),
  _number("capital-gain", 0, 99_999),
  _number("capital-loss", 0, 4_999),
  _number("hours-per-week", 0, 99),
  _category(
    "native-country",
    "? Cambodia Canada China Columbia Cuba Dominican-Republic Ecuador"
    " El-Salvador England France Germany Greece Guatemala Haiti"
    " Holand-Netherlands Honduras Hong Hungary India Iran Ireland Italy Jamaica"
    " Japan Laos Mexico Nicaragua Outlying-US(Guam-USVI-etc) Peru Philippines"
    " Poland Portugal Puerto-Rico Scotland South Taiwan Thailand"
    " Trinadad&Tobago United-States Vietnam Yugoslavia",
  ),
  _category("income", "<=50K >50K"),
)
