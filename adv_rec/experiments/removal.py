"""Recommenders that do not tell an attribute of users: config -> experiment.

Whether it can be told is asked of fresh classifiers, by cross-validation over
users, on the queries that the finished recommender serves with.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.data.dataset import Dataset
from adv_rec.evaluation import attributes
from adv_rec.experiments import diversity, learning, options
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games import removal as games
from adv_rec.games.recommend import closed_form
from adv_rec.models import erasure
from adv_rec.types import Params, Scorer, State

METHODS = ("none", "leace", "adversary")


def removal_config(base: Config) -> Config:
  """The default config; see `diversity.on_base`."""
  config = diversity.on_base(base)
  config.experiment = "adv_rec.experiments.removal.removal"
  config.update(
    {
      "method": "adversary",  # see METHODS
      "attribute": "gender",  # a column of the table of users
      "value": "",  # this one against all others; "": each is a class
      # Share of the users with a known attribute whose attribute removal is
      # told; below 1, the attackers are asked of the other ones.
      "told": 1.0,
      "hidden": 128,  # of the filter
      "weight": 10.0,  # of fooling the adversary
      "margin": 0.0,  # nats
      "learning_rate": 1e-3,
      "adversary": {
        "hidden": 64,  # of those that are not linear
        "learning_rate": 3e-3,
        "weight_decay": 0.01,
        "noise": 2.0,  # on what they learn from, in deviations
      },
      "batch_size": 2048,  # users; all of them where there are fewer
      "epochs": 1000,
      "evaluate_every": 0,  # epochs; 0: only at the end
      "checkpoint_every": 500,  # epochs
    }
  )
  return config


def removal(config: Config, workdir: pathlib.Path) -> Experiment:
  """A filter of queries, against adversaries or in closed form."""
  _check(config)
  data, base = diversity.open_base(config, workdir)
  if base.keys is None:
    raise ValueError(
      "config option base: its scores are no products of users and items;"
      " choose pure_svd, ridge_svd or ials"
    )
  label, classes = attribute(data, config.attribute, config.value)
  rng = np.random.default_rng([config.seed, 8])
  told = (rng.random(len(label)) < config.told) & (label >= 0)
  everyone = jnp.arange(data.num_users)
  queries, keys = base.queries(everyone), base.keys
  batches, schedule = None, None
  if config.method == "adversary":
    filtering = erasure.Filter(config.hidden)
    game = games.removal(
      np.asarray(queries),
      np.asarray(keys),
      np.where(told, label, -1),
      filtering,
      optax.adam(config.learning_rate),
      optax.adamw(
        config.adversary.learning_rate,
        weight_decay=config.adversary.weight_decay,
      ),
      weight=config.weight,
      margin=config.margin,
      hidden=((), (config.adversary.hidden,)),
      noise=config.adversary.noise,
      seed=config.seed,
    )
    apply = games.filtered(filtering, queries)
    size = min(config.batch_size, data.num_users)
    steps = max(data.num_users // size, 1)
    schedule = learning.make_schedule(config, steps)

    def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
      rng = np.random.default_rng([config.seed, epoch])
      return {"user": rng.permutation(data.num_users).astype(np.int32)}

    batches = batching.stream(epoch_rows, data.num_users, size)
  else:
    game = closed_form(
      lambda: _linear(config.method, queries, label, told, len(classes))
    )

  def served(params: Params) -> jax.Array:
    """The queries of all users [U, D]."""
    if config.method == "adversary":
      return apply(params, everyone)
    return erasure.erase(params, queries)

  player = "recommender" if config.method == "adversary" else "model"
  made = ranking_experiment(
    config,
    data,
    game,
    lambda params: Scorer(jax.tree_util.Partial(_take, served(params)), keys),
    batches,
    schedule,
    player=player,
  )
  asked = (label >= 0) & ~told if config.told < 1 else label >= 0

  def finish(state: State) -> dict[str, Any]:
    result = dict(made.finish(state))
    rows = np.asarray(served(state.params[player]))[asked]
    found = attacked(rows, label[asked], len(classes), config.seed)
    result["metrics"] |= {f"test/{name}": v for name, v in found.items()}
    return result

  dataset = dict(made.dataset)
  dataset["attribute"] = {
    "name": config.attribute,
    "classes": list(classes),
    "known": int((label >= 0).sum()),
  }
  return made._replace(finish=finish, dataset=dataset)


def attacked(
  rows: np.ndarray, label: np.ndarray, classes: int, seed: int
) -> dict[str, float]:
  """What fresh classifiers tell of an attribute.

  Args:
    rows: representations [N, D].
    label: [N].
    classes: C.
    seed: of the folds, and of what is drawn.

  Returns:
    "logistic_accuracy" and so on; "attack_accuracy", "attack_balanced" and
    "attack_auc", the highest of any classifier; "majority"; and
    "above_majority", how far the first lies above it.
  """
  found = {}
  for name in attributes.CLASSIFIERS:
    chance = attributes.cross_validated(name, rows, label, classes, seed)
    run = attributes.scores(label, chance)
    for metric in ("accuracy", "balanced", "auc"):
      found[f"{name}_{metric}"] = run[metric]
  for metric in ("accuracy", "balanced", "auc"):
    found[f"attack_{metric}"] = max(
      found[f"{name}_{metric}"] for name in attributes.CLASSIFIERS
    )
  majority = float(np.bincount(label).max() / len(label))
  above = found["attack_accuracy"] - majority
  return found | {"majority": majority, "above_majority": above}


def attribute(
  data: Dataset, name: str, value: str
) -> tuple[np.ndarray, tuple[str, ...]]:
  """The class of each user [U], -1 where not known; and their names.

  Raises:
    ValueError: no such column, no such value, or one class only.
  """
  if name not in data.users or name == "id":
    there = ", ".join(sorted(set(data.users) - {"id"})) or "none"
    raise ValueError(
      f"config option attribute={name}: the users of {data.name} have no such"
      f" column; there are: {there}"
    )
  column = data.users[name]
  known = np.array([v is not None and v == v for v in column], bool)
  text = np.array([str(v) for v in column])
  classes = tuple(np.unique(text[known]).tolist())
  if value:
    if value not in classes:
      raise ValueError(
        f"config option value={value}: {name} is one of {', '.join(classes)}"
      )
    text = np.where(text == value, value, "other")
    classes = (value, "other")
  if len(classes) < 2:
    raise ValueError(
      f"config option attribute={name}: all users are alike in it"
    )
  at = {name: code for code, name in enumerate(classes)}
  codes = [at[t] if there else -1 for t, there in zip(text, known, strict=True)]
  return np.array(codes), classes


def _linear(
  method: str,
  queries: jax.Array,
  label: np.ndarray,
  told: np.ndarray,
  classes: int,
) -> Params:
  if method == "none":
    width = queries.shape[1]
    return {"mean": jnp.zeros(width), "map": jnp.zeros((width, width))}
  one_hot = jax.nn.one_hot(label[told], classes)
  return erasure.leace(queries[np.flatnonzero(told)], one_hot)


def _take(table: jax.Array, users: jax.Array) -> jax.Array:
  return table[users]


def _check(config: Config) -> None:
  options.one_of(METHODS, config, "method")
  options.at_least(1, config, "adversary.hidden", "batch_size", "epochs")
  options.at_least(
    0,
    config,
    "hidden",
    "weight",
    "adversary.noise",
    "adversary.weight_decay",
    "evaluate_every",
  )
  options.at_least(1, config, "checkpoint_every")
  options.above_zero(config, "learning_rate", "adversary.learning_rate", "told")
  if config.told > 1:
    raise ValueError(f"config option told={config.told}: a share, at most 1")
