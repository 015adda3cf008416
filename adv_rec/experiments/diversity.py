"""More varied rankings of a recommender's scores: config -> experiment."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.data.dataset import Dataset
from adv_rec.evaluation import ranking
from adv_rec.experiments import (
  experiment,
  interactions,
  learning,
  options,
  recommend,
)
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games.item_prices import item_prices as prices_game
from adv_rec.games.recommend import closed_form
from adv_rec.models import reranking
from adv_rec.training.step import init_state
from adv_rec.types import Params, Scorer

# Options of a base that are those of the whole config.
_SHARED = ("seed", "dataset", "data", "fit", "evaluation")
_USERS_AT_ONCE = 256
_SCALE_OF = 100  # candidates


class Base(NamedTuple):
  """What is ranked anew.

  Attributes:
    data: what it was fitted on.
    scorer: of all users.
    items: [U, C] int32 candidates, best first, none from the user's history;
      0 where there is none.
    scores: [U, C] of these, in units of the deviation of a user's hundred best,
      so that a bias weighs alike for all users, less the penalty; -inf there.
  """

  data: Dataset
  scorer: Scorer
  items: jax.Array
  scores: jax.Array


def base_config(folder: pathlib.Path, given: dict[str, str]) -> Config:
  """The config of a recommender, which the option base=NAME names.

  Args:
    folder: of the recommenders' configs.
    given: options; base is taken out.

  Raises:
    ValueError: there is no such recommender.
  """
  name = given.pop("base", "ridge_svd")
  file = folder / f"{name}.py"
  if not file.is_file():
    raise ValueError(
      f"config option base={name}: there is no {folder.name}/{name}.py in"
      " configs/; choose ease, say"
    )
  dataset = f"dataset={given['dataset']}" if "dataset" in given else ""
  return options.load(file, dataset)


def on_base(base: Config) -> Config:
  """The options of what is made of a recommender.

  Args:
    base: a recommender's config; all but data, seed, fit and evaluation, which
      are the new config's own, becomes its options "base".
  """
  config = recommend.default_config()
  config.base = {
    name: value for name, value in base.items() if name not in _SHARED
  }
  return config


def default_config(base: Config) -> Config:
  """What all share; see `on_base`."""
  config = on_base(base)
  config.candidates = 300  # of each user, which are ranked anew
  # The scores of an item that c users have are less by penalty x log(1 + c).
  config.penalty = 0.0
  return config


def mmr_config(base: Config) -> Config:
  """The default config of maximal marginal relevance."""
  config = default_config(base)
  config.experiment = "adv_rec.experiments.diversity.mmr"
  config.weight = 0.56  # of relevance; 1: the base's own ranking
  return config


def mmr(config: Config, workdir: pathlib.Path) -> Experiment:
  """Maximal marginal relevance; items are alike that the same users have."""
  if not 0 <= config.weight <= 1:
    raise ValueError(f"config option weight={config.weight}: a share, 0 to 1")
  base = _open(config, workdir)

  def lists():
    indptr, items = base.data.history(*config.fit.split("+"))
    users = np.repeat(np.arange(base.data.num_users), np.diff(indptr))
    shape = base.data.num_items, base.data.num_users
    owners = jnp.zeros(shape).at[items, users].set(1.0)
    return reranking.mmr(
      base.items, base.scores, owners, config.weight, max(config.evaluation.ks)
    )

  return ranking_experiment(
    config,
    base.data,
    closed_form(lambda: {"lists": lists()}),
    lambda params: reranking.lists_first(base.scorer, params["lists"]),
  )


def popularity_penalty_config(base: Config) -> Config:
  """The default config of the penalty on popularity."""
  config = default_config(base)
  config.experiment = "adv_rec.experiments.diversity.popularity_penalty"
  config.penalty = 1.1
  return config


def popularity_penalty(config: Config, workdir: pathlib.Path) -> Experiment:
  """The candidates by what the penalty leaves of their scores."""
  base = _open(config, workdir)
  no_bias = jnp.zeros(base.data.num_items)
  return ranking_experiment(
    config,
    base.data,
    closed_form(lambda: {"lists": _biased(config, base, no_bias)}),
    lambda params: reranking.lists_first(base.scorer, params["lists"]),
  )


def item_prices_config(base: Config) -> Config:
  """The default config of the game of prices."""
  config = default_config(base)
  config.experiment = "adv_rec.experiments.diversity.item_prices"
  config.update(
    {
      "strength": 2.6,  # of coverage, in deviations of the candidates' scores
      "places": 10,  # that coverage counts
      "learning_rate": 0.05,  # of the adversary; falls to 0 along a cosine
      "batch_size": 4096,  # users; all of them where there are fewer
      "epochs": 300,
      "evaluate_every": 0,  # epochs; 0: only at the end
      "checkpoint_every": 100,  # epochs
    }
  )
  return config


def item_prices(config: Config, workdir: pathlib.Path) -> Experiment:
  """Scores less the prices of an adversary that leaves the rare ones free."""
  options.at_least(0, config, "strength", "evaluate_every")
  options.at_least(
    1, config, "places", "batch_size", "epochs", "checkpoint_every"
  )
  options.above_zero(config, "learning_rate")
  if config.places > config.candidates:
    raise ValueError(
      f"config option places={config.places}: a user has no more than"
      f" candidates={config.candidates}"
    )
  base = _open(config, workdir)
  users = base.data.num_users
  size = min(config.batch_size, users)
  steps = max(users // size, 1)
  game = prices_game(
    users,
    base.data.num_items,
    optax.adam(
      optax.cosine_decay_schedule(config.learning_rate, config.epochs * steps)
    ),
    strength=config.strength,
    places=config.places,
  )

  def scorer(params: Params) -> Scorer:
    lists = _biased(config, base, -config.strength * params["price"])
    return reranking.lists_first(base.scorer, lists)

  items, scores = np.asarray(base.items), np.asarray(base.scores)

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng([config.seed, epoch]).permutation(users)
    return {"item": items[order], "score": scores[order]}

  return ranking_experiment(
    config,
    base.data,
    game,
    scorer,
    batching.stream(epoch_rows, users, size),
    learning.make_schedule(config, steps),
    player="adversary",
  )


def _biased(config: Config, base: Base, bias: jax.Array) -> jax.Array:
  k = max(config.evaluation.ks)
  return reranking.biased(base.items, base.scores, bias, k)


def open_base(config: Config, workdir: pathlib.Path) -> tuple[Dataset, Scorer]:
  """The data, and the base, a recommender in closed form, fitted on it.

  It is fitted again where a run is read, rather than kept in its checkpoints:
  that takes seconds, and its scores may be far more than what is learned.

  Args:
    config: with "base", see `base_config`.
    workdir: gets the prepared data.

  Raises:
    ValueError: the base is another kind of recommender.
  """
  of_base = recommend.default_config()
  for name in _SHARED:
    of_base[name] = config[name]
  of_base.update(config.base)
  found = experiment.build(of_base, workdir)
  if found.schedule.steps or found.scorer is None:
    raise ValueError(
      f"config option base: {of_base.title} is no recommender in closed form;"
      " choose ease, ials, item_knn, pure_svd or ridge_svd"
    )
  data = interactions.open_dataset(config, workdir)
  state = init_state(found.game, jax.random.key(config.seed))
  return data, found.scorer(state)


def _open(config: Config, workdir: pathlib.Path) -> Base:
  """Fits the base and asks it for candidates."""
  longest = max(config.evaluation.ks)
  options.at_least(longest, config, "candidates")
  options.at_least(0, config, "penalty")
  data, scorer = open_base(config, workdir)
  history = data.history(*config.fit.split("+"))
  ranked = ranking.top_k(
    scorer,
    np.arange(data.num_users),
    None if interactions.repeats(data) else history,
    None,
    min(config.candidates, data.num_items),
  ).items
  items = np.maximum(ranked, 0)
  scores = np.concatenate(
    [
      scorer.scores(jnp.asarray(users), jnp.asarray(items[users]))
      for users in np.array_split(
        np.arange(len(items)), -(-len(items) // _USERS_AT_ONCE)
      )
    ]
  )
  scores = np.where(ranked < 0, np.nan, scores)
  scale = np.nanstd(scores[:, :_SCALE_OF], axis=1, keepdims=True)
  scores = scores / np.where(scale > 0, scale, 1.0)
  counts = np.bincount(history[1], minlength=data.num_items)
  scores = scores - config.penalty * np.log1p(counts)[items]
  return Base(
    data,
    scorer,
    jnp.asarray(items),
    jnp.asarray(np.nan_to_num(scores, nan=-np.inf), jnp.float32),
  )
