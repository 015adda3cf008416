"""CFGAN: config -> experiment."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adv_rec.data import batching
from adv_rec.data.dataset import Pairs
from adv_rec.experiments import interactions, learning, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.gan import ACTIVATIONS, OBJECTIVES
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import ranking_experiment
from adv_rec.games.cfgan import cfgan as cfgan_game
from adv_rec.losses import gan as losses
from adv_rec.models.closed_form import fitted_scorer
from adv_rec.models.gan import Discriminator, Generator, sample
from adv_rec.models.recommenders import multi_hot
from adv_rec.types import Params, Scorer, State


def cfgan_config() -> Config:
  """The default config of CFGAN."""
  config = recommend.default_config()
  config.experiment = "adv_rec.experiments.cfgan.cfgan"
  config.update(
    {
      "by": "item",  # whose rows: "item" or "user"
      "objective": "non_saturating",  # see gan.OBJECTIVES
      # From here on the settings in the authors' code for MovieLens-100K.
      "model": {
        "latent": 0,  # width of the noise beside the condition
        "generator": (400,),
        "discriminator": (125,),
        "activation": "sigmoid",  # of hidden layers, see gan.ACTIVATIONS
      },
      "zero": {"weight": 0.03, "share": 0.7},  # zero reconstruction
      "mask": 0.7,  # share of empty cells in partial masking
      "l2": 0.001,  # of half the squared norm of the generator's parameters
      "average": 0.0,  # decay of the average generator; 0: none
      # Over all rows: a step is these, first of the one, then of the other.
      "passes": {"discriminator": 2, "generator": 4},
      "batch_size": 32,  # rows of an update
      "learning_rate": {"generator": 1e-4, "discriminator": 1e-4},
      "epochs": 250,  # steps, as "passes" says
      "evaluate_every": 25,  # epochs; 0: only at the end
      "checkpoint_every": 25,  # epochs
    }
  )
  return config


def cfgan(config: Config, workdir: pathlib.Path) -> Experiment:
  """CFGAN; also measures how far its answer is its condition."""
  _check(config)
  data = interactions.open_dataset(config, workdir)
  fitted = interactions.fitted(data, config.fit)
  by_item = config.by == "item"
  rows, cells = fitted[::-1] if by_item else fitted
  sizes = data.num_users, data.num_items
  num_rows, width = sizes[::-1] if by_item else sizes
  indptr, ids = _lists(rows, cells, (num_rows, width))
  filled = int((np.diff(indptr) > 0).sum())
  batch_size = min(config.batch_size, filled)
  updates = {
    player: passes * (filled // batch_size)
    for player, passes in config.passes.items()
  }
  activation = ACTIVATIONS[config.model.activation]
  generator = Generator(
    width,
    config.model.latent,
    config.model.generator,
    activation=activation,
  )
  game = cfgan_game(
    generator,
    Discriminator(config.model.discriminator, activation=activation),
    getattr(losses, config.objective)(),
    optax.adam(config.learning_rate.discriminator),
    # The penalty is a part of the loss, not decoupled: before Adam.
    optax.chain(
      optax.add_decayed_weights(config.l2),
      optax.adam(config.learning_rate.generator),
    ),
    zero_weight=config.zero.weight,
    zero_share=config.zero.share,
    mask_share=config.mask,
    discriminator_updates=updates["discriminator"],
    generator_updates=updates["generator"],
    average=config.average or None,
  )
  known = jnp.asarray(batching.padded_lists(indptr, ids, width))

  @jax.jit
  def answers(params: Params) -> jax.Array:
    """Of all items for all users, [I, U]."""
    x = multi_hot(known, width)
    y = sample(generator, params, jax.random.key(config.seed), len(x), x)
    return y if by_item else y.T

  def scorer(params: Params) -> Scorer:
    return fitted_scorer({"scores": answers(params)})

  experiment = ranking_experiment(
    config,
    data,
    game,
    scorer,
    batching.stream(
      batching.histories(indptr, ids, width, config.seed),
      filled,
      batch_size * max(updates.values()),
    ),
    learning.make_schedule(config, 1),
    player="generator",
  )
  finish = experiment.finish

  def finish_with_identity(state: State) -> dict[str, Any]:
    result = dict(finish(state))
    params = state.average.get("generator", state.params["generator"])
    share = identity(np.asarray(answers(params)), fitted)
    result["metrics"] = {**result["metrics"], "test/identity": share}
    return result

  return experiment._replace(finish=finish_with_identity)


def identity(scores: np.ndarray, fitted: Pairs) -> float:
  """How far the best answers are the condition itself.

  The share of a user's fitted items among as many of the highest scores, with
  nothing masked; the mean over users. 1 if the model gives back what it was
  given, which says nothing about what comes next.

  Args:
    scores: [I, U].
    fitted: the interactions that were the condition.
  """
  known = np.zeros(scores.shape, bool)
  known[fitted.item, fitted.user] = True
  counts = known.sum(axis=0)
  order = np.argsort(-scores, axis=0, kind="stable")
  best = np.take_along_axis(known, order, axis=0)
  within = np.arange(len(scores))[:, None] < counts
  shares = (best & within).sum(axis=0)[counts > 0] / counts[counts > 0]
  return float(shares.mean())


def _lists(
  rows: np.ndarray, cells: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """The distinct cells of each row: (indptr [R + 1], cells [N])."""
  pairs = np.unique(rows.astype(np.int64) * shape[1] + cells)
  row, cell = np.divmod(pairs, shape[1])
  counts = np.bincount(row, minlength=shape[0])
  return np.concatenate([[0], np.cumsum(counts)]), cell.astype(np.int32)


def _check(config: Config) -> None:
  """Refuses bad options before the data is prepared, which takes longer."""
  options.one_of(("item", "user"), config, "by")
  options.one_of(OBJECTIVES, config, "objective")
  options.one_of(tuple(ACTIVATIONS), config, "model.activation")
  options.at_least(
    1,
    config,
    "batch_size",
    "passes.discriminator",
    "passes.generator",
    "epochs",
    "checkpoint_every",
  )
  options.at_least(
    0,
    config,
    "evaluate_every",
    "model.latent",
    "zero.weight",
    "zero.share",
    "mask",
    "l2",
    "average",
  )
  options.above_zero(
    config, "learning_rate.generator", "learning_rate.discriminator"
  )
  for name, value in (
    ("zero.share", config.zero.share),
    ("mask", config.mask),
    ("average", config.average),
  ):
    if value > 1 or (name == "average" and value == 1):
      raise ValueError(f"config option {name}={value}: a share, at most 1")
