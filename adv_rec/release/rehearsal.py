"""A dress rehearsal: what a private run does with rows that are nobody's.

The experiment is built three times on units that are made up (`Subject`), in
scratch workdirs with ledgers and secrets of their own: twice on the same
rows, and once on rows of half of what is declared. So nothing is spent, and
what is wrong shows before anything is:

  preprocessing  the games have one shape, samples are on the declared grid,
                 and what differs between the tables differs between the
                 secrets too: otherwise it is learnt from rows without noise
  ledger         what is spent is what there is a probe of, by name
  sampler        batches are as the account of their spend has them
  mechanism      a probe of each spend finds as much noise as is claimed
"""

from __future__ import annotations

import logging
import math
import pathlib
from typing import Any

import jax
import numpy as np
import pyarrow as pa
from scipy import stats

from adv_rec.experiments import experiment
from adv_rec.experiments.experiment import Experiment
from adv_rec.privacy import accounting, probes
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release import claims, declares
from adv_rec.release.claims import Claim
from adv_rec.release.subject import Subject
from adv_rec.training.step import init_state

_logger = logging.getLogger(__name__)

_TRIALS = 300
_SAMPLES = 200  # batches whose sizes are looked at
_CHANCE = 1e-6  # of refusing a sampler that is right
_SAMPLE = "the rows drawn"
_NARROW = "narrow"  # made up of half of what may occur


def rehearse(
  subject: Subject, folder: pathlib.Path, confidence: float
) -> tuple[Claim, dict[str, Any]]:
  """Builds the experiment on made-up units and looks at what it does.

  Args:
    subject: of the release.
    folder: scratch; emptied by the caller.
    confidence: of all probes together.

  Returns:
    What it has spent; and of each spend by name its noise multiplier,
    "claimed", "at_most", the upper end that its probe leaves, and "trials".

  Raises:
    ValueError: what the rehearsal finds wrong, in one line.
  """
  _logger.info("rehearsal on made-up %s", subject.units)

  def build(name: str, narrow: bool) -> tuple[Experiment, pathlib.Path]:
    config = subject.made_up(folder, name, narrow)
    return experiment.build(config, folder / name), folder / name

  one = build("one", False)
  first, claim = one[0], claims.read(one[1])
  _check_names(first, claim)
  others = build("again", False), build(_NARROW, True)
  shown = [_shown(subject, *each) for each in (one, *others)]
  _check_preprocessing(subject, folder / _NARROW, shown)
  for name, spend in claim.spends.items():
    if spend.sampler == "poisson":
      _check_sampler(name, spend, first, shown)
  return claim, _probed(first, claim, confidence)


def _shown(
  subject: Subject, built: Experiment, workdir: pathlib.Path
) -> dict[str, Any]:
  """What an experiment is before its first step, with one key and seed."""
  key = jax.random.key(0)
  # Never a state of real rows: parameters as drawn.
  state = jax.jit(lambda: init_state(built.game, key))()
  batches = built.batches(0, _SAMPLES) if built.batches else {}
  return {
    "the schedule": built.schedule,
    "the parameters": jax.tree.leaves((state.params, state.opt_state)),
    **{f"the batches' {n!r}": np.asarray(x) for n, x in batches.items()},
    _SAMPLE: subject.shown(built, state, workdir),
  }


def _check_preprocessing(
  subject: Subject, workdir: pathlib.Path, shown: list[dict[str, Any]]
) -> None:
  told = "an unaccounted look at the rows: declare what it learns, or buy it"
  for what in shown[0]:
    one, again, narrow = (each[what] for each in shown)
    sizes = [jax.tree.map(_size, each) for each in (one, again, narrow)]
    if sizes[0] == sizes[1] != sizes[2]:
      raise ValueError(
        f"preprocessing learns from the rows, {told}: {what} of two tables of"
        " one schema differ in size"
      )
    if _same(one, again) and not _same(one, narrow):
      raise ValueError(
        f"preprocessing learns from the rows, {told}: {what} depend on them,"
        " and not on the noise"
      )
  made = shown[2][_SAMPLE]
  try:
    declares.read(subject.declared(workdir)).check(made)
  except ValueError as error:
    raise ValueError(
      f"what is generated is not as declared, {told}: {error}"
    ) from error


