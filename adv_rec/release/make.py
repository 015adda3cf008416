"""A release end to end: rehearse, run, draw, attack, say, rename.

Two folders: the workdir stays with the owner (rows, ledger, checkpoints, the
whole audit), the other one is handed on. It appears by a rename when all that
it says has been recomputed from its files, so that it is there as a whole or
not at all. Killed and started again, the same command goes on: the ledger knows
what was spent, and drawing rows spends nothing.

Any experiment can be released that is private by the contract of
`experiments/private.py`: config.privacy, a declared schema, workdir/privacy
with a ledger, workdir/data with the rows, and in its `Experiment` a `sample`
and a probe of each spend.
"""

from __future__ import annotations

import functools
import json
import logging
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import atomic, declared, tabular
from adv_rec.data.tabular import Schema
from adv_rec.experiments import experiment, released
from adv_rec.experiments.options import Config
from adv_rec.release import card as cards
from adv_rec.release import claims, measured, rows, verify
from adv_rec.release.claims import Claim
from adv_rec.release.rehearsal import rehearse
from adv_rec.report import card as page

_logger = logging.getLogger(__name__)

_CONFIDENCE = 0.999  # of the probes together: an error stops a right release
_AUDITED = 50_000  # rows of a table that are attacked and measured, at most
_EXCLUDED = (
  "the secret that samples and noise were drawn from, destroyed with the run's"
  " end",
  "seeds, paths and the command of the run",
  "rows, counts, checkpoints and logs of the run",
)


class Options(NamedTuple):
  """What of a release is no option of its experiment.

  Attributes:
    rows: to draw; 0: as many as were learnt from.
    csv: whether to write CSV beside Parquet.
    figures: whether what is measured with real rows may travel.
    drop: columns of the source that need not be declared, since nobody reads
      them.
    attacks: of the audit, see `experiments.audit.audit`.
    confidence: of the audit's intervals and bounds.
    progress: whether to show bars.
  """

  rows: int = 0
  csv: bool = True
  figures: bool = True
  drop: tuple[str, ...] = ()
  attacks: int = 1000
  confidence: float = 0.99
  progress: bool = True


def release(
  config: Config,
  out: pathlib.Path,
  workdir: pathlib.Path,
  options: Options = Options(),  # noqa: B008
) -> dict[str, Any]:
  """Makes a release, or goes on with it, and returns its card.

  Args:
    config: of a private experiment.
    out: the folder to hand on; must not be there yet, or be empty.
    workdir: of the owner.
    options: see there.

  Raises:
    ValueError: whatever speaks against the release, in one line; `out` is not
      made then.
  """
  _check_places(out, workdir)
  schema, num, dropped = _check_table(config, options.drop)
  with tempfile.TemporaryDirectory() as scratch:
    rehearsed, probed = rehearse(
      config, schema, num, pathlib.Path(scratch), _CONFIDENCE
    )
  result = experiment.run(config, workdir, progress=options.progress)
  claim = claims.read(workdir)
  _check_run(config, workdir, claim, rehearsed, result)
  found, state = experiment.restore(workdir)
  assert found.sample is not None  # rehearsed
  draw = functools.partial(found.sample, state)
  learnt = int(result["dataset"]["counts"]["train"])
  count = options.rows or learnt
  name = pathlib.Path(config.data.path).name.partition(".")[0] or config.name

  def fill(place: pathlib.Path) -> None:
    (place / "data").mkdir()
    kinds = ("parquet", "csv") if options.csv else ("parquet",)
    paths = [place / "data" / f"{name}.{kind}" for kind in kinds]
    check = rows.checker(schema, config.data.bins)
    rows.write(draw, count, config.seed, check, paths, options.progress)
    _logger.info("attacks and utility")
    inside = measured.outside(
      rows.table(paths[0], schema, _AUDITED),
      _real(config, schema, workdir, "train"),
      _real(config, schema, workdir, "holdout"),
      workdir / "release",
      config.target,
      (claim.epsilon, claim.budget.delta),
      options.attacks,
      options.confidence,
      config.seed,
    )
    make = functools.partial(
      cards.card,
      name,
      config,
      schema,
      claim,
      probed,
      count,
      learnt,
      int(result["steps"]),
      dropped,
    )
    (workdir / "release" / "card.html").write_text(page.page(make(inside)))
    _say(place, make(inside if options.figures else None))
    _logger.info("verifying")
    verify.verify(place)

  atomic.replace(out, fill)
  return verify.card(out)


def fingerprint(folder: pathlib.Path) -> str:
  """By which a release is known: SHA-256 of verify.json."""
  return verify.digest(folder / verify.NAME)


