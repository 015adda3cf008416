"""Whose events were learnt from? Attacks on a released log of sequences.

What gives a user away is a run of events of theirs, with gaps and amounts, that
the release has too. An attack for each length of runs scores a user by the
share of their runs that are there; whoever was learnt from should not score
higher than who was kept back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from adv_rec.evaluation import audit_membership, events
from adv_rec.evaluation.audit_bounds import wilson

_RUNS = (2, 4, 8)  # events in a row


class Histories(NamedTuple):
  """All events of each user as codes.

  Attributes:
    codes: [N, 3], kind, gap, amount; those of a user together, in order.
    begin: [U + 1], where the events of each user begin.
  """

  codes: np.ndarray
  begin: np.ndarray


def attack(
  members: Histories,
  others: Histories,
  released: Histories,
  delta: float,
  confidence: float,
  rng: np.random.Generator,
  most: int,
) -> dict[str, Any]:
  """Membership of users, and sequences that are copies.

  Args:
    members: of the users who were learnt from.
    others: of users who were kept back.
    released: the made-up ones.
    delta: of the bound on epsilon.
    confidence: of intervals and bound.
    rng: draws users and resamples.
    most: members and others, each, to attack.

  Returns:
    "attacks": "runs_8" and so on -> see `audit_membership.measures`; "epsilon":
    see `audit_membership.bound`; "copies": the share of the sequences of at
    least 9 events all of whose runs of 8 a member has too, "made" and, of who
    was kept back, "real", as value, low, high; "members", "others": how many
    were attacked.
  """
  drawn = [
    np.sort(rng.permutation(len(x.begin) - 1)[:most]) for x in (members, others)
  ]
  inside, outside = (
    {
      f"runs_{length}": np.nan_to_num(shares(x, released, length)[some])
      for length in _RUNS
    }
    for x, some in zip((members, others), drawn, strict=True)
  )
  copies = {}
  for name, x in (("made", released), ("real", others)):
    found = shares(x, members, max(_RUNS))
    found = found[~np.isnan(found)]
    trials = max(len(found), 1)
    copies[name] = wilson(float((found == 1).sum()), trials, confidence)
  return {
    "attacks": {
      name: audit_membership.measures(
        inside[name], outside[name], confidence, rng
      )
      for name in inside
    },
    "epsilon": audit_membership.bound(inside, outside, delta, confidence, rng),
    "copies": {name: found._asdict() for name, found in copies.items()},
    "members": len(drawn[0]),
    "others": len(drawn[1]),
  }


def shares(
  users: Histories, known: Histories, events_in_row: int
) -> np.ndarray:
  """Of each user the share of runs that occur among the known ones.

  The first event of a user is left out: its gap means nothing.

  Args:
    users: U of them.
    known: where their runs are looked for.
    events_in_row: of a run.

  Returns:
    [U]; NaN where a user has no run.
  """
  run, owner = _runs(users, events_in_row, 1)
  there, _ = _runs(known, events_in_row, 0)
  num = len(users.begin) - 1
  total = np.bincount(owner, minlength=num)
  found = np.bincount(owner, np.isin(run, there), num)
  return np.where(total > 0, found / np.maximum(total, 1), np.nan)


def _runs(
  users: Histories, length: int, skipped: int
) -> tuple[np.ndarray, np.ndarray]:
  """Hashes of runs, and whose they are; the first events may be skipped."""
  counts = np.diff(users.begin)
  owner = np.repeat(np.arange(len(counts)), counts)
  place = np.arange(len(owner)) - np.repeat(users.begin[:-1], counts)
  if len(owner) < length:
    return np.empty(0, np.int64), np.empty(0, np.int64)
  first, last = slice(0, len(owner) - length + 1), slice(length - 1, None)
  kept = (owner[first] == owner[last]) & (place[first] >= skipped)
  return events.runs(users.codes[None], length)[0][kept], owner[first][kept]