def _size(x: Any) -> str:
  return str(x.schema if isinstance(x, pa.Table) else np.shape(x))


def _same(one: Any, other: Any) -> bool:
  if isinstance(one, pa.Table):
    return one.equals(other)
  return jax.tree.structure(one) == jax.tree.structure(other) and all(
    np.array_equal(x, y)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
  )


def _check_names(built: Experiment, claim: Claim) -> None:
  spent, probed = set(claim.spends), set(built.probes or {})
  if spent != probed:
    raise ValueError(
      f"the ledger has the spends {sorted(spent)}, the experiment mechanisms"
      f" {sorted(probed)}: each mechanism needs its line in the ledger and its"
      " probe"
    )


def _check_sampler(
  name: str, spend: Gaussian, built: Experiment, shown: list[dict[str, Any]]
) -> None:
  """Sizes of batches against the binomial distribution that is accounted."""
  said = f"the spend {name!r} is accounted as of Poisson samples"
  mask, words = (shown[0].get(f"the batches' {n!r}") for n in ("mask", "noise"))
  if mask is None or words is None:
    raise ValueError(
      f"{said}, and the batches are none: they have no mask of the rows that"
      " are there, or no noise; take them from data.poisson"
    )
  updates = max(spend.count // built.schedule.steps, 1)
  sizes = mask.reshape(len(mask), -1, updates).sum(axis=1).ravel()
  expected = (spend.units or 0) * spend.probability
  variance = expected * (1 - spend.probability)
  freedom = len(sizes) - 1
  far = abs(sizes.mean() - expected) > 6 * math.sqrt(variance / len(sizes))
  ends = stats.chi2.ppf([_CHANCE, 1 - _CHANCE], freedom) / freedom * variance
  found = sizes.var(ddof=1)
  if far or not ends[0] <= found <= ends[1]:
    raise ValueError(
      f"{said}, of {expected:.1f} units with a variance of {variance:.1f}, and"
      f" the batches have {sizes.mean():.1f} with {found:.1f}: the sampler does"
      " not match the accountant"
    )
  words = words[:, 0]
  other = shown[1]["the batches' 'noise'"][:, 0]
  again = len(np.unique(words, axis=0)) < len(words)
  if again or (words == other).all(axis=1).any():
    raise ValueError(
      f"the noise of the spend {name!r} comes again, in another step or under"
      " another secret: it is no noise to whoever has seen it"
    )


def _probed(
  built: Experiment, claim: Claim, confidence: float
) -> dict[str, Any]:
  each = 1 - (1 - confidence) / max(len(claim.spends), 1)
  found = {}
  for name, spend in claim.spends.items():
    _logger.info("probe of %s", name)
    assert built.probes is not None
    scores = built.probes[name](_TRIALS)
    at_most = probes.noise_bound(*scores, each)
    if not math.isfinite(at_most):
      raise ValueError(
        f"the probe of {name!r} says nothing of the noise: its canary leaves no"
        " trace"
      )
    found[name] = {
      "claimed": spend.noise_multiplier,
      "at_most": at_most,
      "trials": _TRIALS,
    }
    if at_most < spend.noise_multiplier:
      left = spend._replace(noise_multiplier=at_most)
      others = [s for n, s in claim.spends.items() if n != name]
      least = accounting.epsilon([*others, left], claim.budget.delta, "rdp")
      raise ValueError(
        f"the audit contradicts the claim: the probe of {name!r} leaves a noise"
        f" multiplier of at most {at_most:.3g}, and the ledger has"
        f" {spend.noise_multiplier:.3g}; epsilon would be {least:.3g}, not"
        f" {claim.epsilon:.3g} (is the noise off, or the clip?)"
      )
  return found