def text(folder: pathlib.Path, card: dict[str, Any]) -> str:
  """A release in a few lines."""
  says = card["guarantee"]
  least = card["probed_epsilon"]
  outside = card["outside"]
  lines = [
    f"{card['table']['rows']:,} rows of {len(card['table']['columns'])}"
    f" columns, learnt from {says['learnt_from']:,}",
    f"epsilon {says['epsilon']:.4g} at delta {says['delta']:g} for each"
    f" {says['unit']} ({says['accountant']}), of a budget of"
    f" {says['budget']:g}:",
  ]
  for spend in card["ledger"]:
    g = spend["gaussian"]
    lines.append(
      f"  {spend['name']:12} noise {g['noise_multiplier']:.4g},"
      f" {g['count']:,} x {g['sampler']}"
    )
  lines.append(f"epsilon is at least {least:.3g} by probes of the noise")
  if outside is not None:
    bound = outside["epsilon"]
    lines.append(
      f"epsilon is at least {bound['lower']:.3g} by attacks on the rows"
      f" ({bound['confidence']:.4g} confidence)"
    )
    lines += [
      f"  {k}: {v:.3f}" for k, v in outside["utility"].items() if "AUC" in k
    ]
    lines.append("figures from real rows travel with it (--nofigures: not)")
  lines.append(f"fingerprint {fingerprint(folder)}")
  return "\n".join(lines)


def _real(
  config: Config, schema: Schema, workdir: pathlib.Path, part: str
) -> pa.Table:
  """Rows of the owner on the declared grid, some of them if there are many."""
  whole = pq.ParquetFile(workdir / "data" / f"{part}.parquet").read()
  order = np.random.default_rng([config.seed]).permutation(whole.num_rows)
  some = whole.take(np.sort(order[:_AUDITED]))
  return declared.snapped(some, schema, config.data.bins)


def _say(place: pathlib.Path, card: dict[str, Any]) -> None:
  """Card, page and manifest of a folder that holds the rows."""
  card = json.loads(json.dumps(card, allow_nan=False))  # as it is read again
  experiment.write_json(place / "card.json", card)
  (place / "card.html").write_text(page.page(card), "utf-8")
  made_by = experiment.provenance()
  experiment.write_json(
    place / verify.NAME,
    {
      "version": verify.VERSION,
      "epsilon": card["guarantee"]["epsilon"],
      "delta": card["guarantee"]["delta"],
      "files": verify.files(place),
      "excluded": _EXCLUDED,
      "versions": made_by["versions"],
      "commit": made_by["commit"],
    },
  )


def _check_places(out: pathlib.Path, workdir: pathlib.Path) -> None:
  atomic.check_place(out)
  if out.is_dir() and any(out.iterdir()):
    raise ValueError(
      f"{out} is there already; check it with --verify={out}, or choose another"
      " folder"
    )
  if workdir.resolve().is_relative_to(out.resolve()):
    raise ValueError(
      f"the workdir {workdir} is inside of {out}, and would be handed on;"
      " choose another"
    )


def _check_table(
  config: Config, drop: Sequence[str]
) -> tuple[Schema, int, tuple[str, ...]]:
  """The declared schema, the number of rows, and columns that are left out."""
  if "privacy" not in config:
    raise ValueError(
      f"config {config.name!r} is of no private experiment: it has no option"
      " privacy; see configs/private/ and configs/release/"
    )
  schema = released.declared_schema(config)
  declared.transform(schema, config.data.bins)  # all numbers have bounds
  table = (
    tabular.read(config.data.path) if config.data.path else tabular.adult()
  )
  drop = (*drop, *config.get("release", {}).get("drop", ()))
  known = {column.name for column in schema}
  undeclared = tuple(n for n in table.column_names if n not in known)
  for name in undeclared:
    if name not in drop:
      raise ValueError(
        f"column {name!r} of the table is undeclared; declare it in the schema,"
        f" or leave it out by --drop={name}"
      )
  for column in schema:
    if len(column.categories) > table.num_rows // 2:
      raise ValueError(
        f"column {column.name!r} declares {len(column.categories)} categories"
        f" for {table.num_rows} rows: such ids must not be released; take it"
        " out of the schema"
      )
  declared.snapped(table, schema, config.data.bins)
  return schema, table.num_rows, undeclared


def _check_run(
  config: Config,
  workdir: pathlib.Path,
  claim: Claim,
  rehearsed: Claim,
  result: dict[str, Any],
) -> None:
  """What the run has done is what was rehearsed, and is over."""
  asked = (config.privacy.epsilon, config.privacy.delta)
  if asked != claim.budget[:2]:
    raise ValueError(
      f"the run in {workdir} had a budget of {claim.budget[:2]}, not {asked}"
    )
  if claim.spends.keys() != rehearsed.spends.keys():
    raise ValueError(
      f"the run has spent {sorted(claim.spends)}, its rehearsal"
      f" {sorted(rehearsed.spends)}: something is not accounted for"
    )
  if (workdir / "privacy" / "secret").exists():
    raise ValueError(
      f"{workdir / 'privacy' / 'secret'} is still there: who finds it takes the"
      " noise off again; nothing is released before the run destroys it"
    )
  steps, units = int(result["steps"]), result["dataset"]["counts"]["train"]
  for name, spend in claim.spends.items():
    planned = rehearsed.spends[name]
    if spend.sampler != planned.sampler:
      raise ValueError(
        f"the spend {name!r} is of the sampler {spend.sampler!r}, that of the"
        f" rehearsal of {planned.sampler!r}"
      )
    if spend.sampler == "all":
      continue
    if claim.budget.unit == "row" and spend.units != units:
      raise ValueError(
        f"the spend {name!r} is of {spend.units} units, and {units} were learnt"
        " from"
      )
    if spend.count < steps * config.get("updates", 1):
      raise ValueError(
        f"the spend {name!r} is of {spend.count} samples, and {steps} steps"
        " were played"
      )
