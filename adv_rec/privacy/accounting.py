"""What mechanisms cost: epsilon at a delta, and noise for an epsilon.

Thin over dp-accounting. Two data sets are neighbours if one unit (a row, or a
customer with all rows) is in one of them only, and its place is empty in the
other: the number of places is public ("zero-out"; Kairouz et al. 2021,
arXiv:2103.00039, definition 1.1). A clipped sum then moves by the clip at most.

Two accountants:

  pld   numerical composition of privacy loss distributions, tight.
  rdp   Renyi divergences (Mironov 2017, arXiv:1702.07476), looser and fast.

A sample that is cut at the capacity of a batch is no Poisson sample. While cuts
are rare they count as failures: with T batches, each cut with chance p, delta
grows by T p (1 + exp(epsilon)) (Chua et al. 2024, arXiv:2411.04205). Where that
is more than a hundredth of delta, pld accounts for cut samples as such (Ganesh
2025, arXiv:2508.15089), and rdp, from half of delta on, gives no epsilon.

No noise, or a sampler that no accountant covers, gives no epsilon.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import dp_accounting
from dp_accounting import pld, rdp
from scipy import optimize, stats

ACCOUNTANTS = ("pld", "rdp")
SAMPLERS = ("all", "poisson")

_NEIGHBOURS = dp_accounting.NeighboringRelation.REPLACE_SPECIAL
# Whole ones: series of the others do not always converge.
_ORDERS = (*range(2, 64), *range(64, 512, 32), 512, 1024)
_INTERVAL = 5e-4  # of privacy losses; a finer grid takes .1 % off epsilon


class Gaussian(NamedTuple):
  """Sums of sensitivity 1 with Gaussian noise, one after another.

  Attributes:
    noise_multiplier: standard deviation of the noise over the sensitivity.
    count: how many.
    sampler: "all", each of all units; "poisson", each of a sample.
    probability: with which a unit is in a sample.
    units: N; needed where samples are cut.
    capacity: units at which a sample is cut; None: it is not.
  """

  noise_multiplier: float
  count: int = 1
  sampler: str = "all"
  probability: float = 1.0
  units: int | None = None
  capacity: int | None = None


def steps(batches: Any, noise_multiplier: float, count: int) -> Gaussian:
  """The mechanism of training steps on the batches of a sampler.

  Args:
    batches: a batcher that says how it samples (`data.poisson.Poisson`).
    noise_multiplier: of `privacy.gradients.private`.
    count: steps of the game.

  Raises:
    ValueError: the batches do not say how they are sampled, or in a way that
      no accountant covers.
  """
  sampling = getattr(batches, "sampling", None)
  if sampling is None:
    raise ValueError(
      "these batches are no samples that an accountant covers (shuffled epochs,"
      " say); take them from data.poisson"
    )
  made = Gaussian(
    noise_multiplier,
    count * batches.updates,
    sampling.kind,
    sampling.probability,
    sampling.units,
    sampling.capacity,
  )
  _check(made)
  return made


def epsilon(
  mechanisms: Sequence[Gaussian], delta: float, accountant: str = "pld"
) -> float:
  """The epsilon of all mechanisms together; infinite where there is none.

  Args:
    mechanisms: on the same data, chosen in whatever way.
    delta: in (0, 1).
    accountant: "pld" or "rdp".

  Raises:
    ValueError: a delta, an accountant, a sampler or a number that is wrong.
  """
  if accountant not in ACCOUNTANTS or not 0 < delta < 1:
    raise ValueError(
      f"accountant={accountant!r} must be one of {ACCOUNTANTS}, and"
      f" delta={delta} above 0 and below 1"
    )
  for mechanism in mechanisms:
    _check(mechanism)
  mechanisms = [m for m in mechanisms if m.count]
  if not mechanisms:
    return 0.0
  if not all(m.noise_multiplier for m in mechanisms):
    return math.inf
  found = _with_cuts(mechanisms, delta, accountant)
  if accountant == "rdp" or found < math.inf:
    return found
  whole = pld.PLDAccountant(_NEIGHBOURS, _INTERVAL)
  for mechanism in mechanisms:
    whole.compose(_event(mechanism), mechanism.count)
  return float(whole.get_epsilon(delta))


def calibrate(
  target: float,
  delta: float,
  make: Callable[[float], Sequence[Gaussian]],
  accountant: str = "pld",
  tolerance: float = 1e-3,
) -> float:
  """The least noise multiplier whose epsilon is at most a target.

  Args:
    target: epsilon, above 0.
    delta: in (0, 1).
    make: noise multiplier -> all mechanisms, those of fixed noise included.
    accountant: "pld" or "rdp".
    tolerance: of the result, relative; it errs towards more noise.

  Raises:
    ValueError: no noise up to 10,000 is enough.
  """
  if not target > 0:
    raise ValueError(f"epsilon={target} must be above 0")

  def excess(noise: float) -> float:
    found = epsilon(make(noise), delta, accountant)
    return math.log(found / target) if found else -math.inf

  # The looser and faster accountant says where to look: pld is slow where
  # there is far too little noise.
  high = 1.0
  if accountant != "rdp":
    with contextlib.suppress(ValueError):
      high = calibrate(target, delta, make, "rdp", tolerance)
  while excess(high) > 0:
    high *= 1.5
    if high > 1e4:
      raise ValueError(
        f"no noise gives epsilon {target} at delta {delta}: what is spent"
        " beside it is too much, or samples are cut too often"
      )
  low = high / 1.25
  while excess(low) <= 0:
    low, high = low / 1.25, low
    if low < 1e-3:
      return high
  root: Any = optimize.brentq(excess, low, high, xtol=tolerance / 4 * low)
  noise = float(root)
  while excess(noise) > 0:
    noise *= 1 + tolerance / 2
  return noise


def _check(mechanism: Gaussian) -> None:
  m = mechanism
  if m.sampler not in SAMPLERS:
    raise ValueError(
      f"no accountant here covers the sampler {m.sampler!r}; it covers"
      f" {', '.join(SAMPLERS)}"
    )
  if m.sampler == "all" and (m.probability, m.capacity) != (1.0, None):
    raise ValueError(f"{m}: a sampler of all units has no probability")
  if not (m.noise_multiplier >= 0 and m.count >= 0 and 0 < m.probability <= 1):
    raise ValueError(f"{m}: a number is out of range")
  if m.capacity is not None and not m.units:
    raise ValueError(f"{m}: where samples are cut, the units are needed")


def _event(m: Gaussian) -> dp_accounting.DpEvent:
  """One of the mechanism's count."""
  if m.capacity is not None:
    return dp_accounting.dp_event.TruncatedSubsampledGaussianDpEvent(
      dataset_size=int(m.units or 0),
      sampling_probability=m.probability,
      truncated_batch_size=m.capacity,
      noise_multiplier=m.noise_multiplier,
    )
  event = dp_accounting.GaussianDpEvent(m.noise_multiplier)
  if m.sampler == "all":
    return event
  return dp_accounting.PoissonSampledDpEvent(m.probability, event)


