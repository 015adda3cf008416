"""The card of a release: all that is said of it, as JSON values.

It has two parts. What the guarantee covers is computed from the ledger, the
declared schema and made-up rows: it tells nothing of the data. Under "outside"
is what was measured with real rows, without noise; it is there only if the
owner lets it travel, and says so itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adv_rec.experiments.options import Config
from adv_rec.privacy import accounting
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release.claims import Claim
from adv_rec.release.subject import Subject

VERSION = 1

_COVERED = {
  True: "The guarantee covers all of this folder.",
  False: "The guarantee covers the rows, and all of this card but the figures"
  " that are marked as outside of it.",
}
_LIMITS = (
  "Synthetic rows are drawn from a model. They are good for what the figures"
  " say, where there are any, and not more: what is rare in the data may be"
  " missing, and what the model smooths over is gone.",
  "{covered} It bounds what can be"
  " learnt of one {unit} beyond what is learnt without it; what is true of the"
  " whole population, it does not hide.",
  "Each {unit} has the budget to itself. Whoever is in several pays for each:"
  " {k} of them have epsilon {times:.3g} together, at a greater delta.",
  "Another release of the same rows adds to what is spent. So do runs that"
  " chose options and are not in the ledger: that there were none is the"
  " owner's word.",
  "The audit reads real rows. That it did not stop this release is one bit that"
  " no noise covers; so is every figure under its heading.",
  "Hashes prove that the files belong together, not who made them: compare the"
  " fingerprint of verify.json with the one that the owner tells you.",
)


def card(
  subject: Subject,
  config: Config,
  declared: Mapping[str, Any],
  claim: Claim,
  probes: Mapping[str, Any],
  rows: int,
  learnt: int,
  steps: int,
  outside: Mapping[str, Any] | None,
) -> dict[str, Any]:
  """The card.

  Args:
    subject: of the release.
    config: of the run.
    declared: of the rows, see `release.declares`.
    claim: of the run's ledger.
    probes: of `rehearsal.rehearse`.
    rows: that are released.
    learnt: units that were learnt from.
    steps: of training.
    outside: what was measured with real rows; None to leave it out.
  """
  b = claim.budget
  one = b.unit.replace(", ", " with ")  # "user, all rows" in a sentence
  return {
    "version": VERSION,
    "table": {
      "name": subject.name,
      "of": subject.units,
      "rows": rows,
      **declared,
    },
    "guarantee": {
      "epsilon": claim.epsilon,
      "budget": b.epsilon,
      "delta": b.delta,
      "accountant": b.accountant,
      "unit": b.unit,
      "protected": one,
      "learnt_from": learnt,
      "neighbours": f"with and without one {one}, whose place is then empty",
    },
    "mechanism": {
      "experiment": config.experiment,
      "steps": steps,
      "clip": config.privacy.get("clip"),
      "updates": config.get("updates", 1),
      "bound": subject.bound,
    },
    "ledger": [
      _spend(name, spend, claim)
      for name, spend in [*claim.earlier.items(), *claim.spends.items()]
    ],
    "free": _free(subject, bool(claim.earlier)),
    "probes": dict(probes),
    "probed_epsilon": _probed(claim, probes),
    "outside": outside,
    "limits": [
      limit.format(
        unit=one,
        k=10,
        times=10 * claim.epsilon,
        covered=_COVERED[outside is None],
      )
      for limit in (_LIMITS[0], *subject.limits, *_LIMITS[1:])
    ],
  }


def _spend(name: str, spend: Gaussian, claim: Claim) -> dict[str, Any]:
  alone = accounting.epsilon([spend], claim.budget.delta, "rdp")
  return {"name": name, "gaussian": spend._asdict(), "alone": alone}


def _probed(claim: Claim, probes: Mapping[str, Any]) -> float:
  """The least epsilon that the probes leave, if each step is as probed."""
  left = []
  for name, spend in claim.spends.items():
    # The rehearsal has noise of its own: what counts is the ratio.
    by = max(1.0, probes[name]["at_most"] / probes[name]["claimed"])
    left.append(spend._replace(noise_multiplier=by * spend.noise_multiplier))
  spends = [*claim.earlier.values(), *left]
  return accounting.epsilon(spends, claim.budget.delta, claim.budget.accountant)


def _free(subject: Subject, earlier: bool) -> list[dict[str, str]]:
  """What costs nothing, and why."""
  found = {
    **subject.free,
    "hyper-parameters": "the runs that chose them are in the ledger"
    if earlier
    else f"chosen without these {subject.units}, by the owner's word",
    "rows drawn": "more of them cost nothing: they are made of what was bought",
  }
  return [{"name": name, "why": why} for name, why in found.items()]
