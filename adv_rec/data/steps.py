"""The steps of a preparation: Ibis expressions on logs.

A log is a table with the columns user and item, and where the source has them
time and value; once split it has a column part. Nothing here depends on the
engine: orders end with the item's id, and random orders are those of a hash.
"""

from __future__ import annotations

from typing import Any

import ibis


def materialise(con: Any, table: ibis.Table) -> ibis.Table:
  """A temporary table with the rows of an expression."""
  return con.create_table(ibis.util.gen_name("step"), obj=table, temp=True)


def counts(log: ibis.Table) -> dict[str, int]:
  """Counts of interactions, distinct users and distinct items of a log."""
  return (
    log.aggregate(
      interactions=log.count(),
      users=log.user.nunique(),
      items=log.item.nunique(),
    )
    .to_pyarrow()
    .to_pylist()[0]
  )


def first_of_each_pair(log: ibis.Table) -> ibis.Table:
  """Each (user, item) once, at its first time.

  Of several values at that time, the largest is kept.
  """
  if "time" not in log.columns:
    kept = {"value": log.value.max()} if "value" in log.columns else {}
    return (
      log.group_by("user", "item").aggregate(**kept)
      if kept
      else (log.select("user", "item").distinct())
    )
  if "value" not in log.columns:
    return log.group_by("user", "item").aggregate(time=log.time.min())
  pair = ibis.window(group_by=["user", "item"])
  first = log.mutate(first=log.time.min().over(pair))
  first = first.filter(first.time == first["first"])
  return first.group_by("user", "item").aggregate(
    time=first.time.min(), value=first.value.max()
  )


def k_core(con: Any, log: ibis.Table, k: int) -> tuple[ibis.Table, int]:
  """The largest part of a log in which all have at least k interactions.

  Removes users with fewer than k, then items, until nothing changes; what is
  left does not depend on the order (Seidman 1983, for bipartite graphs).

  Args:
    con: the connection; each round is a temporary table there, since the
      expression of all rounds would grow without bound.
    log: any log.
    k: interactions that each user and each item must keep.

  Returns:
    (the log, a temporary table, possibly empty; the rounds it took).
  """
  size, rounds = log.count().to_pyarrow().as_py(), 0
  while True:
    of_user = ibis._.count().over(group_by="user")
    of_item = ibis._.count().over(group_by="item")
    kept = log.mutate(degree=of_user).filter(ibis._.degree >= k)
    kept = kept.mutate(degree=of_item).filter(ibis._.degree >= k)
    log = materialise(con, kept.drop("degree"))
    rounds += 1
    before, size = size, log.count().to_pyarrow().as_py()
    if size == before:
      return log, rounds


def split(
  log: ibis.Table,
  kind: str,
  test_fraction: float,
  validation_fraction: float,
  seed: int,
) -> ibis.Table:
  """Adds the column part: "train", "validation" or "test".

  Args:
    log: a log without parts.
    kind: "temporal", "leave_one_out" or "random"; see
      `interactions.Protocol`.
    test_fraction: share of each user's interactions.
    validation_fraction: share of what the test leaves; 0 for none.
    seed: of "random".

  Returns:
    The log with its parts.
  """
  order = [name for name in ("time", "item", "value") if name in log.columns]
  table: Any = log  # pyright does not know the arithmetic of Ibis columns
  if kind == "random":
    table = table.mutate(draw=_draw(log, seed))
    order = ["draw", *order]
  table = table.mutate(
    place=ibis.row_number().over(group_by="user", order_by=order),
    total=ibis._.count().over(group_by="user"),
  )
  if kind == "leave_one_out":
    table = table.mutate(test=ibis.literal(1), validation=ibis.literal(1))
  else:
    table = table.mutate(test=_share(ibis._.total, test_fraction))
    rest = table.total - table.test
    table = table.mutate(validation=_share(rest, validation_fraction))
  start = table.total - table.test
  part = ibis.cases(
    (table.place >= start, "test"),
    (table.place >= start - table.validation, "validation"),
    else_="train",
  )
  return table.select(*log.columns, part=part)


def cut_validation(
  log: ibis.Table, validation_fraction: float, seed: int
) -> ibis.Table:
  """Turns a random share of each user's train rows into validation.

  Args:
    log: a log with parts "train" and "test".
    validation_fraction: share of each user's train rows; at least one row is
      cut where the user has two or more.
    seed: of the draw.

  Returns:
    The log with the part "validation".
  """
  window = {"group_by": ["user", "part"]}
  table: Any = log.mutate(draw=_draw(log, seed))
  order = ["draw", *(name for name in log.columns if name != "part")]
  table = table.mutate(
    place=ibis.row_number().over(**window, order_by=order),
    total=ibis._.count().over(**window),
  )
  start = table.total - _share(table.total, validation_fraction)
  cut = (table.part == "train") & (table.total > 1) & (table.place >= start)
  part = ibis.ifelse(cut, "validation", table.part)
  return table.select(*(n for n in log.columns if n != "part"), part=part)


def _share(count: Any, fraction: float) -> Any:
  """max(1, floor(fraction * count)), or 0 for a fraction of 0."""
  if not fraction:
    return ibis.literal(0, "int64")
  return ibis.greatest(1, (count * fraction).floor().cast("int64"))


def _draw(log: ibis.Table, seed: int) -> Any:
  """A pseudorandom text for each pair, the same on every engine."""
  text = f"{seed}:" + log.user.cast("string") + ":" + log.item.cast("string")
  return text.hexdigest("md5")
