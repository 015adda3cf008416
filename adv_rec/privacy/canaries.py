"""A lower bound on epsilon from canaries in one run, by jax-privacy."""

from __future__ import annotations

import numpy as np
from jax_privacy import auditing


def epsilon_bound(
  included: np.ndarray,
  excluded: np.ndarray,
  delta: float,
  confidence: float = 0.95,
  seed: int = 0,
) -> float:
  """The epsilon that a run contradicts (Steinke et al. 2023, arXiv:2305.08846).

  Of made-up units, each is put into the data or left out by the toss of a fair
  coin, all before one run; then the run is asked about each of them. What is
  guessed right says, in one run, what otherwise takes many: those with scores
  from a threshold on are guessed to be in. The threshold is chosen on one half
  of the canaries and judged on the other. (jax-privacy's correction for all
  thresholds counts those of the Pareto frontier only, which is itself chosen by
  the scores.)

  Args:
    included: scores of canaries that were in the data, [I]; the higher, the
      more a canary looks as if it was (minus its loss, say).
    excluded: scores of those that were left out, [E].
    delta: of the definition, above 0.
    confidence: with which the bound of a private run is not above its epsilon.
    seed: of the halves.

  Returns:
    The bound; 0 where the run contradicts nothing.

  Raises:
    ValueError: scores that are missing or not finite, or numbers out of range.
  """
  if not (0 < delta < 1 and 0 < confidence < 1):
    raise ValueError(
      f"delta={delta} and confidence={confidence} must be above 0 and below 1"
    )
  for name, given in (("included", included), ("excluded", excluded)):
    if np.ndim(given) != 1 or not len(given) or not np.isfinite(given).all():
      raise ValueError(
        f"scores of {name} canaries must be a row of finite numbers, at least 1"
      )
  auditor = auditing.CanaryScoreAuditor(included, excluded)
  found = auditor.epsilon_one_run(
    1 - confidence, delta, threshold_strategy=auditing.Split(0.5, seed)
  )
  return float(found)
