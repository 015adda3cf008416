"""Made-up households as the subject of a release: all rows of one protected.

What is released is workdir/synthetic.parquet as it is, a sequence of events of
as many households as were learnt from (`experiments.private_events`).
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import declared_events, event_codes, events
from adv_rec.data.declared_events import Declared
from adv_rec.data.events import Log
from adv_rec.data.values import EVENT_ROLES
from adv_rec.evaluation import audit_sequences
from adv_rec.experiments import private_events, private_sequences
from adv_rec.experiments.events import part_of_users
from adv_rec.experiments.experiment import Experiment, write_json
from adv_rec.experiments.options import Config
from adv_rec.release import declares, measured, rows
from adv_rec.release.claims import Claim
from adv_rec.release.subject import Options, Subject, check_log
from adv_rec.types import State

_REHEARSED = 500  # made-up households, or more if a batch needs them
_EVENTS = 12  # of one of them, at most
_MADE = "synthetic.parquet"
_LIMITS = (
  "Public are the number of households, what is declared of the log and the"
  " options of the run.",
  "A made-up household is nobody; what it does ends after a window of events,"
  " and begins at a moment that means nothing.",
  "Noise is drawn in 64 bits, for gradients 64 bits a step, rounded to 32; the"
  " guarantee is that of exact noise.",
)
_NOTE = (
  "Outside of the guarantee: these figures are computed without noise,"
  " closeness to households that were kept back, attacks on {others} of these"
  " and {members} that were learnt from. They are rounded to {digits} digits,"
  " which hides little."
)


def subject(config: Config, options: Options) -> Subject:
  """The sequences of a config of `experiments.private_events`.

  Raises:
    ValueError: an option that has no meaning for sequences, or a log that is
      not as declared.
    FileNotFoundError: there is no such log.
  """
  check_log(
    options,
    "the run draws a sequence for each household that it learnt from; leave"
    " the flag out",
  )
  private_events.check(config)
  given = private_events.declared_of(config)
  if config.data.path:  # before a rehearsal, which takes longer
    log = events.read(config.data.path, config.data.columns.to_dict())
    declared_events.conform(log, given)

  def outside(
    path: pathlib.Path,
    workdir: pathlib.Path,
    result: Mapping[str, Any],
    claim: Claim,
  ) -> dict[str, Any]:
    return _outside(config, path, workdir, result, claim, options)

  kinds = sum(map(len, given.kinds.values()))
  return Subject(
    name=re.sub(r"[^\w-]", "", pathlib.Path(config.data.path).stem)
    or config.name,
    units="households",
    made_up=lambda folder, name, narrow: _made_up(
      config, given, folder / f"{name}.parquet", narrow
    ),
    shown=lambda built, state, workdir: _shown(
      built, state, _households(config, events.load(workdir / "data"))
    ),
    declared=lambda workdir: _declared(
      config, given, events.load(workdir / "data")
    ),
    learnt=lambda result: int(result["dataset"]["counts"]["train users"]),
    rows=lambda workdir, wanted: rows.made(workdir / _MADE),
    outside=outside,
    free={
      "types and categories": f"{kinds} pairs of them: declared; an event of"
      " another stops the run before anything is spent",
      "bins and moments": "ends of bins of gaps and amounts, the first and the"
      " last moment: declared, not read off events",
      "windows of a household": "where they begin is drawn for each household,"
      " whatever the others did",
      "length of sequences": "their end is one of the events that are learnt",
    },
    limits=_LIMITS,
    bound=f"A household counts with {private_sequences.bounded(config)}.",
  )


def _declared(config: Config, given: Declared, log: Log) -> dict[str, Any]:
  names = log.table.column_names
  return declares.events(given, names, _households(config, log))


def _households(config: Config, log: Log) -> int:
  """That are learnt from."""
  return int((part_of_users(log.num_users, config.data.holdout) == 0).sum())


def _made_up(
  config: Config, given: Declared, path: pathlib.Path, narrow: bool
) -> Config:
  """Households of events at random; of half of the cells, if narrow."""
  num = max(_REHEARSED, 4 * config.batch_size)
  names = [config.data.columns[role] for role in EVENT_ROLES]
  frame = declared_events.frame(given, names)
  coding = declared_events.coding(given, frame)
  rng = np.random.default_rng([0])
  counts = rng.integers(2, _EVENTS + 1, num)
  codes = np.full((num, _EVENTS, 3), -1)
  there = np.arange(_EVENTS) < counts[:, None]
  for i, size in enumerate((coding.end, *coding.sizes[1:])):
    reach = max(size // 2, 1) if narrow else size
    codes[there, i] = rng.integers(0, reach, there.sum())
  codes[:, 0, event_codes.GAP] = -1
  users = pa.array([f"made up {i}" for i in range(num)])
  made = event_codes.decode(codes, coding, frame, users, rng)
  pq.write_table(made.table, path)
  changed = config.copy_and_resolve_references()
  changed.data.path = str(path)
  return changed


def _shown(built: Experiment, state: State, households: int) -> pa.Table:
  assert built.sample is not None
  return built.sample(state, households, 0)


def _outside(
  config: Config,
  path: pathlib.Path,
  workdir: pathlib.Path,
  result: Mapping[str, Any],
  claim: Claim,
  options: Options,
) -> dict[str, Any]:
  data = private_events.prepared(config, workdir)
  made = pq.ParquetFile(path).read()
  rng = np.random.default_rng([config.seed])
  released = event_codes.encode(events.make(made), data.coding, rng)
  members, others, made_up = (
    audit_sequences.Histories(*users)
    for users in (data.parts["train"], data.parts["test"], released)
  )
  found = audit_sequences.attack(
    members,
    others,
    made_up,
    claim.budget.delta,
    options.confidence,
    rng,
    options.attacks,
  )
  kept = workdir / "release" / "audit.json"
  write_json(kept, found)
  least, copies = found["epsilon"]["lower"], found["copies"]
  if least > claim.epsilon:
    raise ValueError(
      f"the audit contradicts the claim: by membership epsilon is at least"
      f" {least:.3g} ({options.confidence:.4g} confidence), and"
      f" {claim.epsilon:.3g} is claimed; nothing is released (see {kept})"
    )
  if copies["made"]["low"] > copies["real"]["high"]:
    raise ValueError(
      "the audit contradicts the claim: of made-up households"
      f" {copies['made']['value']:.1%} repeat what real ones did, of those that"
      f" were kept back {copies['real']['value']:.1%}; nothing is released (see"
      f" {kept})"
    )
  metrics = {
    name.removeprefix("test/"): value
    for name, value in result["metrics"].items()
    if name.startswith("test/")
  }
  return measured.rounded(
    {
      "note": _NOTE.format(
        members=found["members"],
        others=found["others"],
        digits=measured.DIGITS,
      ),
      "audited": made.num_rows,
      "utility": {
        "nats per event of households that were kept back": metrics["nll"],
        "AUC of telling them from the release": metrics["auc"],
        "AUC of telling them from real households": metrics["real_auc"],
      },
      "columns": {
        name: {"released": metrics[name], "real": metrics[f"real_{name}"]}
        for name in ("type", "category", "gap", "amount", "transition")
      },
      "attacks": [
        {"name": "whole sequences of real households (beside: kept back)"}
        | copies["made"]
        | {"blind": copies["real"]["value"]},
        *(
          {"name": f"membership, {name.replace('_', ' of ')}, AUC"}
          | attack["auc"]
          | {"blind": 0.5}
          for name, attack in found["attacks"].items()
        ),
      ],
      "epsilon": {"lower": least, "confidence": options.confidence},
    }
  )
