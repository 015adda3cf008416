"""How good a generated table is: what it is for, and column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

_MOST_CATEGORIES = 255  # that the classifier takes as such


def utility(
  train: pa.Table,
  test: pa.Table,
  target: str,
  seed: int,
  classifier: str = "boosting",
) -> float:
  """The AUC on one table of a classifier that has learnt from another.

  With a generated and a real table it is "train on synthetic, test on real"
  (Esteban et al. 2017, arXiv:1706.02633). Both classifiers are those of
  scikit-learn at their defaults: gradient boosting of histograms, or logistic
  regression on one-hot categories and standardised numbers.

  Args:
    train: learnt from.
    test: ranked; rows without a target are left out of both.
    target: a column of categories; of more than two, the mean of the AUCs of
      each against all others.
    seed: of the classifier.
    classifier: "boosting" or "logistic".

  Returns:
    0.5 where the training table has one category only.

  Raises:
    ValueError: the test table has one category only.
  """
  train, test = (t.filter(pc.is_valid(t[target])) for t in (train, test))
  truth = np.array(test[target].to_pylist(), dtype=object)
  classes = sorted(set(truth))
  if len(classes) < 2:
    raise ValueError(
      f"column {target!r} has one category in the rows to test on: no AUC"
    )
  learnt = np.array(train[target].to_pylist(), dtype=object)
  if len(set(learnt)) < 2:
    return 0.5
  features = [name for name in train.column_names if name != target]
  x, y, marks = _matrices(train, test, features)
  make = {"boosting": _boosting, "logistic": _logistic}[classifier]
  model = make(x, marks, seed).fit(x, learnt.astype(str))
  scores = dict(zip(model.classes_, model.predict_proba(y).T, strict=True))
  never = np.zeros(len(y))
  return float(
    np.mean(
      [roc_auc_score(truth == c, scores.get(str(c), never)) for c in classes]
    )
  )


def _boosting(x: np.ndarray, marks: list[bool], seed: int) -> Any:
  del x
  given: Any = marks  # its type, in scikit-learn, is that of its default
  return HistGradientBoostingClassifier(
    categorical_features=given, random_state=seed
  )


def _logistic(x: np.ndarray, marks: list[bool], seed: int) -> Any:
  """Missing numbers are the mean; a category not learnt of has no cell."""
  numbers = [i for i, mark in enumerate(marks) if not mark]
  present = [i for i in numbers if not np.isnan(x[:, i]).all()]
  return make_pipeline(
    ColumnTransformer(
      [
        ("number", make_pipeline(SimpleImputer(), StandardScaler()), present),
        (
          "category",
          OneHotEncoder(handle_unknown="ignore"),
          [i for i, mark in enumerate(marks) if mark],
        ),
      ]
    ),
    LogisticRegression(max_iter=1000, random_state=seed),
  )


def distances(real: pa.Table, fake: pa.Table) -> dict[str, dict[str, float]]:
  """How far each column is from the real one.

  Args:
    real: a table.
    fake: another of the same columns.

  Returns:
    Column -> "jensen_shannon" of categories, the distance with logarithms to
    base 2, from 0 to 1; of numbers "ks", the greatest difference of the two
    distribution functions, and "wasserstein", the area between them in units
    of the real numbers' range. Missing values count as a category; "missing"
    is the difference of their shares in numbers.
  """
  return {
    name: _number_distances(real[name], fake[name])
    if _is_number(real[name].type)
    else {"jensen_shannon": _jensen_shannon(real[name], fake[name])}
    for name in real.column_names
  }


def coverage(real: pa.Table, fake: pa.Table) -> float:
  """The share of the real categories, of all columns, that are generated."""
  there = total = 0
  for name in real.column_names:
    if not _is_number(real[name].type):
      known = set(pc.unique(real[name]).drop_null().to_pylist())
      there += len(known & set(pc.unique(fake[name]).to_pylist()))
      total += len(known)
  return there / total if total else 1.0


def quality(real: pa.Table, fake: pa.Table) -> tuple[dict[str, float], Any]:
  """`distances`, averaged over the columns, and `coverage`.

  Returns:
    (the averages by name, `distances` themselves).
  """
  columns = distances(real, fake)
  names = sorted({name for values in columns.values() for name in values})
  means = {
    name: float(np.mean([v[name] for v in columns.values() if name in v]))
    for name in names
  }
  return {**means, "coverage": coverage(real, fake)}, columns


def _is_number(kind: pa.DataType) -> bool:
  return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _floats(values: pa.ChunkedArray) -> np.ndarray:
  return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), float)


def _matrices(
  train: pa.Table, test: pa.Table, features: list[str]
) -> tuple[np.ndarray, np.ndarray, list[bool]]:
  """Both tables as [N, F], and which features are categories.

  A category of the test table that the other does not have is missing.
  """
  left, right, marks = [], [], []
  for name in features:
    if _is_number(train[name].type):
      left.append(_floats(train[name]))
      right.append(_floats(test[name]))
      marks.append(False)
      continue
    # By count, so that a tree may split even very many of them as numbers.
    counts = train[name].drop_null().value_counts().to_pylist()
    counts.sort(key=lambda entry: (-entry["counts"], str(entry["values"])))
    known = pa.array([entry["values"] for entry in counts], train[name].type)
    for table, out in ((train, left), (test, right)):
      code = pc.index_in(table[name], value_set=known, skip_nulls=True)
      out.append(_floats(code))
    marks.append(len(known) <= _MOST_CATEGORIES)
  return np.stack(left, axis=1), np.stack(right, axis=1), marks


def _jensen_shannon(real: pa.ChunkedArray, fake: pa.ChunkedArray) -> float:
  counts = [
    {e["values"]: e["counts"] for e in values.value_counts().to_pylist()}
    for values in (real, fake)
  ]
  keys = list({**counts[0], **counts[1]})
  p, q = (np.array([c.get(key, 0) for key in keys], float) for c in counts)
  p, q = p / p.sum(), q / q.sum()
  middle = (p + q) / 2

  def divergence(x):
    some = x > 0
    return np.sum(x[some] * np.log2(x[some] / middle[some]))

  return float(np.sqrt(max((divergence(p) + divergence(q)) / 2, 0.0)))


def _number_distances(
  real: pa.ChunkedArray, fake: pa.ChunkedArray
) -> dict[str, float]:
  x, y = _floats(real), _floats(fake)
  gone = abs(np.isnan(x).mean() - np.isnan(y).mean())
  x, y = np.sort(x[~np.isnan(x)]), np.sort(y[~np.isnan(y)])
  if not len(x) or not len(y):
    worst = float(len(x) != len(y))
    return {"ks": worst, "wasserstein": worst, "missing": float(gone)}
  at = np.union1d(x, y)
  gap = np.abs(
    np.searchsorted(x, at, "right") / len(x)
    - np.searchsorted(y, at, "right") / len(y)
  )
  area = np.sum(gap[:-1] * np.diff(at))
  scale = x[-1] - x[0] or 1.0
  return {
    "ks": float(gap.max()),
    "wasserstein": float(area / scale),
    "missing": float(gone),
  }
