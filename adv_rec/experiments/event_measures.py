"""Measures of a generator of event sequences, beside users it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from adv_rec.data.event_codes import AMOUNT, GAP, Coding, Sequences
from adv_rec.evaluation import events as measures
from adv_rec.evaluation.events import Meaning, Sample
from adv_rec.experiments.options import Config
from adv_rec.models.events import log_likelihood
from adv_rec.types import State

_SEED = 0  # of the windows of real users, whatever the run's seed
_DRAW = 1_000_003  # of the generated ones, beyond the run's


def measure(
  config: Config,
  coding: Coding,
  parts: Mapping[str, Sequences],
  model: Any,
  draw: Callable[[State, int, int], np.ndarray],
  day: int,
) -> Callable[[State, str], dict[str, float]]:
  """(state, part) -> how far generated sequences are from those of a part.

  Args:
    config: of the experiment.
    coding: of the events.
    parts: "train", and those to measure on.
    model: of `models.events`.
    draw: (state, sequences, seed) -> codes.
    day: units of time of a day.

  Returns:
    A function whose measures are named PART/NAME, and PART/real_NAME the same
    of the users learnt from; "nll" is nats per event of the part.
  """
  length = config.model.length
  names = [k.type for k in coding.kinds], [k.categories for k in coding.kinds]
  kind, category = (
    np.unique([str(x) for x in name], return_inverse=True)[1] for name in names
  )
  meaning = Meaning(kind, category, coding.sizes)
  fit = jax.jit(lambda params, codes: log_likelihood(model, params, codes))

  def sample(codes: np.ndarray, rng: np.random.Generator) -> Sample:
    numbers = []
    for i, bins in ((GAP, coding.gap), (AMOUNT, coding.amount)):
      cells = codes[..., i]
      values = bins.decode(np.maximum(cells, 0).ravel(), rng)
      numbers.append(np.where(cells < 0, 0, values.reshape(cells.shape)))
    return Sample(codes, numbers[0] / day, numbers[1])

  def measured(state: State, part: str) -> dict[str, float]:
    rng = np.random.default_rng([_SEED, *part.encode()])
    held, train = (
      sample(parts[name].windows(length, coding.end, rng), rng)
      for name in (part, "train")
    )
    made = draw(state, config.evaluation.samples, config.seed + _DRAW)
    learnt = parts["train"].codes
    found = {}
    for before, other, copy in (
      ("", sample(made, rng), made),
      ("real_", train, held.codes),
    ):
      values = {
        **measures.distances(held, other, meaning),
        "auc": measures.detection(held, other, meaning, config.seed),
        **measures.copies(learnt, copy, meaning),
      }
      found |= {before + name: value for name, value in values.items()}
    logs = fit(state.params["generator"], held.codes)
    events = (held.codes[..., AMOUNT] >= 0).sum()
    found["nll"] = -sum(float(np.sum(x)) for x in logs.values()) / events
    return {f"{part}/{name}": float(x) for name, x in found.items()}

  return measured
