"""What a release claims: spends, and the epsilon that follows from them.

Nothing but the lines of a ledger counts: epsilon is computed from them, never
read.
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from adv_rec.privacy import accounting
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.ledger import EARLIER, Budget


class Claim(NamedTuple):
  """What a run has spent under which budget.

  Attributes:
    budget: that it had.
    spends: name -> mechanism, those of this run.
    earlier: likewise, of runs before it on the same rows.
    epsilon: of all of them together, by the budget's delta and accountant.
  """

  budget: Budget
  spends: dict[str, Gaussian]
  earlier: dict[str, Gaussian]
  epsilon: float


def read(workdir: pathlib.Path) -> Claim:
  """The claim of a run's ledger, workdir/privacy/ledger.jsonl.

  Raises:
    ValueError: there is none, it is damaged, or its spends exceed its budget.
  """
  path = workdir / "privacy" / "ledger.jsonl"
  if not path.is_file():
    raise ValueError(
      f"{path} is not there: what this experiment learns from the rows is not"
      " accounted for; release a private one (configs/private/)"
    )
  budget, spends = _lines(path)
  return made(budget, spends, str(path))


def made(budget: Budget, spends: Mapping[str, Gaussian], where: str) -> Claim:
  """The claim that follows from spends.

  Raises:
    ValueError: nothing is spent, a spend has no noise, or they exceed the
      budget.
  """
  if not spends:
    raise ValueError(f"{where} has no spend: what was learnt without one?")
  total = accounting.epsilon(
    list(spends.values()), budget.delta, budget.accountant
  )
  if not math.isfinite(total) or total > budget.epsilon:
    raise ValueError(
      f"{where}: its spends make epsilon {total:.4g} at delta {budget.delta:g},"
      f" above the budget of {budget.epsilon:g}"
    )
  earlier = {n: s for n, s in spends.items() if n.startswith(EARLIER)}
  own = {n: s for n, s in spends.items() if n not in earlier}
  return Claim(budget, own, earlier, total)


def _lines(path: pathlib.Path) -> tuple[Budget, dict[str, Gaussian]]:
  try:
    header, *lines = map(json.loads, path.read_text("utf-8").splitlines())
    spends = {line["name"]: Gaussian(**line["gaussian"]) for line in lines}
    return Budget(**header["budget"]), spends
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(f"{path} is damaged: {error!r}") from error
