"""What a trained classifier says of new raw rows, from its workdir alone."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from adv_rec.experiments import experiment
from adv_rec.experiments.answers import Apply
from adv_rec.experiments.classify import Task, best
from adv_rec.losses import pointwise


def predict(workdir: pathlib.Path, table: pa.Table) -> pa.Table:
  """Adds to rows the class of each, and the chances of all classes.

  Rows are encoded by what training knew: words, ids and categories that it
  never saw are unknown ones, which have a code of their own.

  Args:
    workdir: of a run of a classifier.
    table: raw rows, with the columns that the run was trained on; the label is
      not looked at.

  Returns:
    The table with "predicted" and, for each class, "chance CLASS".

  Raises:
    FileNotFoundError: the workdir holds no trained run.
    ValueError: a run that is no classifier, no rows, or a column is missing or
      taken.
  """
  found, state = experiment.restore(workdir, robustness=())
  if found.task is None:
    raise ValueError(
      f"{workdir} is no run of a classifier; choose a run of configs/ctr,"
      " configs/sentiment or configs/portraits"
    )
  task: Task = found.task
  if not table.num_rows:
    raise ValueError("there are no rows to predict")
  added = ["predicted", *(f"chance {name}" for name in task.classes)]
  if taken := [name for name in added if name in table.column_names]:
    raise ValueError(
      f"the rows have a column {taken[0]!r} already; rename or drop it"
    )
  apply = Apply(task.predictor, experiment.read_config(workdir))
  logits = apply.logits(best(state), task.encode(_raw(task, table)))
  chances = np.asarray(
    jax.nn.softmax(pointwise.classes(jnp.asarray(logits)), axis=1), np.float64
  )
  names = np.array([str(name) for name in task.classes])
  columns = [pa.array(names[chances.argmax(axis=1)])]
  columns += [pa.array(chances[:, c]) for c in range(len(names))]
  for name, values in zip(added, columns, strict=True):
    table = table.append_column(name, values)
  return table


def _raw(task: Task, table: pa.Table) -> pa.Table | list[str]:
  """What the task's `encode` takes."""
  if not task.text:
    return table
  if task.text not in table.column_names:
    raise ValueError(
      f"the rows have no column {task.text!r}; they have"
      f" {', '.join(table.column_names)}"
    )
  return [text or "" for text in table[task.text].cast(pa.string()).to_pylist()]
