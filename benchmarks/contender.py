"""One contender in a process of its own: fit, clock, memory, quality.

  python benchmarks/contender.py '{"task": "fit", ...}'

`recommend.py` starts it; the last line of its output is the answer as JSON.
Each contender has its own process, so that no other one's memory, threads or
compiled programs count for it. Memory is read before the evaluator, which
needs JAX, is imported: the peers do without.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from adv_rec.data import dataset
from adv_rec.data.dataset import Dataset

# What a fit returns -> validation nDCG@10. That is a Scorer, or the tables
# (queries [U, D], keys [I, D]) whose products are the scores.
Quality = Callable[[Any], float]


class Contender(Protocol):
  """What can be raced; see peers.py and ours.py."""

  def ready(self, epochs: int) -> Callable[[], Any]:
    """An uninterrupted fit, to be called: the clock runs only then."""
    ...

  def curve(
    self, every: int, most: int, visit: Callable[[int, Any], None]
  ) -> None:
    """Shows what it has become on the way."""
    ...


def run(job: dict[str, Any]) -> dict[str, Any]:
  """Does one job.

  Args:
    job: "task" and its arguments, and "data", a prepared directory; for all
      but "evaluate" also "method", "settings", "cores", "seed".

  Returns:
    curve: {"curve": [[epochs, nDCG@10], ...]}, at each "every" of "most".
    fit: {"seconds", "quality": one for each of "repeats" (2 or more) fits of
      "epochs"; "first_seconds", compilation included; "warm_seconds", the
      median without; "before_mb", "peak_mb": the most memory of the process
      before and after the first fit}.
    epoch: {"seconds": of one epoch}, the median or mean of "epochs".
    evaluate: {"seconds": of "repeats" (2 or more) rankings of the test users,
      "warm_seconds": the median but for the first, "users": how many}.
  """
  data = dataset.load(job["data"])
  task = job["task"]
  if task == "evaluate":
    return evaluate(data, job["repeats"])
  contender = make(job, data)
  if task == "curve":
    quality = validation_quality(data)
    return {"curve": curve(contender, job["every"], job["most"], quality)}
  if task == "fit":
    return measure(
      contender, job["epochs"], job["repeats"], lambda: validation_quality(data)
    )
  if task == "epoch":
    return {"seconds": epoch_seconds(contender, job["epochs"])}
  raise ValueError(f"no task {task!r}")


def make(job: dict[str, Any], data: Dataset) -> Contender:
  """The contender that a job names."""
  import ours
  import peers

  if job["method"] in peers.LOOKS:
    return peers.make(
      job["method"], job["settings"], data, job["cores"], job["seed"]
    )
  return ours.make(job, data)


def curve(
  contender: Contender, every: int, most: int, quality: Quality
) -> list[tuple[int, float]]:
  """(epochs, validation nDCG@10) on the way."""
  points = []
  contender.curve(
    every, most, lambda epochs, tables: points.append((epochs, quality(tables)))
  )
  return points


def measure(
  contender: Contender,
  epochs: int,
  repeats: int,
  make_quality: Callable[[], Quality],
) -> dict[str, Any]:
  """Clocks whole fits, one after the other; see `run`.

  Args:
    contender: what to fit.
    epochs: of each fit.
    repeats: fits; the first one pays for compilation where there is any.
    make_quality: called once all fits are done, so that what it imports does
      not count as the contender's memory.
  """
  before, seconds, warm, peaks, fitted = _megabytes(), [], [], [], []
  for _ in range(repeats):
    fit = contender.ready(epochs)
    start = time.perf_counter()
    fitted.append(fit())
    seconds.append(time.perf_counter() - start)
    peaks.append(_megabytes())
    if hasattr(contender, "warm_seconds"):
      warm.append(contender.warm_seconds())
  quality = make_quality()
  return {
    "epochs": epochs,
    "first_seconds": seconds[0],
    "warm_seconds": statistics.median(warm or seconds[1:]),
    "seconds": seconds,
    "quality": [quality(tables) for tables in fitted],
    "before_mb": before,
    "peak_mb": peaks[0],
  }


def epoch_seconds(contender: Any, epochs: int) -> float:
  """Seconds of one epoch of a long fit, its start not counted.

  Ours reads its own log; for the others it is the difference between a fit of
  `epochs + 1` epochs and one of a single epoch, which pays the same start.
  """
  if hasattr(contender, "epoch_seconds"):
    return contender.epoch_seconds(epochs)
  contender.ready(1)()
  seconds = []
  for number in (1, epochs + 1):
    fit = contender.ready(number)
    start = time.perf_counter()
    fit()
    seconds.append(time.perf_counter() - start)
  return (seconds[1] - seconds[0]) / epochs


def validation_quality(data: Dataset) -> Quality:
  """What a fit returns -> validation nDCG@10, by our evaluator."""
  import jax.numpy as jnp

  from adv_rec.types import Scorer

  evaluator = _evaluator(data, "validation")

  def quality(fitted) -> float:
    if not isinstance(fitted, Scorer):
      fitted = _scorer(*map(jnp.asarray, fitted))
    return evaluator.accuracy(fitted)["ndcg@10"]

  return quality


def evaluate(data: Dataset, repeats: int) -> dict[str, Any]:
  """Seconds of ranking all test users by tables of 64 random numbers a row.

  What the numbers are does not matter to the clock, and so no one learns how
  good any model is on the test part.
  """
  import jax
  import numpy as np

  keys = jax.random.split(jax.random.key(0))
  shapes = (data.num_users, 64), (data.num_items, 64)
  tables = [jax.random.normal(*x) for x in zip(keys, shapes, strict=True)]
  evaluator, seconds = _evaluator(data, "test"), []
  for _ in range(repeats):
    start = time.perf_counter()
    evaluator.accuracy(_scorer(*tables))
    seconds.append(time.perf_counter() - start)
  return {
    "seconds": seconds,
    "warm_seconds": statistics.median(seconds[1:]),
    "users": len(np.unique(data.test.user)),
  }


def _evaluator(data: Dataset, part: str):
  from adv_rec.experiments import ranking, recommend

  config = recommend.default_config().evaluation
  return ranking.Evaluator(data, config, part, "train")


def _scorer(queries, keys):
  import jax

  from adv_rec.types import Scorer

  return Scorer(jax.tree_util.Partial(_take, queries), keys)


def _take(table, users):
  return table[users]


def _megabytes() -> float:
  """The most memory that this process has held so far (Linux: in KiB)."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
  print(json.dumps(run(json.loads(sys.argv[1]))))
