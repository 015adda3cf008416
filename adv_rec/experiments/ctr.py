"""Clicks and other answers of yes or no, from rows of fields."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import atomic, ctr, examples, fields
from adv_rec.data.examples import Examples
from adv_rec.data.fields import Column, Fields
from adv_rec.evaluation import pointwise
from adv_rec.experiments import classify, experiment, options
from adv_rec.experiments.answers import Rows
from adv_rec.experiments.classify import Task
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.models import ctr as models
from adv_rec.models.ctr import Layout
from adv_rec.training import parallel
from adv_rec.types import Predictor

KINDS = ("logistic", "fm", "dnn", "deepfm", "dcn_v2", "din")
CLASSES = ("no", "yes")


def clicks_config() -> Config:
  """The default config."""
  config = classify.classify_config()
  config.experiment = "adv_rec.experiments.ctr.clicks"
  config.dataset = "frappe"  # or movielens_100k, retail; "": data.path
  config.data.update(
    {
      "prepared": "",  # the folder data/ of another run
      "columns": {  # of rows of your own
        "label": "label",  # 0 and 1
        "categories": "",  # names with + between them: user+item+city
        "numbers": "",
        "lists": "",  # several categories a row: a|b|c
        "texts": "",
        "history": "",  # a list of what the user had before ...
        "candidate": "",  # ... of the values of this category
        "group": "",  # rows to rank among themselves, such as the user's
        "time": "",  # the last rows are the test; else it is at random
        "part": "",  # or this column says: train, validation, test
      },
      "length": 20,  # values that are kept of a list or text
      "validation": 0.1,  # shares of your own rows
      "test": 0.1,
      "minimum": 1,  # times that a value must occur, or it is unknown
    }
  )
  config.model = {
    "kind": "deepfm",  # see KINDS
    "dim": 16,
    "scale": 0.01,
    "hidden": (128, 64),
    "dropout": 0.0,
    "crosses": 2,  # of dcn_v2
    "attention": 36,  # hidden units, of din
  }
  # Chosen on the validation part of Frappe.
  config.learning_rate = 0.03
  config.l2 = 0.003
  config.batch_size = 4096
  config.epochs = 8
  config.attack.epsilon = 0.05
  config.attack.relative = True
  config.evaluation.block = 4096
  return config


def clicks(config: Config, workdir: pathlib.Path) -> Experiment:
  """A model of clicks, attacked or not."""
  _check(config)
  table, known, meta = open_data(config, workdir)
  groups = table[examples.GROUP].combine_chunks().dictionary_encode().indices
  table = table.set_column(
    table.schema.get_field_index(examples.GROUP),
    examples.GROUP,
    groups.fill_null(-1),
  )
  parts = {
    part: rows_of(examples.rows(table, part), known) for part in examples.PARTS
  }
  kept = tuple(meta["kept"])

  def measures(logits: np.ndarray, rows: Rows) -> dict[str, float]:
    return pointwise.scores(rows["label"], logits, rows["group"], kept)

  task = Task(
    parts=parts,
    predictor=make_predictor(config, known),
    classes=CLASSES,
    measures=measures,
    watch="auc",
    dataset={
      "name": meta["name"],
      "counts": {
        **{part: len(rows["label"]) for part, rows in parts.items()},
        "fields": len(known),
        "values": fields.total(known),
      },
      "protocol": {
        "minimum": config.data.minimum,
        "kept": list(kept),
        "positive": round(float(table[examples.LABEL].to_numpy().mean()), 4),
      },
      "fingerprint": _fingerprint(parts),
    },
    encode=lambda raw: fields.encode(as_table(raw), known),
    names=lambda rows: names(rows, known, config.model.kind == "din"),
  )
  return classify.classify_experiment(config, task)


def make_predictor(config: Config, known: Fields) -> Predictor:
  """The model of a config.

  Raises:
    ValueError: DIN on rows without a history.
  """
  model, hidden = config.model, tuple(config.model.hidden)
  widths = tuple(
    f.column.length if f.column.kind in ("list", "text") else 1 for f in known
  )
  layout = Layout(fields.total(known), widths)
  head: nn.Module
  if model.kind == "logistic":
    head = models.Logistic()
  elif model.kind == "fm":
    head = models.FM(model.dropout)
  elif model.kind == "dnn":
    head = models.DNN(hidden, model.dropout)
  elif model.kind == "deepfm":
    head = models.DeepFM(hidden, model.dropout)
  elif model.kind == "dcn_v2":
    head = models.DCNV2(hidden, model.crosses, model.dropout)
  else:
    history, candidate = _history(known)
    layout = layout._replace(history=(history, candidate))
    target = candidate - (history < candidate)
    head = models.DIN(target, hidden, model.attention, model.dropout)
  dim = 0 if model.kind == "logistic" else model.dim
  return models.predictor(layout, head, dim, model.scale)


def open_data(
  config: Config, workdir: pathlib.Path
) -> tuple[pa.Table, Fields, Mapping[str, Any]]:
  """The examples of a workdir, made on the first call.

  Args:
    config: with "dataset" and "data".
    workdir: gets the folder data/, so that it needs nothing else later.

  Returns:
    (table with "label", "part", "group" and the columns; what training knows
    of the columns; {"name", "kept"}).
  """
  folder = workdir / "data"

  def prepare() -> None:
    if folder.is_dir():
      return
    if config.data.prepared:
      source = pathlib.Path(config.data.prepared)
      if not (source / "fields.json").is_file():
        raise FileNotFoundError(
          f"{source} is no folder data/ of a run of clicks"
        )

      def copy(new: pathlib.Path) -> None:
        shutil.copytree(source, new, dirs_exist_ok=True)

      atomic.replace(folder, copy)
      return
    found = _find(config)
    known = fields.fit(
      examples.rows(found.table, "train"), found.columns, config.data.minimum
    )

    def fill(new: pathlib.Path) -> None:
      pq.write_table(found.table, new / "examples.parquet")
      fields.save(new / "fields.json", known)
      experiment.write_json(
        new / "examples.json", {"name": found.name, "kept": found.kept}
      )

    atomic.replace(folder, fill)

  parallel.on_one_process(prepare)
  return (
    pq.ParquetFile(folder / "examples.parquet").read(),
    fields.load(folder / "fields.json"),
    json.loads((folder / "examples.json").read_text()),
  )


def rows_of(table: pa.Table, known: Fields) -> dict[str, np.ndarray]:
  """Rows with a label, as models and measures take them."""
  return {
    **fields.encode(table, known),
    "label": table[examples.LABEL].to_numpy().astype(np.float32),
    "group": table[examples.GROUP].to_numpy().astype(np.int32),
  }


def as_table(raw: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
  """Raw rows as a table: one, or {column: value} of each row.

  Raises:
    ValueError: no rows, or values of one column that are of several types.
  """
  if isinstance(raw, pa.Table):
    return raw
  if not raw:
    raise ValueError("there are no rows to predict")
  try:
    return pa.Table.from_pylist([dict(row) for row in raw])
  except pa.ArrowException as error:
    text = " ".join(str(error).split())[:200]
    raise ValueError(f"the rows are no table: {text}") from error


def names(rows: Rows, known: Fields, history: bool) -> list[list[str]]:
  """What each input of each row is about: "item=apples".

  Args:
    rows: with "rows" and "weights".
    known: the fields.
    history: whether the entries of the history are inputs of their own.
  """
  labels = np.full(fields.total(known) + 1, "", object)
  for f in known:
    if f.rows:
      labels[f.first] = f"{f.column.name}=?"
      values = f.values or ("",)
      labels[f.first + 1 : f.first + f.rows] = [
        f"{f.column.name}={value}" if f.values else f.column.name
        for value in values
      ]
  apart = _history(known)[0] if history else -1
  found = [[] for _ in rows["rows"]]
  last: list[list[str]] = [[] for _ in rows["rows"]]
  start = 0
  for place, f in enumerate(known):
    width = f.column.length if f.column.kind in ("list", "text") else 1
    part = labels[rows["rows"][:, start : start + width]]
    start += width
    for n, entries in enumerate(part.tolist()):
      there = [entry for entry in entries if entry]
      if place == apart:
        last[n] = [f"{f.column.name}: {entry}" for entry in entries]
      elif f.column.of:
        found[n].append(f"{f.column.name}: {', '.join(there)}")
      else:
        found[n].append(", ".join(there))
  return [one + other for one, other in zip(found, last, strict=True)]


def _find(config: Config) -> Examples:
  data = config.data
  if config.dataset:
    return ctr.find(config.dataset, data.path or None)
  if not data.path:
    raise ValueError(
      "no data: name a dataset (dataset=...), or give data.path=FILE with"
      " data.columns.label=... and data.columns.categories=..."
    )
  columns, length = data.columns, data.length

  def wanted(kind: fields.Kind, named: str) -> list[Column]:
    own = filter(None, named.split("+"))
    return [Column(name, kind, length=length) for name in own]

  taken = [
    *wanted("category", columns.categories),
    *wanted("number", columns.numbers),
    *wanted("list", columns.lists),
    *wanted("text", columns.texts),
  ]
  if columns.history:
    of, name = columns.candidate, columns.history
    taken.append(Column(name, "list", of=of, length=length))
  return examples.own(
    data.path,
    taken,
    columns.label,
    columns.group,
    columns.time,
    columns.part,
    (data.validation, data.test),
  )


def _history(known: Fields) -> tuple[int, int]:
  """(a list of what was before, the category whose values it holds)."""
  place = {f.column.name: n for n, f in enumerate(known)}
  for n, f in enumerate(known):
    if f.column.of:
      return n, place[f.column.of]
  raise ValueError(
    "model.kind=din looks at a history, and these rows have none: name a"
    " column of lists, data.columns.history=..., and the category whose values"
    " it holds, data.columns.candidate=..."
  )


def _fingerprint(parts: Mapping[str, Rows]) -> str:
  digest = hashlib.sha256()
  for rows in parts.values():
    for name in sorted(rows):
      digest.update(rows[name].tobytes())
  return digest.hexdigest()[:16]


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  classify.check(config)
  options.one_of(KINDS, config, "model.kind")
  options.at_least(
    1, config, "model.dim", "model.crosses", "model.attention", "data.length",
    "data.minimum",
  )  # fmt: skip
  options.at_least(0, config, "model.dropout")
  options.above_zero(config, "model.scale", "data.validation", "data.test")
  if config.model.dropout >= 1:
    raise ValueError(
      f"config option model.dropout={config.model.dropout}: must be below 1"
    )
  if config.data.validation + config.data.test >= 1:
    raise ValueError("config options data.validation and data.test: shares")
  if not config.model.hidden or min(config.model.hidden) < 1:
    raise ValueError(
      f"config option model.hidden={tuple(config.model.hidden)}: sizes of at"
      " least one layer, as in (256,128)"
    )
