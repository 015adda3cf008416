"""Recommendations for raw ids, from the workdir of a run alone."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.data import content
from adv_rec.data import dataset as prepared
from adv_rec.data.dataset import PARTS, Dataset
from adv_rec.evaluation import explanations, ranking
from adv_rec.experiments import experiment
from adv_rec.models.closed_form import popularity_scorer
from adv_rec.types import Scorer

_FEATURES = ("title", "category")  # of items, shown where they are known
_USERS_AT_ONCE = 64  # a scorer may have as many dimensions as items


def recommend(
  workdir: pathlib.Path,
  users: Sequence[str],
  n: int = 10,
  keep_history: bool = False,
) -> list[dict[str, Any]]:
  """The n best items of each user.

  Whoever the model was fitted without is answered by popularity: the items
  that most users have in the data that the model was fitted on.

  Args:
    workdir: of a run.
    users: raw ids, as text.
    n: length of the lists; shorter where fewer items are left.
    keep_history: whether items that the user has, in any part of the data,
      may be recommended again.

  Returns:
    One dict a recommendation, in the order of `users`, best first: "user",
    "rank" (from 1), "item", "score" (of popularity: how many have it), "source"
    ("model" or "popularity"), and "title", "category" if the data has them.

  Raises:
    FileNotFoundError: the workdir holds no trained run.
    ValueError: the run does not recommend, n is not positive, or an id is not
      a whole number where all others are.
  """
  if n < 1:
    raise ValueError(f"n is {n}: ask for at least 1 item")
  found, state = experiment.restore(workdir, robustness=())
  if found.scorer is None:
    raise ValueError(f"{workdir} is a run that recommends nothing")
  data = prepared.load(workdir / "data")
  codes = _codes(data, users)
  fitted = data.history(*found.dataset["protocol"]["fit"].split("+"))
  known = np.flatnonzero(np.diff(fitted[0]))
  modelled = np.isin(codes, known)
  history = None
  if not keep_history and data.protocol.get("mask") != "none":
    indptr, items = data.history(*PARTS)
    history = np.append(indptr, len(items)), items  # of unknown users: none

  by_model = _lists(found.scorer(state), codes[modelled], history, n)
  counts = np.bincount(fitted[1], minlength=data.num_items)
  popularity = popularity_scorer({"counts": jnp.asarray(counts, jnp.float32)})
  by_count = _lists(popularity, codes[~modelled], history, n)

  rows = []
  for user, code, mine in zip(users, codes, modelled, strict=True):
    items, scores = next(by_model if mine else by_count)
    raw = data.users["id"][code] if code < data.num_users else user
    source = "model" if mine else "popularity"
    for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1):
      rows.append(
        {
          "user": _plain(raw),
          "rank": rank,
          "item": _plain(data.items["id"][item]),
          "score": round(float(score), 6),
          "source": source,
          **_features(data.items, item),
        }
      )
  return rows


def why(
  workdir: pathlib.Path, user: str, n: int = 10, most: int = 3
) -> list[dict[str, Any]]:
  """A user's recommendations, each with the items of its history behind it.

  Args:
    workdir: of a run whose scores are products of users and items.
    user: raw id, as text.
    n: length of the list.
    most: items of the history for each; see `explanations.by_history`.

  Returns:
    What `recommend` returns, with "because": "item", "share" of the score, and
    the features; and "explained", the share that the whole history adds.

  Raises:
    FileNotFoundError: the workdir holds no trained run.
    ValueError: as `recommend`; or a model that knows no such user, or scores
      users without keys of items.
  """
  rows = recommend(workdir, [user], n)
  found, state = experiment.restore(workdir, robustness=())
  assert found.scorer is not None
  scorer = found.scorer(state)
  if scorer.keys is None or not rows or rows[0]["source"] != "model":
    reason = "no keys of items" if scorer.keys is None else f"no user {user}"
    raise ValueError(
      f"{workdir}: the model has {reason}, so that no item of a history can be"
      " said to explain what it recommends"
    )
  data = prepared.load(workdir / "data")
  code = _codes(data, [user])
  indptr, items = data.history(*found.dataset["protocol"]["fit"].split("+"))
  history = items[indptr[code[0]] : indptr[code[0] + 1]]
  keys = np.asarray(scorer.keys, np.float64)
  query = np.asarray(scorer.queries(jnp.asarray(code)), np.float64)[0]
  place = {_plain(raw): i for i, raw in enumerate(data.items["id"])}
  for row in rows:
    item = place[row["item"]]
    parts = explanations.by_history(query, keys[history], keys[item]).values
    score = max(abs(float(query @ keys[item])), 1e-12)
    row["explained"] = float(parts.sum()) / score
    row["because"] = [
      {
        "item": _plain(data.items["id"][history[i]]),
        "share": float(parts[i]) / score,
        **_features(data.items, history[i]),
      }
      for i in map(int, np.argsort(-parts, kind="stable")[:most])
    ]
  return rows


def new_items(
  workdir: pathlib.Path, table: pathlib.Path, n: int = 10, column: str = "id"
) -> list[dict[str, Any]]:
  """The n users who would like each of some new items best.

  Args:
    workdir: of a run that knows items by their content, see configs/cold/.
    table: CSV or Parquet file of the items: ids and columns of content, named
      as those that the run was trained on.
    n: users for each item.
    column: that holds the ids.

  Returns:
    One dict a pair, in the order of the table, best first: "item", "rank"
    (from 1), "user", "score".

  Raises:
    FileNotFoundError: the workdir holds no trained run, or there is no table.
    ValueError: the run knows nothing of content, n is not positive, or the
      table lacks a column of the run's.
  """
  if n < 1:
    raise ValueError(f"n is {n}: ask for at least 1 user")
  items = content.read(table, column)
  found, state = experiment.restore(workdir, robustness=())
  if found.new_items is None:
    raise ValueError(
      f"{workdir} is a run that knows items by their id alone; for new items"
      " train one of configs/cold/"
    )
  scorer = found.new_items(state, content.columns(items))
  users = prepared.load(workdir / "data").users["id"]
  scores = np.concatenate(
    [
      np.asarray(_all_scores(scorer, np.arange(start, stop)))
      for start, stop in itertools.pairwise(
        [*range(0, len(users), _USERS_AT_ONCE), len(users)]
      )
    ]
  )
  best = np.argsort(-scores, axis=0, kind="stable")[:n]
  return [
    {
      "item": raw,
      "rank": rank,
      "user": _plain(users[user]),
      "score": round(float(scores[user, place]), 6),
    }
    for place, raw in enumerate(items["id"].to_pylist())
    for rank, user in enumerate(best[:, place], 1)
  ]


def _all_scores(scorer: Scorer, users: np.ndarray) -> jax.Array:
  """Of all items of a scorer with keys. [B] -> [B, n]."""
  assert scorer.keys is not None
  queries = scorer.queries(jnp.asarray(users))
  return jnp.matmul(queries, scorer.keys.T, precision="highest")


def _codes(data: Dataset, users: Sequence[str]) -> np.ndarray:
  """Codes of raw ids given as text; the number of users for unknown ones."""
  ids = data.users["id"]
  if np.issubdtype(ids.dtype, np.integer):
    for user in users:
      if not user.removeprefix("-").isdecimal():
        raise ValueError(
          f"user {user!r}: the users of this run are whole numbers, such as"
          f" {ids[0]}"
        )
    users = [str(int(user)) for user in users]
  known = {str(raw): code for code, raw in enumerate(ids.tolist())}
  return np.array([known.get(user, len(ids)) for user in users], int)


def _lists(
  scorer: Scorer, codes: np.ndarray, history: ranking.Csr | None, n: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields items and scores of each user, best first."""
  for start in range(0, len(codes), _USERS_AT_ONCE):
    users = codes[start : start + _USERS_AT_ONCE]
    n = min(n, scorer.num_items)
    lists = ranking.top_k(scorer, users, history, None, n).items
    scores = scorer.scores(jnp.asarray(users), jnp.maximum(lists, 0))
    for items, values in zip(lists, np.asarray(scores), strict=True):
      there = items >= 0  # nothing else is left to recommend
      yield items[there], values[there]


def _features(items: Mapping[str, np.ndarray], item: int) -> dict[str, Any]:
  return {
    name: _plain(items[name][item]) for name in _FEATURES if name in items
  }


def _plain(value: Any) -> Any:
  """A value of numpy as JSON knows it."""
  return value.item() if isinstance(value, np.generic) else value
