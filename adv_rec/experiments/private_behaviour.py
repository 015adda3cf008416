"""Made-up users with user-level privacy: config -> experiment.

The unit is a user with all rows. Four designs, each a few noisy sums over
users (`privacy.behaviour`) and what is drawn from them:

  popularity  counts; a made-up user has items by their counts.
  gram        and co-occurrences of the K most counted items, of which the
              leading eigenvectors stay; a made-up user has items that go with
              one of them.
  clusters    and, of clusters of these K items, who of all users is nearest
              to which, the counts of all items in each; a made-up user has
              items of one cluster.
  refined     as clusters, twice: the first counts say who is nearest.

What is public: the catalogue, the number of users, the config. The release is
workdir/synthetic.parquet: users of its own, items by their ids. Nothing else
of the workdir is: data/ holds the histories, and result.json compares with
what was kept back. workdir/privacy has the ledger and, until the release is
written, the secret. `scripts/release.py` makes a folder of the release.

A recommender is then trained on the release alone, and ranks for the real
users, each by its own history, which the release never saw in the clear.
"""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from adv_rec.data.dataset import Dataset, Pairs
from adv_rec.experiments import interactions, options, recommend, released
from adv_rec.experiments import tabular as tables
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.experiments.ranking import Evaluator, ranking_experiment
from adv_rec.games import recommend as games
from adv_rec.models import closed_form, fold_in, prototypes
from adv_rec.models.recommenders import MatrixFactorization
from adv_rec.privacy import accounting, behaviour, secret
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.behaviour import Sums
from adv_rec.privacy.ledger import Ledger
from adv_rec.training import parallel
from adv_rec.types import Params, Probe, Scorer, State

# Design -> its sums, and the part of the budget of each (of 1 / variance).
# Chosen on rows cut from Gowalla's train part, of users and not of a release.
DESIGNS = {
  "popularity": {"counts": 1.0},
  "gram": {"counts": 0.1, "gram": 0.9},
  "clusters": {"counts": 0.05, "gram": 0.35, "table": 0.6},
  "refined": {"counts": 0.05, "gram": 0.35, "table": 0.2, "again": 0.4},
}
RECOMMENDERS = ("ridge_svd", "ease")
UNIT = "user, all rows"


def behaviour_config() -> Config:
  """Options of private releases of behaviour."""
  config = recommend.default_config()
  config.experiment = "adv_rec.experiments.private_behaviour.release"
  config.update(
    {
      "design": "clusters",  # one of DESIGNS
      "privacy": {
        "noise": True,  # False: the same design without any, and no promise
        "epsilon": 8.0,
        "delta": 1e-5,
        "accountant": "pld",
        "most": 200,  # items of a user, at most
        "earlier": (),  # ledgers of runs before on these users, paid too
      },
      "top": 600,  # K
      "rank": 24,  # eigenvectors of their co-occurrences
      "clusters": 32,  # at most K
      "threshold": 2.0,  # of prototypes.strong
      "users": 0,  # made-up ones; 0: as many as there are
      "recommender": "ridge_svd",  # or ease; trained on the release
      "model": {"dim": 64},
      "user_exponent": 0.25,
      "item_exponent": 0.25,
      "l2": 5.0,
    }
  )
  return config


