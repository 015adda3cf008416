"""Our methods as contenders, from the public pieces and the configs."""

from __future__ import annotations

import json
import pathlib
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from peers import Tables

from adv_rec.data.dataset import Dataset
from adv_rec.experiments import experiment, interactions, options
from adv_rec.models import closed_form, ials, svd
from adv_rec.training import loop
from adv_rec.types import Scorer, State

CONFIGS = pathlib.Path(__file__).parents[1] / "configs" / "recommend"

# Options beside those of the configs, chosen on the validation part to come
# soon to the peers' quality rather than late to the best one.
SETTINGS: dict[str, dict[str, str]] = {
  "completejourney": {
    "ridge SVD": "model.dim=48,l2=150.0,sketch=1.5,passes=3",
    "EASE": "",
    "iALS": "",
    "BPR": "batch_size=16384,learning_rate=0.05,l2=0.003",
    "softmax": "",
  },
  "ml100k_random": {
    "ridge SVD": "model.dim=24,l2=5.0,sketch=1.5,passes=4",
    "EASE": "",
    "iALS": "",
    "BPR": "learning_rate=0.1,l2=0.003",
    "softmax": "",
  },
}
# (epochs between two looks at the validation part, most epochs)
LOOKS = {
  "ridge SVD": (1, 1),
  "EASE": (1, 1),
  "iALS": (1, 16),
  "BPR": (5, 100),
  "softmax": (2, 60),
}
# Whose quality each must reach: of all peers, or of those of the same kind.
RIVALS = {"iALS": ("implicit ALS",), "BPR": ("implicit BPR", "cornac BPR")}
_NAMES = {
  "ridge SVD": "ridge_svd",
  "EASE": "ease",
  "iALS": "ials",
  "BPR": "bpr",
  "softmax": "softmax",
}


def make(job: dict[str, Any], data: Dataset) -> Any:
  """A contender; "settings" of the job are options of its config."""
  config = options.load(
    CONFIGS / f"{_NAMES[job['method']]}.py",
    f"dataset={data.name},data.prepared={job['data']},seed={job['seed']},"
    f"evaluation.ks=(10,),{job['settings']}",
  )
  kinds = {"EASE": _ease, "ridge SVD": _ridge_svd, "iALS": Ials}
  return kinds.get(job["method"], Trained)(config, data)


class Closed:
  """A closed form: it knows no epochs, and is fitted at once."""

  def __init__(self, fit: Callable[[], Any]):
    self._fit = fit

  def ready(self, epochs: int) -> Callable[[], Any]:
    """The fit, to be called."""
    del epochs
    return self._fit

  def curve(
    self, every: int, most: int, visit: Callable[[int, Any], None]
  ) -> None:
    """The one point there is."""
    del every, most
    visit(1, self._fit())


def _ease(config: Any, data: Dataset) -> Closed:
  """EASE, which has scores instead of tables."""
  train, shape = (
    interactions.fitted(data, "train"),
    (data.num_users, data.num_items),
  )

  def fit() -> Scorer:
    params = closed_form.ease(*train, shape, config.l2)
    return closed_form.fitted_scorer(jax.block_until_ready(params))

  return Closed(fit)


def _ridge_svd(config: Any, data: Dataset) -> Closed:
  """PureSVD's ridge form, by as few passes as will do."""
  train, shape = (
    interactions.fitted(data, "train"),
    (data.num_users, data.num_items),
  )
  spectrum = svd.Spectrum(config.user_exponent, config.item_exponent, config.l2)

  def fit() -> Tables:
    params = svd.svd(
      *train,
      shape,
      spectrum,
      dim=config.model.dim,
      key=jax.random.key(config.seed),
      sketch=config.sketch,
      passes=config.passes,
    )
    return jax.block_until_ready((params["user"], params["item"]))

  return Closed(fit)


class Ials:
  """iALS."""

  def __init__(self, config: Any, data: Dataset):
    self._train = interactions.fitted(data, "train")
    self._shape = data.num_users, data.num_items
    self._dim, self._key = config.model.dim, jax.random.key(config.seed)
    self._objective = ials.Objective(
      config.unobserved_weight, config.l2, config.exponent
    )

  def ready(self, epochs: int) -> Callable[[], Tables]:
    """The fit, to be called."""

    def fit() -> Tables:
      params = ials.ials(
        *self._train,
        self._shape,
        self._objective,
        dim=self._dim,
        epochs=epochs,
        key=self._key,
      )
      return jax.block_until_ready((params["user"], params["item"]))

    return fit

  def curve(
    self, every: int, most: int, visit: Callable[[int, Tables], None]
  ) -> None:
    """Each point from the start: another number of epochs, another program."""
    for epochs in range(every, most + 1, every):
      visit(epochs, self.ready(epochs)())


class Trained:
  """BPR-MF, or MF with a full softmax: played by the training loop."""

  def __init__(self, config: Any, data: Dataset):
    self._config = config
    self._users, self._items = data.num_users, data.num_items
    self._rows = len(data.train.user)
    self._log: list[float] = []  # of the last run: seconds after each epoch
    self._epoch_rows = 0

  def ready(self, epochs: int) -> Callable[[], Tables]:
    """A run of the loop, its log and last checkpoint included, to be called."""
    return self._run(epochs, 0, None)

  def curve(
    self, every: int, most: int, visit: Callable[[int, Tables], None]
  ) -> None:
    """One run, looked at on the way."""
    self._run(most, every, visit)()

  def warm_seconds(self) -> float:
    """Of the last run, had its program been compiled before.

    Its first epoch, with which it compiles, counts as much as the others.
    """
    return self._log[-1] - self._log[0] + self._epoch()

  def epoch_seconds(self, epochs: int) -> float:
    """Seconds for as many triples as there are interactions, at dimension 64.

    The median of the epochs of a run but the first.
    """
    self.ready(epochs + 1)()
    return self._epoch() * self._rows / self._epoch_rows

  def _epoch(self) -> float:
    return statistics.median(np.diff(self._log))

  def _run(
    self,
    epochs: int,
    every: int,
    visit: Callable[[int, Tables], None] | None,
  ) -> Callable[[], Tables]:
    config = self._config.copy_and_resolve_references()
    config.update({"epochs": epochs, "checkpoint_every": epochs})
    folder = tempfile.TemporaryDirectory()
    workdir = pathlib.Path(folder.name)
    made = experiment.build(config, workdir)
    epoch_steps = made.schedule.dispatch
    schedule = made.schedule._replace(evaluate=every * epoch_steps)
    self._epoch_rows = epoch_steps * config.batch_size

    def look(state) -> dict[str, float]:
      assert visit is not None
      visit(int(state.step) // epoch_steps, self._tables(state))
      return {}

    def run() -> Tables:
      with folder:
        state = loop.train(
          made.game,
          made.batches,
          schedule,
          workdir,
          config.seed,
          look if visit else None,
          progress=False,
        )
        lines = (workdir / "metrics.jsonl").read_text().splitlines()
        self._log = [json.loads(line)["wall_seconds"] for line in lines]
        return jax.block_until_ready(self._tables(state))

    return run

  def _tables(self, state: State) -> Tables:
    tables = state.params["model"]
    return tables["user"][: self._users], tables["item"][: self._items]
