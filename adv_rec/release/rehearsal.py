"""A dress rehearsal: what a private run does with rows that are nobody's.

The experiment is built twice, on tables made up from the declared schema, in
scratch workdirs with ledgers of their own. So nothing is spent, and what is
wrong shows before anything is:

  preprocessing  two tables of one schema, as different as they can be, must
                 become games of one shape, and samples on the declared grid;
                 otherwise something is learnt from rows without an account
  ledger         what is spent is what there is a probe of, by name
  sampler        batches are as the account of their spend has them, and other
                 ones under another secret
  mechanism      a probe of each spend finds as much noise as is claimed
"""

from __future__ import annotations

import logging
import math
import pathlib
from typing import Any

import jax
import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from adv_rec.data import declared, tabular
from adv_rec.data.tabular import Schema
from adv_rec.experiments import experiment
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.privacy import accounting, probes
from adv_rec.release import claims
from adv_rec.release.claims import Claim
from adv_rec.training.step import init_state

_logger = logging.getLogger(__name__)

_MOST_ROWS = 20_000
_TRIALS = 300
_SAMPLES = 200  # batches whose sizes are looked at
_CHANCE = 1e-6  # of refusing a sampler that is right


def rehearse(
  config: Config,
  schema: Schema,
  rows: int,
  folder: pathlib.Path,
  confidence: float,
) -> tuple[Claim, dict[str, Any]]:
  """Builds the experiment on made-up rows and looks at what it does.

  Args:
    config: of a private run.
    schema: that is declared.
    rows: of the real table.
    folder: scratch; emptied by the caller.
    confidence: of all probes together.

  Returns:
    What it has spent; and of each spend by name its noise multiplier,
    "claimed", "at_most", the upper end that its probe leaves (None: any), and
    "trials".

  Raises:
    ValueError: what the rehearsal finds wrong, in one line.
  """
  rows = min(rows, _MOST_ROWS)
  _logger.info("rehearsal on %d made-up rows", rows)
  built = {}
  for name, alike in (("various", False), ("alike", True)):
    table = declared.made_up(schema, rows, seed=0, alike=alike)
    (folder / name).mkdir(parents=True)
    pq.write_table(table, folder / f"{name}.parquet")
    tabular.save(folder / "schema.json", schema)
    changed = config.copy_and_resolve_references()
    changed.data.path = str(folder / f"{name}.parquet")
    changed.data.schema = str(folder / "schema.json")
    built[name] = experiment.build(changed, folder / name)
  various, alike = built["various"], built["alike"]
  claim = claims.read(folder / "various")
  _check_preprocessing(config, schema, various, alike)
  _check_names(various, claim)
  _check_sampler(various, alike, claim)
  return claim, _probed(various, claim, confidence)


def _check_preprocessing(
  config: Config, schema: Schema, various: Experiment, alike: Experiment
) -> None:
  def shapes(built):
    key = jax.random.key(0)
    state = jax.eval_shape(lambda: init_state(built.game, key))
    return jax.tree.map(lambda x: (x.shape, str(x.dtype)), state)

  told = "an unaccounted look at the rows: declare what it learns, or buy it"
  if shapes(various) != shapes(alike) or various.schedule != alike.schedule:
    raise ValueError(
      "preprocessing learns from the rows: two tables of one schema become"
      f" games of different sizes, which is {told}"
    )
  if alike.sample is None:
    raise ValueError(
      "this experiment draws no rows, so that none can be released"
    )
  state = init_state(alike.game, jax.random.key(0))
  made = alike.sample(state, 200, 0)
  try:
    on_grid = declared.snapped(made, schema, config.data.bins).equals(made)
  except ValueError as error:
    raise ValueError(
      f"what is generated is not as declared: {error}"
    ) from error
  if not on_grid:
    raise ValueError(
      "generated numbers are not those of the declared bounds and"
      f" data.bins={config.data.bins}, but learnt from the rows: {told}"
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
  various: Experiment, alike: Experiment, claim: Claim
) -> None:
  """Sizes of batches against the binomial distribution that is accounted."""
  for name, spend in claim.spends.items():
    if spend.sampler != "poisson":
      continue
    said = f"the spend {name!r} is accounted as of Poisson samples"
    batches = various.batches(0, _SAMPLES) if various.batches else {}
    if not {"mask", "noise"} <= batches.keys():
      raise ValueError(
        f"{said}, and the batches are none: they have no mask of the rows that"
        " are there, or no noise; take them from data.poisson"
      )
    updates = spend.count // various.schedule.steps
    mask = np.asarray(batches["mask"])
    rows = mask.shape[1] // max(updates, 1)
    sizes = mask[:, : rows * updates].reshape(len(mask), rows, updates)
    sizes = sizes.sum(axis=1).ravel()
    expected = (spend.units or 0) * spend.probability
    variance = expected * (1 - spend.probability)
    freedom = len(sizes) - 1
    far = abs(sizes.mean() - expected) > 6 * math.sqrt(variance / len(sizes))
    ends = stats.chi2.ppf([_CHANCE, 1 - _CHANCE], freedom) / freedom * variance
    if far or not ends[0] <= sizes.var(ddof=1) <= ends[1]:
      raise ValueError(
        f"{said}, of {expected:.1f} units with a variance of {variance:.1f},"
        f" and the batches have {sizes.mean():.1f} with"
        f" {sizes.var(ddof=1):.1f}: the sampler does not match the accountant"
      )
    words = np.asarray(batches["noise"])[:, 0]
    other = np.asarray(alike.batches(0, 1)["noise"])[:, 0]  # pyright: ignore
    if (
      len(np.unique(words, axis=0)) < len(words)
      or (words == other).all(1).any()
    ):
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
    found[name] = {
      "claimed": spend.noise_multiplier,
      "at_most": at_most if math.isfinite(at_most) else None,
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