def release(config: Config, workdir: pathlib.Path) -> Experiment:
  """A release of made-up users, and what it teaches; see the top of this."""
  _check(config)
  data = interactions.open_dataset(config, workdir)
  if interactions.repeats(data) and config.recommender == "ease":
    raise ValueError(
      "config option recommender='ease': this protocol ranks what a user has"
      " already, which EASE by histories does not; choose ridge_svd"
    )
  _check_sizes(config, data)
  parallel.on_one_process(lambda: _make(config, data, workdir))
  made = read(workdir / "synthetic.parquet", data)
  shape = data.num_users, data.num_items
  fitted = interactions.fitted(data, config.fit)
  real = fold_in.matrix(*fitted, shape)
  users = int(made.user.max(initial=-1)) + 1
  synthetic = fold_in.matrix(*made, (users, data.num_items))
  params = _fit(config, synthetic, real)
  built = ranking_experiment(
    config,
    data,
    games.closed_form(lambda: {k: jnp.asarray(v) for k, v in params.items()}),
    _scorer,
  )

  def finish(state: State) -> dict[str, Any]:
    found = dict(built.finish(state))
    whole = _scorer(_fit(config, real, real))
    for part in ("validation", "test"):
      if f"{part}/users" in found["metrics"]:
        evaluator = Evaluator(data, config.evaluation, part, config.fit)
        popular = closed_form.popularity_scorer(
          closed_form.popularity(made.item, data.num_items)
        )
        found["metrics"] |= _beside(
          evaluator.accuracy(whole),
          evaluator.accuracy(popular),
          part,
          found["metrics"],
        )
    return found | {"privacy": _spent(config, workdir)}

  return built._replace(finish=finish, probes=_probes(config, workdir))


def _probes(config: Config, workdir: pathlib.Path) -> dict[str, Probe] | None:
  """Of each sum with the noise that its design has, whatever was written."""
  if not config.privacy.noise:
    return None
  p = config.privacy

  @functools.cache
  def noise() -> dict[str, float]:
    return calibrated(config, released.earlier(_ledger(config, workdir)))

  return behaviour.probes(DESIGNS[config.design], noise, p.most)


def _beside(
  whole: Mapping[str, float],
  popular: Mapping[str, float],
  part: str,
  metrics: Mapping[str, float],
) -> dict[str, float]:
  """The same recommender of the real rows, and popularity in the release.

  Args:
    whole: accuracies of the first.
    popular: of the second.
    part: that they are of.
    metrics: of the recommender of the release.

  Returns:
    "real_ndcg@k", "popular_ndcg@k", and "share_ndcg@k", what of the first
    the release reaches.
  """
  found = {}
  for name in (name for name in whole if name.startswith("ndcg@")):
    found[f"{part}/real_{name}"] = whole[name]
    found[f"{part}/popular_{name}"] = popular[name]
    reached = metrics[f"{part}/{name}"]
    found[f"{part}/share_{name}"] = reached / max(whole[name], 1e-12)
  return found


def _fit(
  config: Config, fitted: sparse.csr_array, served: sparse.csr_array
) -> Params:
  if config.recommender == "ease":
    return fold_in.ease(fitted, served, config.l2)
  return fold_in.ridge_svd(
    fitted,
    served,
    dim=config.model.dim,
    l2=config.l2,
    user_exponent=config.user_exponent,
    item_exponent=config.item_exponent,
    seed=config.seed,
  )


def _scorer(params: Params) -> Scorer:
  sizes = (len(params[name]) for name in ("user", "item"))
  return MatrixFactorization(*sizes).scorer(params)


def _make(config: Config, data: Dataset, workdir: pathlib.Path) -> None:
  """Writes the release, or finds it written.

  A run that is killed before that draws the same noise again, by its secret;
  after it, nothing of the data is looked at, and the secret is destroyed.
  """
  path, folder = workdir / "synthetic.parquet", workdir / "privacy"
  if not path.exists():
    shares = DESIGNS[config.design]
    if config.privacy.noise:
      ledger = _ledger(config, workdir)
      noise = calibrated(config, released.earlier(ledger))
      own = secret.keep(folder / "secret")
      for name in shares:
        ledger.spend(name, Gaussian(noise[name]), secret.digest(own))
    else:
      noise = dict.fromkeys(shares, 0.0)
      own = config.seed.to_bytes(secret.BYTES, "big")
    history = data.history(*config.fit.split("+"))
    rows = behaviour.bounded(
      *history,
      data.num_items,
      config.privacy.most,
      secret.generator(own, b"bounded"),
    )
    user, item = draw(config, Sums(rows, noise, own))
    ids = data.items["id"][item]
    tables.write(path, pa.table({"user": user, "item": pa.array(ids)}))
  secret.forget(folder / "secret")


