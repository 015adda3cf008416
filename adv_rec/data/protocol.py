"""How a log becomes a dataset: the settings that change its numbers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

FEEDBACK = ("first", "all")
SPLITS = (
  "temporal",
  "temporal_global",
  "leave_one_out",
  "random",
  "new_users",
  "given",
)
MASKS = ("history", "none")


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How a log becomes a dataset.

  Attributes:
    feedback: "first" keeps each (user, item) once, at its first time; "all"
      keeps every row, so that a pair may be both in train and in test.
    min_value: rows whose value is smaller are left out (a rating of 4 and
      more as a positive); None keeps all.
    k_core: every user and every item keeps at least this many interactions,
      counted after the steps above; 0 and 1 leave all in.
    split: how the interactions are divided, those of each user by itself but
      for "temporal_global" and "new_users".
      "temporal": ordered by (time, item id), the last max(1, floor(
      test_fraction n)) are test, and of the remaining m the last max(1,
      floor(validation_fraction m)) validation.
      "temporal_global": one cut in time for everybody. Of all n rows, ordered
      by time, the last t = max(1, floor(test_fraction n)) are test, and of
      the remaining m the last max(1, floor(validation_fraction m)) validation;
      rows of one time stay together, in the later part. Users without a train
      row are then left out.
      "leave_one_out": in the order of "temporal", the last is test and the
      one before it validation; the fractions do not count.
      "random": the counts of "temporal", in an order drawn by `seed`.
      "new_users": users are divided instead, in an order drawn by `seed`, by
      the counts of "temporal". Of a test or validation user the first `known`
      interactions, in the order of "temporal", are train, like all those of
      the other users; the later ones are to be predicted.
      "given": the source comes in parts and keeps them. Where it has no
      validation part and validation_fraction is positive, max(1, floor(
      validation_fraction m)) of each user's m > 1 train rows, drawn by `seed`,
      become one.
    test_fraction: share of each user's interactions (of all interactions for
      "temporal_global", of the users for "new_users"), between 0 and 1.
    validation_fraction: share of what the test leaves; 0 for none.
    seed: of the random draws; no effect elsewhere.
    known: interactions of a new user that are train; for "new_users" only.
    mask: what evaluation leaves out of a user's ranking. "history": the items
      of the parts before; "none": nothing, since what was bought before may
      be bought again (feedback "all").
  """

  feedback: str = "first"
  min_value: float | None = None
  k_core: int = 10
  split: str = "temporal"
  test_fraction: float = 0.2
  validation_fraction: float = 0.1
  seed: int = 0
  known: int = 3
  mask: str = "history"

  def __post_init__(self):
    if self.feedback not in FEEDBACK:
      raise ValueError(
        f"feedback {self.feedback!r} is not one of {', '.join(FEEDBACK)}"
      )
    if self.split not in SPLITS:
      raise ValueError(
        f"split {self.split!r} is not one of {', '.join(SPLITS)}"
      )
    if self.mask not in MASKS:
      raise ValueError(f"mask {self.mask!r} is not one of {', '.join(MASKS)}")
    if self.mask == "none" and self.feedback == "first":
      raise ValueError(
        "mask='none' needs feedback='all': with 'first' no item comes twice"
      )
    if self.k_core < 0:
      raise ValueError(f"k_core is {self.k_core}; it must not be negative")
    if self.known < 1:
      raise ValueError(f"known is {self.known}; it must be at least 1")
    if self.min_value is not None and not math.isfinite(self.min_value):
      raise ValueError(f"min_value is {self.min_value}; it must be finite")
    if not 0 < self.test_fraction < 1:
      raise ValueError(
        f"test_fraction is {self.test_fraction}; it must lie between 0 and 1"
      )
    if not 0 <= self.validation_fraction < 1:
      raise ValueError(
        f"validation_fraction is {self.validation_fraction}; "
        "it must be at least 0 and below 1"
      )
    if self.split == "given" and (self.feedback != "all" or self.k_core > 1):
      raise ValueError(
        "a given split keeps its rows: use feedback='all' and k_core=0"
      )

  def in_effect(self) -> dict[str, Any]:
    """The settings that make a difference, for the record."""
    settings = dataclasses.asdict(self)
    cut = self.split == "given" and self.validation_fraction > 0
    if self.split in ("leave_one_out", "given"):
      del settings["test_fraction"]
      if not cut:
        del settings["validation_fraction"]
    if self.split not in ("random", "new_users") and not cut:
      del settings["seed"]
    if self.split != "new_users":
      del settings["known"]
    return settings
