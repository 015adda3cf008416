"""A portrait of one user, or of one item, from the workdir of a run.

The run is of configs/portraits/demographics.py. Tastes, products and items need
the purchases of The Complete Journey; of a table of one's own there are the
segment, the prediction and what explains it.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans

from adv_rec.data import behaviour, portraits, shopping
from adv_rec.data.portraits import Portraits
from adv_rec.experiments import experiment, explain
from adv_rec.experiments.answers import Rows
from adv_rec.experiments.classify import Task, best
from adv_rec.experiments.portraits import log_chances
from adv_rec.types import Params

SEGMENTS = 6
_MOST = 8  # of anything that is listed


def user(workdir: pathlib.Path, asked: str) -> dict[str, Any]:
  """What a customer is like.

  Args:
    workdir: of a run.
    asked: its id.

  Returns:
    What `report.portrait` shows.

  Raises:
    FileNotFoundError: no run there.
    ValueError: another kind of run, or no such customer.
  """
  data, task, params, seed = _open(workdir)
  at = _place(data, asked)
  rows = _scaled(task, data)
  segments, typical = _segments(rows["value"])
  others = {"value": rows["value"][data.label >= 0]}
  order = np.random.default_rng(0).permutation(len(others["value"]))
  made = explain.of_row(
    task,
    params,
    {"value": rows["value"][at : at + 1]},
    {"value": others["value"][order[:32]]},
    ("integrated_gradients",),
    "others",
  )
  fold = portraits.fold(data.label, seed)
  known = data.label[at]
  found = {
    "kind": "user",
    "id": asked,
    "data": data.name,
    "part": next(part for part, own in fold.items() if at in own),
    "known": None if known < 0 else data.classes[known],
    "prediction": made,
    "segment": {
      "number": int(segments[at]) + 1,
      "share": float(np.mean(segments == segments[at])),
      "typical": _typical(data, typical[segments[at]]),
    },
    "unusual": _typical(data, rows["value"][at]),
  }
  if (purchases := _purchases(data)) is not None:
    household = int(data.ids[at])
    values = made["methods"]["integrated_gradients"]["values"]
    reasons = [
      (name, value)
      for name, value in zip(made["names"], values, strict=True)
      if value > 0
    ]
    named = {str(n).capitalize(): n for n in _categories(purchases)}
    reasons = sorted(reasons, key=lambda one: -one[1])
    found["tastes"] = shopping.tastes(purchases, household, _MOST)
    found["purchases"] = [
      {"name": name, "value": value, "products": products}
      for name, value in reasons
      if name in named
      and (products := shopping.bought(purchases, household, named[name]))
    ][:_MOST]
  return found


def item(workdir: pathlib.Path, asked: str) -> dict[str, Any]:
  """Who buys an item, and what they are like.

  Args:
    workdir: of a run on The Complete Journey.
    asked: its id.

  Returns:
    What `report.portrait` shows.

  Raises:
    FileNotFoundError: no run there, or the purchases are not here.
    ValueError: another kind of run, or nobody bought it.
  """
  data, task, params, _ = _open(workdir)
  purchases = _purchases(data)
  if purchases is None:
    raise ValueError(
      f"{workdir} is a run on a table of customers, without purchases: it has"
      " no items to portray"
    )
  if not asked.isdecimal():
    raise ValueError(f"item {asked!r}: the ids of products are whole numbers")
  about = shopping.product(purchases, int(asked))
  rows = _scaled(task, data)
  segments, typical = _segments(rows["value"])
  buys = np.isin(data.ids, about["buyers"])
  chance = _chances(task, params, rows)
  return {
    "kind": "item",
    "id": asked,
    "data": data.name,
    **about,
    "buyers": len(about["buyers"]),
    "portrayed": int(buys.sum()),
    "classes": [
      {
        "name": name,
        "share": float(chance[buys, c].mean()) if buys.any() else None,
        "error": float(chance[buys, c].std() / buys.sum() ** 0.5)
        if buys.any()
        else None,
        "usual": float(chance[:, c].mean()),
      }
      for c, name in enumerate(data.classes)
    ],
    "segments": [
      {
        "number": s + 1,
        "share": float(np.mean(segments[buys] == s)) if buys.any() else None,
        "usual": float(np.mean(segments == s)),
        "typical": _typical(data, typical[s], 3),
      }
      for s in range(SEGMENTS)
    ],
    "beside": shopping.beside(purchases, about["buyers"], _MOST),
  }


def _open(workdir: pathlib.Path) -> tuple[Portraits, Task, Params, int]:
  found, state = experiment.restore(workdir, robustness=())
  config = json.loads((workdir / "config.json").read_text("utf-8"))
  if not config["experiment"].endswith("portraits.demographics"):
    raise ValueError(
      f"{workdir} is a run of {config['title']}; portraits are made of runs of"
      " configs/portraits/demographics.py"
    )
  if found.task is None:
    raise ValueError(
      f"{workdir} is a run of model.kind={config['model']['kind']}, a baseline"
      " that is not kept; portraits need model.kind=mlp"
    )
  data = portraits.load(workdir / "data")
  return data, found.task, best(state), config["seed"]


def _place(data: Portraits, asked: str) -> int:
  ids = [str(one) for one in data.ids]
  if asked not in ids:
    raise ValueError(
      f"user {asked!r} is not among the {len(ids)} customers of the run, such"
      f" as {', '.join(ids[:3])}"
    )
  return ids.index(asked)


def _scaled(task: Task, data: Portraits) -> Rows:
  return task.encode(
    [dict(zip(data.features, row, strict=True)) for row in data.values]
  )


def _chances(task: Task, params: Params, rows: Rows) -> np.ndarray:
  batch = {name: jnp.asarray(x) for name, x in rows.items()}
  inputs = task.predictor.lookup(params, batch)
  logits = task.predictor.logits(params, batch, inputs, None)
  return np.exp(np.asarray(log_chances(np.asarray(logits))))


def _segments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Groups of like customers [N], the largest first; and their means."""
  found = KMeans(min(SEGMENTS, len(values)), n_init="auto", random_state=0)
  codes = found.fit_predict(values)
  order = np.argsort(-np.bincount(codes), kind="stable")
  rank = np.empty(len(order), int)
  rank[order] = np.arange(len(order))
  return rank[codes], found.cluster_centers_[order]


def _typical(
  data: Portraits, deviations: np.ndarray, most: int = _MOST
) -> list[dict[str, Any]]:
  """The features furthest from the mean: {"name", "deviations"}."""
  order = np.argsort(-np.abs(deviations), kind="stable")[:most]
  return [
    {"name": data.features[i], "deviations": float(deviations[i])}
    for i in order
  ]


def _purchases(data: Portraits):
  if data.name != portraits.HOUSEHOLDS:
    return None
  return behaviour.read_purchases(None)


def _categories(purchases) -> list[str]:
  names = purchases["product_category"].unique().to_pylist()
  return [name for name in names if name is not None]