def calibrated(
  config: Config, earlier: Sequence[Gaussian] = ()
) -> dict[str, float]:
  """The noise multiplier of each sum of a design: all cost the budget.

  Args:
    config: of a release.
    earlier: what runs before it have spent of the budget.
  """
  p, shares = config.privacy, DESIGNS[config.design]

  def all_sums(noise: float) -> list[Gaussian]:
    sums = [Gaussian(noise / math.sqrt(share)) for share in shares.values()]
    return [*earlier, *sums]

  least = accounting.calibrate(p.epsilon, p.delta, all_sums, p.accountant)
  return {name: least / math.sqrt(share) for name, share in shares.items()}


def draw(config: Config, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
  """Made-up users of a design. -> (user [N], item [N])."""
  counted = sums.counts("counts")
  # A user with n items adds sqrt(n) to the counts.
  users = len(sums.rows.indptr) - 1
  length = max(counted.sum() / users, 1.0) ** 2
  rng = np.random.default_rng([config.seed, 0])
  wanted = config.users or users

  def made(lists: np.ndarray, weights: np.ndarray):
    return prototypes.draw(lists, weights, wanted, length, rng)

  if config.design == "popularity":
    return made(np.maximum(counted, 0.0)[:, None], np.ones(1))
  size = min(config.top, len(counted))
  rank = min(config.rank, size)
  top = np.argsort(-counted, kind="stable")[:size]
  gram = sums.gram("gram", top)
  lists = np.zeros((len(counted), size))
  if config.design == "gram":
    values, vectors = prototypes.leading(gram, rank)
    lists[top] = prototypes.strong(
      vectors * values @ vectors.T, sums.noise["gram"], 1.0
    )
    return made(lists, np.maximum(counted[top], 0.0))
  clusters = min(config.clusters, size)
  label = prototypes.item_clusters(gram, counted[top], rank, clusters, rng)
  lists = np.zeros((len(counted), clusters))
  lists[top, label] = np.maximum(counted[top], 1.0)
  popular, weights = prototypes.popularity(counted), np.ones(clusters)
  for name in list(DESIGNS[config.design])[2:]:
    member = prototypes.members(sums.rows, lists, popular, weights)
    lists = prototypes.strong(
      sums.table(name, member, clusters), sums.noise[name], config.threshold
    )
    weights = lists.sum(axis=0)
  return made(lists, weights)


def read(path: pathlib.Path, data: Dataset) -> Pairs:
  """A release in the codes of the data's items."""
  made = pq.read_table(path)
  ids = data.items["id"]
  order = np.argsort(ids)
  at = np.searchsorted(ids, made["item"].to_numpy(), sorter=order)
  return Pairs(made["user"].to_numpy(), order[at].astype(np.int32))


def _ledger(config: Config, workdir: pathlib.Path) -> Ledger:
  return released.ledger(config, workdir / "privacy", UNIT)


def _spent(config: Config, workdir: pathlib.Path) -> dict[str, Any]:
  if not config.privacy.noise:
    return {"unit": UNIT, "noise": False}
  return released.spent(_ledger(config, workdir))


def _check_sizes(config: Config, data: Dataset) -> None:
  """Refuses what no recommender of this data could do: before it is bought."""
  least = min(data.num_users, data.num_items)
  if config.recommender == "ridge_svd" and config.model.dim > least:
    raise ValueError(
      f"config option model.dim={config.model.dim}: {data.num_users} users of"
      f" {data.num_items} items allow {least} at most"
    )
  longest = max(config.evaluation.ks)
  if longest > data.num_items:
    raise ValueError(
      f"config option evaluation.ks: lists of {longest}, and there are"
      f" {data.num_items} items"
    )


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  options.one_of(tuple(DESIGNS), config, "design")
  options.one_of(RECOMMENDERS, config, "recommender")
  options.one_of(accounting.ACCOUNTANTS, config, "privacy.accountant")
  options.at_least(
    1, config, "privacy.most", "top", "rank", "clusters", "model.dim"
  )
  options.at_least(0, config, "users", "threshold", "seed")
  options.above_zero(config, "privacy.epsilon", "privacy.delta", "l2")
  if config.privacy.delta >= 1:
    raise ValueError(
      f"config option privacy.delta={config.privacy.delta}: must be below 1"
    )
