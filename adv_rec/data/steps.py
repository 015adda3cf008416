"""The steps of a preparation: Ibis expressions on logs.

A log is a table with the columns user and item, and where the source has them
time and value; once split it has a column part. Nothing here depends on the
engine: orders end with the item's id, and random orders are those of a hash.
"""

from __future__ import annotations

from typing import Any

import ibis

from adv_rec.data.engines import Engine


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


def k_core(engine: Engine, log: ibis.Table, k: int) -> tuple[ibis.Table, int]:
  """The largest part of a log in which all have at least k interactions.

  Removes users with fewer than k, then items, until nothing changes; what is
  left does not depend on the order (Seidman 1983, for bipartite graphs).

  Args:
    engine: keeps the degrees between the rounds, since the expression of all
      rounds would grow without bound.
    log: any log.
    k: interactions that each user and each item must keep.

  Returns:
    (the log, a temporary table, possibly empty; the rounds it took).
  """
  degrees = {
    role: engine.materialise(log.group_by(role).aggregate(degree=log.count()))
    for role in ("user", "item")
  }

  def replace(role: str, rows: ibis.Table) -> None:
    previous, degrees[role] = degrees[role], engine.materialise(rows)
    engine.drop(previous)

  # The log itself stays as it is until the end. A round copies two tables with
  # a row a user or item, and reads of the log what was just removed: each row
  # once, since it leaves with its user or its item, whichever goes first.
  rounds, changed = 0, True
  while changed:
    rounds, changed = rounds + 1, False
    for role, other in (("user", "item"), ("item", "user")):
      weak = degrees[role].filter(ibis._.degree < k)
      if not weak.count().to_pyarrow().as_py():
        continue
      changed = True
      removed = log.semi_join(weak, role)
      lost = removed.group_by(other).aggregate(lost=removed.count())
      left: Any = degrees[other].left_join(lost, other)
      left = left.mutate(degree=left.degree - left.lost.fill_null(0))
      # Who has lost all is gone, and no reason for another round.
      replace(other, left.filter(left.degree > 0).select(other, "degree"))
      replace(role, degrees[role].filter(ibis._.degree >= k))
  kept = log
  for role, of_role in degrees.items():
    kept = kept.semi_join(of_role, role)
  kept = engine.materialise(kept)
  for of_role in degrees.values():
    engine.drop(of_role)
  return kept, rounds


def split(
  log: ibis.Table,
  kind: str,
  test_fraction: float,
  validation_fraction: float,
  seed: int,
  known: int,
) -> ibis.Table:
  """Adds the column part: "train", "validation" or "test".

  Args:
    log: a log without parts.
    kind: "temporal", "temporal_global", "leave_one_out", "random" or
      "new_users"; see `protocol.Protocol`.
    test_fraction: share of each user's interactions, of all, or of the users.
    validation_fraction: share of what the test leaves; 0 for none.
    seed: of "random" and "new_users".
    known: rows of a new user in the part "train".

  Returns:
    The log with its parts.
  """
  if kind == "temporal_global":
    return _split_at_one_time(log, test_fraction, validation_fraction)
  order = [name for name in ("time", "item", "value") if name in log.columns]
  if kind == "new_users":
    fractions = test_fraction, validation_fraction
    return _split_users(log, order, *fractions, seed, known)
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


def _split_users(
  log: ibis.Table,
  order: list[str],
  test_fraction: float,
  validation_fraction: float,
  seed: int,
  known: int,
) -> ibis.Table:
  users: Any = log.select("user").distinct()
  text = f"{seed}:" + users.user.cast("string")
  users = users.mutate(draw=text.hexdigest("md5"))
  users = users.mutate(
    number=ibis.row_number().over(order_by=["draw", "user"]),
    total=ibis._.count().over(),
  )
  users = users.mutate(test=_share(ibis._.total, test_fraction))
  rest = users.total - users.test
  users = users.mutate(validation=_share(rest, validation_fraction))
  kind = ibis.cases(
    (users.number < users.test, "test"),
    (users.number < users.test + users.validation, "validation"),
    else_="train",
  )
  table: Any = log.join(users.select("user", kind=kind), "user")
  table = table.mutate(
    place=ibis.row_number().over(group_by="user", order_by=order)
  )
  part = ibis.ifelse(table.place < known, "train", table.kind)
  return table.select(*log.columns, part=part)


def _split_at_one_time(
  log: ibis.Table, test_fraction: float, validation_fraction: float
) -> ibis.Table:
  # Times are counted first: there are fewer of them than rows, and a window
  # over everything is the one step that an engine cannot share out.
  times: Any = log.group_by("time").aggregate(n=ibis._.count())
  times = times.mutate(
    later=ibis._.n.sum().over(order_by=ibis.desc("time"), rows=(None, 0))
    - ibis._.n,
    total=ibis._.n.sum().over(),
  )
  times = times.mutate(test=_share(ibis._.total, test_fraction))
  rest = times.total - times.test
  times = times.mutate(validation=_share(rest, validation_fraction))
  part = ibis.cases(
    (times.later < times.test, "test"),
    (times.later < times.test + times.validation, "validation"),
    else_="train",
  )
  table = log.join(times.select("time", part=part), "time")
  return table.select(*log.columns, "part")


def of_train_users(log: ibis.Table) -> ibis.Table:
  """The rows of users who have a row in the part "train"."""
  train = (ibis._.part == "train").sum().over(group_by="user")
  return log.mutate(train=train).filter(ibis._.train > 0).drop("train")


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
