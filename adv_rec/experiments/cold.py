"""What experiments on cold items share: content, protocol, evaluation."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import batching, sources
from adv_rec.data import cold as protocol
from adv_rec.data import content as features
from adv_rec.data.cold import Cold
from adv_rec.data.dataset import Dataset, Pairs
from adv_rec.evaluation import diversity, ranking, ranking_metrics
from adv_rec.experiments import interactions, options, recommend
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.models.content import ContentModel
from adv_rec.training import parallel
from adv_rec.training.loop import Schedule
from adv_rec.types import Game, Params, Scorer, State


class Setting(NamedTuple):
  """What a method is given.

  Attributes:
    cold: which items are cold, and the interactions.
    encoder: of the content of new items.
    content: [I, L], of the items of the dataset.
  """

  cold: Cold
  encoder: features.Encoder
  content: np.ndarray

  @property
  def shape(self) -> tuple[int, int]:
    """(U, I)."""
    return self.cold.data.num_users, self.cold.data.num_items

  @property
  def warm(self) -> np.ndarray:
    """[W] codes of the warm items."""
    return np.flatnonzero(self.cold.kind == protocol.WARM)

  def chosen(self) -> np.ndarray:
    """[W, U] bool, whether a user has a warm item; W x U bytes."""
    known = np.zeros(self.shape[::-1], bool)
    known[self.cold.data.train.item, self.cold.data.train.user] = True
    return known[self.warm]


# Columns whose pairs of values say more than each alone.
PAIRS = {
  "completejourney": "manufacturer_id*category+manufacturer_id*product_type"
  "+brand*product_type+product_type*package_size+category*package_size",
}


def default_config(arg: str = "") -> Config:
  """What all methods share: data, cold items, content, evaluation.

  Args:
    arg: the options of the command line, for the dataset among them.
  """
  config = recommend.default_config()
  dataset = options.parse(arg).get("dataset", str(config.dataset))
  config.fit = "train+validation"  # of these, the interactions of warm items
  config.data["items"] = ""  # own table of items, CSV or Parquet
  config.data.item_id = "id"  # its column of ids
  config.cold = {"validation_share": 0.1, "test_share": 0.2}
  config.content = {
    "columns": "",  # as in "brand+size"; empty: all
    "words": "",  # those to read word by word
    # Columns whose pairs of values count too, as in "brand*size".
    "pairs": PAIRS.get(dataset, ""),
    "at_least": 2,  # items that must share a value
  }
  return config


def prepare(config: Config, workdir: pathlib.Path) -> Setting:
  """Data, cold items and features, from the workdir or into it.

  Raises:
    ValueError: bad data or options.
    FileNotFoundError: the data is not there.
  """
  options.at_least(1, config, "content.at_least")
  options.above_zero(config, "cold.validation_share", "cold.test_share")
  data = interactions.open_dataset(config, workdir)
  columns = _content(config, workdir, data)
  cold = protocol.hold_out(
    data,
    config.fit,
    config.cold.validation_share,
    config.cold.test_share,
    config.seed,
  )
  encoder = features.fit(
    columns,
    cold.kind == protocol.WARM,
    _names(config.content.columns),
    _names(config.content.words),
    _pairs(config.content.pairs),
    config.content.at_least,
  )
  return Setting(cold, encoder, features.encode(encoder, columns))


def _names(text: str) -> list[str]:
  return [name for name in text.split("+") if name]


def _pairs(text: str) -> list[tuple[str, str]]:
  pairs = [tuple(pair.split("*")) for pair in _names(text)]
  for pair in pairs:
    if len(pair) != 2:
      raise ValueError(
        f"config option content.pairs={text}: write two columns a pair, as in"
        " brand*size+category*size"
      )
  return [(one, two) for one, two in pairs]


def _content(
  config: Config, workdir: pathlib.Path, data: Dataset
) -> dict[str, np.ndarray]:
  """The content of the items, kept beside the data on the first call."""
  path = workdir / "data" / "content.parquet"

  def make() -> None:
    if path.exists():
      return
    label = config.data["items"]
    if label:
      table = features.read(label, config.data.item_id)
    else:
      found = sources.content(config.dataset, config.data.path or None)
      table = pa.table(data.items) if found is None else found
    if table.column_names == ["id"]:
      raise ValueError(
        f"the items of {data.name} have no content; give a table of them,"
        " data.items=FILE, with a column of ids (data.item_id=NAME) and others"
      )
    table = features.of_items(table, data.items["id"], label)
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(table, temporary)
    os.replace(temporary, path)

  parallel.on_one_process(make)
  return features.columns(pq.read_table(path))


class Judge(NamedTuple):
  """Ranks some items for the users who have some of them.

  Attributes:
    items: [K] codes of the candidates.
    mask: over the places of the candidates, or None.
    relevant: likewise.
  """

  items: np.ndarray
  mask: ranking.Csr | None
  relevant: ranking.Csr

  @property
  def users(self) -> np.ndarray:
    """Those with a relevant item."""
    return np.flatnonzero(np.diff(self.relevant[0]))

  def rank(self, scorer: Scorer, config: Config) -> ranking.Ranking:
    """Lists of places among the candidates, by a scorer of these alone."""
    return ranking.top_k(
      scorer,
      self.users,
      self.mask,
      self.relevant,
      max(config.ks),
      user_block=config.user_block,
    )


def judges(setting: Setting) -> dict[str, Judge]:
  """Cold items among themselves, "validation" and "test"; or "all" items.

  Of "all", the candidates are the warm items that the user is not known to
  have and the cold ones of the test, and relevant is what the user has in the
  test part of the dataset, warm or cold.
  """
  cold, users = setting.cold, setting.shape[0]

  def alone(kind: int, pairs: Pairs) -> Judge:
    items = np.flatnonzero(cold.kind == kind)
    return Judge(items, None, protocol.lists(pairs, users, items))

  every = np.flatnonzero(cold.kind != protocol.VALIDATION)
  mask = None
  if not interactions.repeats(cold.data):
    mask = protocol.lists(cold.data.train, users, every)
  return {
    "validation": alone(protocol.VALIDATION, cold.data.validation),
    "test": alone(protocol.TEST, cold.data.test),
    "all": Judge(every, mask, protocol.lists(cold.later, users, every)),
  }


def cold_experiment(
  config: Config,
  setting: Setting,
  game: Game,
  model: Callable[[State], tuple[ContentModel, Params]],
  batches: batching.Batches | None = None,
  schedule: Schedule | None = None,
) -> Experiment:
  """An experiment that ends in a recommender of new items.

  Args:
    config: from `default_config`.
    setting: from `prepare`.
    game: the players.
    model: state -> the recommender and its parameters.
    batches: see `Experiment`.
    schedule: no steps by default, for models known without playing.
  """
  found = judges(setting)
  ks = config.evaluation.ks

  def score(state: State, content: np.ndarray) -> Scorer:
    recommender, params = model(state)
    return recommender.scorer(params, jnp.asarray(content))

  def measured(state: State, name: str):
    judge = found[name]
    scorer = score(state, setting.content[judge.items])
    ranked = judge.rank(scorer, config.evaluation)
    by_user = ranking_metrics.per_user(ranked, ks)
    return ranked, by_user, ranking_metrics.summarize(by_user)

  def evaluate(state: State) -> dict[str, float]:
    _, _, values = measured(state, "validation")
    return {f"validation/{name}": value for name, value in values.items()}

  def finish(state: State) -> dict[str, Any]:
    ranked, by_user, values = measured(state, "test")
    for k in ks:
      shown = diversity.exposure(ranked.items[:, :k], len(found["test"].items))
      values[f"coverage@{k}"] = float((shown > 0).sum())
    if len(found["all"].users):
      lists, _, overall = measured(state, "all")
      values |= {f"all_{name}": value for name, value in overall.items()}
      kind = setting.cold.kind[found["all"].items] == protocol.TEST
      for k in ks:
        values[f"cold_share@{k}"] = diversity.mean_over_lists(
          lists.items[:, :k], kind
        )
    metrics = {f"test/{name}": value for name, value in values.items()}
    return {
      "metrics": evaluate(state) | metrics,
      "per_user": {"user": found["test"].users, **by_user},
    }

  def new_items(state: State, columns: features.Columns) -> Scorer:
    missing = [n for n in setting.encoder.columns if n not in columns]
    if missing:
      raise ValueError(
        f"the new items have no column {missing[0]!r}; the run was trained on"
        f" {', '.join(setting.encoder.columns)} (cells may be empty)"
      )
    return score(state, features.encode(setting.encoder, columns))

  return Experiment(
    game=game,
    batches=batches,
    schedule=schedule or Schedule(),
    evaluate=evaluate,
    finish=finish,
    dataset=_description(setting, config.fit),
    watch="validation/ndcg@10",
    scorer=lambda state: score(state, setting.content),
    new_items=new_items,
  )


def _description(setting: Setting, fit: str) -> dict[str, Any]:
  described = interactions.description(setting.cold.data, fit)
  described["protocol"] |= {
    "mask": "nothing, as nobody has a cold item",
    "candidates": "the cold items alone",
    "features": setting.encoder.size,
  }
  return described
