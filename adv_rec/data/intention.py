"""Who buys in a category in a week, from the four weeks before: rows to learn.

A row is a (user, category, week) whose user did something in the four weeks
before. Everything that it knows was known when the week began.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from adv_rec.data import tabular
from adv_rec.data.events import Log

HISTORY = 4  # weeks that a row knows of


class Rows(NamedTuple):
  """Examples.

  Attributes:
    features: [N, F] float32: purchases in the category 1 .. 4 weeks before,
      days since the last of them (at most 28), ln(1 + amount) of them; moments
      of purchase 1 .. 4 weeks before; ln(1 + n) of the purchases in all
      categories and of the events of each other type; the category, one-hot.
    label: [N] bool, whether the user buys in the category in the week.
    user: [N] int.
    week: [N] int, 0 the first.
    category: [N] int.
  """

  features: np.ndarray
  label: np.ndarray
  user: np.ndarray
  week: np.ndarray
  category: np.ndarray

  def take(self, rows: np.ndarray) -> Rows:
    """Some rows, by [N] bool or by their numbers."""
    return Rows(*(x[rows] for x in self))


class Task(NamedTuple):
  """What is asked of each row.

  Attributes:
    bought: the type of event that is a purchase.
    others: the other types.
    categories: those asked for.
  """

  bought: Any
  others: tuple[Any, ...]
  categories: tuple[Any, ...]


def make_task(log: Log, bought: str, categories: int) -> Task:
  """The task on the categories that are bought most often.

  Raises:
    ValueError: nothing is of the type `bought`.
  """
  types = log.column("type")
  known = sorted(set(types.to_pylist()))
  named = {str(kind): kind for kind in known}
  if bought not in named:
    raise ValueError(
      f"no event has the type {bought!r}; there are {', '.join(named)}"
    )
  kept = tabular.codes(types, [named[bought]]) == 0
  counts = log.take(kept).column("category").value_counts().to_pylist()
  counts.sort(key=lambda entry: (-entry["counts"], str(entry["values"])))
  return Task(
    named[bought],
    tuple(kind for kind in known if str(kind) != bought),
    tuple(entry["values"] for entry in counts[:categories]),
  )


def calendar(
  log: Log, origin: float, weeks: Sequence[int] | np.ndarray, task: Task
) -> Rows:
  """Rows of some weeks of a calendar that begins at a time.

  Args:
    log: events; those in or after a week do not enter its features.
    origin: when week 0 begins.
    weeks: to predict, from 4 on.
    task: what is asked.
  """
  begin = np.full(log.num_users, origin, log.time.dtype)
  return _rows(log, begin, np.asarray(weeks), task, None)


def own_weeks(log: Log, task: Task) -> Rows:
  """Rows of all whole weeks of each user, counted from the first event.

  For generated sequences, which know no calendar and end somewhere: a week
  counts if events of the sequence come after it.
  """
  first = np.flatnonzero(np.diff(log.user, prepend=-1))
  last = np.append(first[1:], len(log.user)) - 1
  whole = (log.time[last] - log.time[first]) // (7 * log.day)
  weeks = np.arange(HISTORY, max(int(whole.max(initial=0)), HISTORY))
  return _rows(log, log.time[first], weeks, task, whole)


def _rows(
  log: Log,
  begin: np.ndarray,
  weeks: np.ndarray,
  task: Task,
  whole: np.ndarray | None,
) -> Rows:
  users, number = log.num_users, len(task.categories)
  last = int(weeks.max(initial=HISTORY)) + 1
  week = ((log.time - begin[log.user]) // (7 * log.day)).astype(int)
  inside = (week >= 0) & (week < last)
  user = log.user
  kind = tabular.codes(log.column("type"), [task.bought, *task.others])
  category = tabular.codes(log.column("category"), task.categories)

  def table(keep, *more: tuple[np.ndarray, int], values: Any = 1.0):
    keep = keep & inside
    made = np.zeros((users, last, *(size for _, size in more)), np.float32)
    columns = [codes[keep] for codes, _ in more]
    given = values[keep] if isinstance(values, np.ndarray) else values
    np.add.at(made, (user[keep], week[keep], *columns), given)
    return made

  bought, of_category = kind == 0, (category, number)
  asked = bought & (category >= 0)
  counts = table(asked, of_category)
  amounts = table(asked, of_category, values=np.maximum(log.amount, 0.0))
  moments = table(_first_purchases(user, log.time, bought))
  every = table(bought)
  other = [table(kind == i + 1) for i in range(len(task.others))]
  # Days from the start of the calendar to the last purchase in each week.
  since = (log.time - begin[user]) / log.day
  latest = np.full((users, last, number), -np.inf, np.float32)
  keep = asked & inside
  np.maximum.at(latest, (user[keep], week[keep], category[keep]), since[keep])
  latest = np.maximum.accumulate(latest, axis=1)

  parts = []
  for w in weeks:
    before = slice(w - HISTORY, w)
    active = (every[:, before].sum(axis=1) > 0) | np.any(
      [x[:, before].sum(axis=1) > 0 for x in other], axis=0
    )
    if whole is not None:
      active &= w < whole
    own = np.flatnonzero(active)
    days = np.minimum(7.0 * w - latest[own, w - 1], 7.0 * HISTORY)
    shared = [
      moments[own, before][:, ::-1],
      np.log1p(every[own, before].sum(axis=1))[:, None],
      *(np.log1p(x[own, before].sum(axis=1))[:, None] for x in other),
    ]
    features = np.concatenate(
      [
        np.moveaxis(counts[own, before][:, ::-1], 1, 2),
        days[..., None],
        np.log1p(amounts[own, before].sum(axis=1))[..., None],
        np.repeat(np.concatenate(shared, axis=1)[:, None], number, axis=1),
        np.repeat(np.eye(number, dtype=np.float32)[None], len(own), axis=0),
      ],
      axis=2,
    )
    size = len(own) * number
    parts.append(
      Rows(
        features.reshape(size, -1).astype(np.float32),
        (counts[own, w] > 0).reshape(-1),
        np.repeat(own, number),
        np.full(size, w),
        np.tile(np.arange(number), len(own)),
      )
    )
  if not parts:
    width = HISTORY + 2 + HISTORY + 1 + len(task.others) + number
    none = np.zeros(0, int)
    return Rows(np.zeros((0, width), np.float32), none > 0, none, none, none)
  return Rows(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def _first_purchases(
  user: np.ndarray, time: np.ndarray, bought: np.ndarray
) -> np.ndarray:
  """The first purchase at each moment of each user, [N] bool."""
  place = np.flatnonzero(bought)
  new = np.diff(user[place], prepend=-1) != 0
  if len(place):
    new |= np.append(True, np.diff(time[place]) != 0)
  result = np.zeros(len(user), bool)
  result[place[new]] = True
  return result
