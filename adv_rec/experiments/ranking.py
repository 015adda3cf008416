"""What experiments on recommenders share: the full ranking of their users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adv_rec.data import batching
from adv_rec.data.dataset import Dataset
from adv_rec.evaluation import diversity, ranking, ranking_metrics
from adv_rec.experiments import attacks
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.interactions import description, fitted, repeats
from adv_rec.experiments.options import Config
from adv_rec.training.loop import Schedule
from adv_rec.types import Game, Params, Scorer, State


class Evaluator:
  """Full ranking of the users of one part, as the protocol asks.

  All items are ranked except those of the user's history: train for the
  validation part, train and validation for the test part. Where the protocol
  says mask="none", no item is excepted.
  """

  def __init__(
    self,
    dataset: Dataset,
    config: Config,
    part: str,
    fit: str,
  ):
    """Prepares the masks.

    Args:
      dataset: the data.
      config: the options "evaluation": ks, user_block, users.
      part: "validation" or "test".
      fit: one of `FITS`; popularity is counted over what was fitted.

    Raises:
      ValueError: a list is longer than the catalogue.
    """
    history = ("train",) if part == "validation" else ("train", "validation")
    if repeats(dataset):
      history = ()
    self._part = part
    self._ks = _within(tuple(config.ks), dataset.num_items)
    self._user_block = config.user_block
    self._mask = dataset.history(*history)
    self._relevant = dataset.history(part)
    self._users = _sample(
      np.flatnonzero(np.diff(self._relevant[0])), config.get("users", 0)
    )
    fitted = dataset.history(*fit.split("+"))
    self._counts = np.bincount(fitted[1], minlength=dataset.num_items)
    self._train_users = int((np.diff(fitted[0]) > 0).sum())
    category = dataset.items.get("category")
    self._categories = None if category is None else codes(category)

  def rank(self, scorer: Scorer) -> ranking.Ranking:
    """The lists of all users of the part."""
    return ranking.top_k(
      scorer,
      self._users,
      self._mask,
      self._relevant,
      max(self._ks),
      user_block=self._user_block,
    )

  def accuracy(self, scorer: Scorer) -> dict[str, float]:
    """{"ndcg@10": ...}: means over users."""
    values = ranking_metrics.per_user(self.rank(scorer), self._ks)
    return ranking_metrics.summarize(values)

  def all(
    self, scorer: Scorer
  ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Accuracy and diversity, and the accuracy of each user.

    Returns:
      {"test/ndcg@10": ...}; and {"user": codes [U], "ndcg@10": [U], ...}.
    """
    ranked = self.rank(scorer)
    by_user = ranking_metrics.per_user(ranked, self._ks)
    values = ranking_metrics.summarize(by_user)
    for k in self._ks:
      values |= diversity.evaluate(
        ranked.items,
        k,
        self._counts,
        self._categories,
        train_users=self._train_users,
      )
    values = {f"{self._part}/{name}": value for name, value in values.items()}
    return values, {"user": self._users, **by_user}


def ranking_experiment(
  config: Config,
  data: Dataset,
  game: Game,
  scorer: Callable[[Params], Scorer],
  batches: batching.Batches | None = None,
  schedule: Schedule | None = None,
  tables: Sequence[str] = (),
  player: str = "model",
) -> Experiment:
  """An experiment that ends in a scorer, made of one of the players.

  Validation is watched where the model is not fitted on it, test always; a
  part without interactions is left out. A robustness curve is of validation
  where that is watched, else of test.

  Args:
    config: with "evaluation" and "fit".
    data: what the model is fitted and measured on.
    game: has that player.
    scorer: parameters of that player -> scorer of all users.
    batches: see `Experiment`.
    schedule: no steps by default, for models known without playing.
    tables: entries of the player's parameters that are embeddings, which an
      attack may move; none for models without.
    player: who becomes the scorer, by its averaged parameters if it has them.

  Raises:
    ValueError: config.evaluation.robustness, and nothing to attack.
  """
  parts = [
    part
    for part, watched in (
      ("validation", config.fit == "train"),
      ("test", True),
    )
    if watched and len(getattr(data, part).user)
  ]
  sizes = config.evaluation.robustness
  if sizes and not (tables and parts):
    missing = "evaluated part" if tables else "embeddings"
    raise ValueError(
      f"config option evaluation.robustness={tuple(sizes)}: {config.title} has"
      f" no {missing} to attack; leave it out"
    )
  evaluators = {
    part: Evaluator(data, config.evaluation, part, config.fit) for part in parts
  }

  def score(state: State) -> Scorer:
    return scorer(state.average.get(player, state.params[player]))

  def evaluate(state: State) -> dict[str, float]:
    values = evaluators["validation"].accuracy(score(state))
    return {f"validation/{name}": value for name, value in values.items()}

  attack = None
  if tables and parts:
    attack = attacks.on_embeddings(
      scorer,
      tables,
      fitted(data, config.fit),
      data.num_items,
      config.seed,
      {part: evaluator.accuracy for part, evaluator in evaluators.items()},
    )

  def finish(state: State) -> dict[str, Any]:
    result: dict[str, Any] = {"metrics": {}}
    for part, evaluator in evaluators.items():
      metrics, by_user = evaluator.all(score(state))
      result["metrics"] |= metrics
      if part == "test":
        result["per_user"] = by_user
    if attack and sizes:
      # Where validation is watched settings are being chosen, and robustness
      # is one of the things to choose them by.
      kinds = {name: attacks.by_name(name) for name in ("fgm", "random")}
      result["robustness"] = attack(state, kinds, sizes, parts[0])
    return result

  return Experiment(
    game=game,
    batches=batches,
    schedule=schedule or Schedule(),
    evaluate=evaluate if "validation" in evaluators else None,
    finish=finish,
    dataset=description(data, config.fit),
    watch="validation/ndcg@10",
    scorer=score,
    attack=attack,
  )


def _sample(users: np.ndarray, size: int) -> np.ndarray:
  """All users, or `size` of them: the same ones whatever the run's seed."""
  if not 0 < size < len(users):
    return users
  return np.sort(np.random.default_rng(0).choice(users, size, replace=False))


def _within(ks: tuple[int, ...], num_items: int) -> tuple[int, ...]:
  if max(ks) > num_items:
    short = tuple(k for k in ks if k <= num_items) or (1,)
    raise ValueError(
      f"config option evaluation.ks={ks}: lists of {max(ks)} are longer than"
      f" the catalogue of {num_items} items; shorten them, as in {short}"
    )
  return ks


def codes(names: np.ndarray) -> np.ndarray:
  """Names as integers, -1 where unknown."""
  known = np.array([name is not None for name in names], bool)
  codes = np.full(len(names), -1)
  codes[known] = np.unique(names[known].astype(str), return_inverse=True)[1]
  return codes
