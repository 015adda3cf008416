"""The ledger: every privacy spend, written before it is made.

A file of JSON lines. The first says what the budget is, under which accountant
and for which unit; each other is one spend. A line is on the disk (fsync)
before `spend` returns, and noise is drawn only then: a crash can leave a spend
that was not made, never one that was made and not written.

A spend has a name. Written again with the same content it is the same spend,
since a run that is started again repeats it with the same secret and so the
same noise; with another content it is refused. Nothing is ever removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from adv_rec.privacy import accounting
from adv_rec.privacy.accounting import Gaussian

VERSION = 1
EARLIER = "earlier/"  # begins the names of spends of runs before this one


class Budget(NamedTuple):
  """What may be spent.

  Attributes:
    epsilon: in all.
    delta: in all.
    unit: what is protected, in words: "row", "household".
    accountant: one of `accounting.ACCOUNTANTS`.
  """

  epsilon: float
  delta: float
  unit: str
  accountant: str = "pld"


class Ledger:
  """An append-only file of spends under a budget; see the top of this file."""

  def __init__(self, path: pathlib.Path, budget: Budget):
    """Opens a ledger, or begins one.

    Raises:
      ValueError: the file is damaged, or has another budget.
    """
    self.path, self.budget = path, budget
    with self._locked() as file:
      lines = self._read(file)
      header = {"version": VERSION, "budget": budget._asdict()}
      if not lines:
        _append(file, header)
        _sync_folder(path.parent)
      elif lines[0] != header:
        raise ValueError(
          f"{path} is a ledger of another budget: {lines[0]}; this run has"
          f" {header}"
        )

  def spend(self, name: str, what: Gaussian, secret: str) -> float:
    """Writes a spend, or finds it written.

    Args:
      name: of the spend, the same when a run is started again.
      what: the mechanism.
      secret: digest of the secret that its noise is drawn from
        (`secret.digest`): under another secret it would be another spend.

    Returns:
      The epsilon of all spends so far.

    Raises:
      ValueError: it would exceed the budget, and nothing is written; or a
        spend of this name and another content is there.
    """
    line = {"name": name, "secret": secret, "gaussian": what._asdict()}
    with self._locked() as file:
      lines = self._read(file)[1:]
      for other in lines:
        if other["name"] == name:
          if other != line:
            raise ValueError(
              f"{self.path}: the spend {name!r} is there with another content"
              f" ({other}, now {line}); it would be a second one: begin a new"
              " run, with a budget of its own"
            )
          return self._epsilon(lines)
      total = self._epsilon([*lines, line])
      if not total <= self.budget.epsilon:
        raise ValueError(
          f"{self.path}: {name!r} would bring epsilon to {total:.4g} at delta"
          f" {self.budget.delta:g}, above the budget of"
          f" {self.budget.epsilon:g}; nothing is spent"
        )
      _append(file, line)
    return total

  def carry(self, ledgers: Sequence[str]) -> None:
    """Writes what runs before this one have spent, such as trials of options.

    Args:
      ledgers: their files, of runs on the same rows.

    Raises:
      ValueError: a file is no ledger, or together they exceed the budget.
    """
    for number, path in enumerate(ledgers, 1):
      if not pathlib.Path(path).is_file():
        raise ValueError(f"no ledger of an earlier run is at {path}")
      with open(path, "rb") as file:
        lines = [json.loads(line) for line in file.read().splitlines()][1:]
      for line in lines:
        name = f"{EARLIER}{number}/{line['name']}"
        self.spend(name, Gaussian(**line["gaussian"]), line["secret"])

  def spends(self) -> list[dict[str, Any]]:
    """All spends, in their order."""
    with self._locked() as file:
      return self._read(file)[1:]

  def epsilon(self) -> float:
    """Of all spends so far, by the budget's accountant and delta."""
    return self._epsilon(self.spends())

  def _epsilon(self, lines: list[dict[str, Any]]) -> float:
    mechanisms = [Gaussian(**line["gaussian"]) for line in lines]
    return accounting.epsilon(
      mechanisms, self.budget.delta, self.budget.accountant
    )

  @contextlib.contextmanager
  def _locked(self) -> Iterator[Any]:
    """The file, with no other process in it."""
    self.path.parent.mkdir(parents=True, exist_ok=True)
    with self.path.open("a+b") as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      yield file

  def _read(self, file: Any) -> list[dict[str, Any]]:
    """The lines; what a killed process left without an end is taken off.

    It had not returned from `spend`, so no noise was drawn for it.
    """
    file.seek(0)
    text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
      file.truncate(len(whole))
    try:
      return [dict(json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError) as error:
      raise ValueError(
        f"{self.path} is damaged: {error}; what was spent is not known, so that"
        " nothing more may be"
      ) from error


def _append(file: Any, line: dict[str, Any]) -> None:
  file.seek(0, os.SEEK_END)
  file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
  file.flush()
  os.fsync(file.fileno())


def _sync_folder(path: pathlib.Path) -> None:
  """So that the file itself is there after a crash."""
  folder = os.open(path, os.O_RDONLY)
  try:
    os.fsync(folder)
  finally:
    os.close(folder)
