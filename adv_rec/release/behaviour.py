"""Made-up users as the subject of a release: the unit is a user, all rows.

What is released is workdir/synthetic.parquet as it is, the rows that utility
was measured of (`experiments.private_behaviour`): users of its own, items by
their ids.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import dataset as prepared
from adv_rec.data import writer
from adv_rec.data.tabular import Column
from adv_rec.evaluation import audit_histories
from adv_rec.experiments import private_behaviour
from adv_rec.experiments.experiment import Experiment, write_json
from adv_rec.experiments.options import Config
from adv_rec.models import fold_in
from adv_rec.release import declares, measured, rows
from adv_rec.release.claims import Claim
from adv_rec.release.subject import Options, Subject, check_log
from adv_rec.types import State

_REHEARSED = 500  # made-up users and items, or more if the recommender needs it
_MADE = "synthetic.parquet"
_PUBLIC = (
  "Public are the item catalogue, the number of users and the options of the"
  " run. Which items and users there are was decided when the log was prepared"
  " (the least numbers of purchases that a user or an item must have, the dates"
  " of a split) and without noise: that an item is in the catalogue says that"
  " enough users had it.",
  "Made-up users are nobody: user 17 of these rows is no user of the log, and"
  " the order of the rows says nothing of time.",
  "Noise is drawn in 64 bits; the guarantee is that of exact noise.",
)
_NOTE = (
  "Outside of the guarantee: these figures are computed without noise, utility"
  " on what {users} real users did after what was learnt from, closeness on the"
  " histories that were learnt from. They are rounded to {digits} digits, which"
  " hides little."
)


def subject(config: Config, options: Options) -> Subject:
  """The made-up users of a config of `experiments.private_behaviour`.

  Raises:
    ValueError: an option that has no meaning for made-up users.
  """
  check_log(
    options,
    "made-up users are drawn by the run; say how many by the config option"
    " users=N",
  )
  if config.users == 1:
    raise ValueError("config option users=1: ask for at least 2, or 0")

  def outside(
    path: pathlib.Path,
    workdir: pathlib.Path,
    result: Mapping[str, Any],
    claim: Claim,
  ) -> dict[str, Any]:
    del path, claim
    return _outside(config, workdir, result, options)

  most = config.privacy.most
  return Subject(
    name=_name(config),
    units="users",
    made_up=lambda folder, name, narrow: _made_up(
      config, folder / f"{name}.users", narrow
    ),
    shown=_shown,
    declared=lambda workdir: _declared(config, workdir),
    learnt=lambda result: int(result["dataset"]["counts"]["users"]),
    rows=lambda workdir, wanted: rows.made(workdir / _MADE),
    outside=outside,
    free={
      "bound of a history": f"declared: at most {most} items count, which of"
      " more is drawn; together they are a vector of norm 1",
      "nearest list of a user": "looks at this user's history only, which is"
      " then counted in one list: the sum of the lists pays for it",
      "length of histories": "follows from the noisy counts",
    },
    limits=_PUBLIC,
    bound=f"A user counts with at most {most} items, as a vector of norm 1, so"
    " that no sum is moved by more than 1.",
  )


def _name(config: Config) -> str:
  path = pathlib.Path(config.data.path or config.data.prepared)
  name = config.dataset or path.name.partition(".")[0]
  return re.sub(r"[^\w-]", "", name) or config.name


def _made_up(config: Config, folder: pathlib.Path, narrow: bool) -> Config:
  """Users who have items at random; of the first half of them, if narrow."""
  size = max(_REHEARSED, 2 * config.model.dim, *config.evaluation.ks)
  rng = np.random.default_rng([0])
  reach = size // 2 if narrow else size
  parts = {}
  for part, least, most in (("train", 2, 20), ("test", 1, 3)):
    counts = rng.integers(least, most, size)
    items = [np.sort(rng.permutation(reach)[:n]) for n in counts]
    user = np.repeat(np.arange(size, dtype=np.int32), counts)
    item = np.concatenate(items).astype(np.int32)
    parts[part] = pa.table({"user": user, "item": item})
  ids = pa.table({"id": np.arange(size)})
  writer.write(folder, "made up", parts, ids, ids, {"split": "made up"})
  changed = config.copy_and_resolve_references()
  changed.dataset, changed.data.path = "", ""
  changed.data.prepared = str(folder)
  changed.data.shards, changed.users = 0, 0
  return changed


def _shown(built: Experiment, state: State, workdir: pathlib.Path) -> pa.Table:
  del built, state
  return pq.read_table(workdir / _MADE)


def _declared(config: Config, workdir: pathlib.Path) -> dict[str, Any]:
  """Users from 0 on, items of the catalogue."""
  ids = pq.read_table(workdir / "data" / "items.parquet")["id"].to_numpy()
  there = pq.ParquetFile(workdir / "data" / "users.parquet").metadata.num_rows
  users = config.users or there
  schema = (
    Column("user", "integer", "int32", low=0, high=users - 1),
    Column(
      "item",
      "category",
      str(pa.array(ids[:1]).type),
      categories=tuple(np.sort(ids).tolist()),
    ),
  )
  return declares.table(schema, users)


def _outside(
  config: Config,
  workdir: pathlib.Path,
  result: Mapping[str, Any],
  options: Options,
) -> dict[str, Any]:
  data = prepared.load(workdir / "data")
  indptr, item = data.history(*config.fit.split("+"))
  user = np.repeat(np.arange(data.num_users), np.diff(indptr))
  made = private_behaviour.read(workdir / _MADE, data)
  num = int(made.user.max()) + 1
  found = audit_histories.compare(
    fold_in.matrix(user, item, (data.num_users, data.num_items)),
    fold_in.matrix(made.user, made.item, (num, data.num_items)),
    options.attacks,
    options.confidence,
    np.random.default_rng([config.seed]),
  )
  write_json(workdir / "release" / "audit.json", found)
  copies = found["copies"]
  if copies["made"]["low"] > copies["real"]["high"]:
    raise ValueError(
      "the audit contradicts the claim: of made-up users"
      f" {copies['made']['value']:.1%} have the whole history of a real one, of"
      f" real users {copies['real']['value']:.1%} that of another; nothing is"
      f" released (see {workdir / 'release' / 'audit.json'})"
    )
  metrics = result["metrics"]
  users = int((np.diff(data.history("test")[0]) > 0).sum())
  return measured.rounded(
    {
      "note": _NOTE.format(users=users, digits=measured.DIGITS),
      "audited": found["rows"],
      "utility": _utility(metrics),
      "columns": {},
      "attacks": [
        {"name": name, "blind": found[key]["real"]["value"]}
        | found[key]["made"]
        for name, key in (
          ("whole histories of real users (beside: real ones')", "copies"),
          ("closest real history, mean Jaccard (likewise)", "closest"),
        )
      ],
      "epsilon": None,
    }
  )


def _utility(metrics: Mapping[str, float]) -> dict[str, float]:
  """What the recommender of the release reaches, and beside what."""
  start = "test/ndcg@"
  ks = [int(name[len(start) :]) for name in metrics if name.startswith(start)]
  if not ks:
    return {}
  ndcg = f"ndcg@{max(ks)}"
  names = {
    "": "of a recommender, learnt from the release",
    "real_": "likewise, learnt from real users",
    "share_": "share of the latter that is reached",
    "popular_": "of popularity, learnt from the release",
  }
  return {
    f"nDCG@{max(ks)} {name}": metrics[f"test/{kind}{ndcg}"]
    for kind, name in names.items()
  }