def _with_cuts(
  mechanisms: Sequence[Gaussian], delta: float, accountant: str
) -> float:
  """Epsilon with cuts counted as failures; infinite where they are too many.

  Let M be the mechanism without cuts, and t the chance that any of its T
  samples is cut. With it the cut one is alike but with chance t on either of
  two neighbours: where M has (epsilon, delta'), the cut one has
  (epsilon, delta' + t (1 + exp(epsilon))).
  """
  whole = (
    pld.PLDAccountant(_NEIGHBOURS, _INTERVAL)
    if accountant == "pld"
    else rdp.RdpAccountant(_ORDERS, _NEIGHBOURS)
  )
  for mechanism in mechanisms:
    whole.compose(_event(mechanism._replace(capacity=None)), mechanism.count)
  found, cut = float(whole.get_epsilon(delta)), sum(map(_cut, mechanisms))
  for _ in range(100):  # grows towards the least that satisfies both
    failure = (1 + math.exp(min(found, 700))) * cut
    if failure > (delta / 100 if accountant == "pld" else delta / 2):
      return math.inf
    more = float(whole.get_epsilon(delta - failure))
    if more <= found:
      return found
    found = more + 1e-9
  return math.inf


def _cut(m: Gaussian) -> float:
  """A bound on the chance that any sample of a mechanism is cut."""
  if m.capacity is None:
    return 0.0
  return m.count * float(stats.binom.sf(m.capacity, m.units, m.probability))
