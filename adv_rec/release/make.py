"""A release end to end: rehearse, run, draw, attack, say, rename.

Two folders: the workdir stays with the owner (rows, ledger, checkpoints, the
whole audit), the other one is handed on. It appears by a rename when all that
it says has been recomputed from its files, so that it is there as a whole or
not at all. Killed and started again, the same command goes on: the ledger knows
what was spent, and drawing rows spends nothing.

Any experiment can be released that is private by the contract of
`experiments/private.py`: config.privacy, workdir/privacy with a ledger,
workdir/data with the rows, and in its `Experiment` a probe of each spend. What
is released is a `Subject`: a `table` has a declared schema, and its experiment
a `sample`; `behaviour` is the made-up users of
`experiments/private_behaviour.py`, `sequences` the made-up households of
`experiments/private_events.py`.
"""

from __future__ import annotations

import functools
import json
import logging
import pathlib
import tempfile
from typing import Any

from adv_rec.data import atomic
from adv_rec.experiments import experiment
from adv_rec.experiments.options import Config
from adv_rec.release import (
  behaviour,
  claims,
  declares,
  rows,
  sequences,
  table,
  verify,
)
from adv_rec.release import card as cards
from adv_rec.release.claims import Claim
from adv_rec.release.rehearsal import rehearse
from adv_rec.release.subject import Options, Subject
from adv_rec.report import card as page

_logger = logging.getLogger(__name__)

_CONFIDENCE = 0.999  # of the probes together: an error stops a right release
_EXCLUDED = (
  "the secret that samples and noise were drawn from, destroyed with the run's"
  " end",
  "seeds, paths and the command of the run",
  "rows, counts, checkpoints and logs of the run",
)


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
  subject = _subject(config, options)
  with tempfile.TemporaryDirectory() as scratch:
    rehearsed, probed = rehearse(subject, pathlib.Path(scratch), _CONFIDENCE)
  result = experiment.run(config, workdir, progress=options.progress)
  claim = claims.read(workdir)
  learnt = subject.learnt(result)
  _check_run(config, workdir, claim, rehearsed, int(result["steps"]), learnt)
  declared = subject.declared(workdir)
  count, chunks = subject.rows(workdir, options.rows or learnt)

  def fill(place: pathlib.Path) -> None:
    (place / "data").mkdir()
    kinds = ("parquet", "csv") if options.csv else ("parquet",)
    paths = [place / "data" / f"{subject.name}.{kind}" for kind in kinds]
    check = declares.read(declared).check
    rows.write(chunks, count, check, paths, options.progress)
    _logger.info("attacks and utility")
    (workdir / "release").mkdir(exist_ok=True)
    inside = subject.outside(paths[0], workdir, result, claim)
    make = functools.partial(
      cards.card,
      subject,
      config,
      declared,
      claim,
      probed,
      count,
      learnt,
      int(result["steps"]),
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
    f" columns, learnt from {says['learnt_from']:,} {card['table']['of']}",
    f"epsilon {says['epsilon']:.4g} at delta {says['delta']:g} for each"
    f" {says['protected']} ({says['accountant']}), of a budget of"
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
    if bound := outside["epsilon"]:
      lines.append(
        f"epsilon is at least {bound['lower']:.3g} by attacks on the rows"
        f" ({bound['confidence']:.4g} confidence)"
      )
    lines += [
      f"  {k}: {v:.3f}"
      for k, v in outside["utility"].items()
      if "AUC" in k or "nDCG" in k
    ]
    lines.append("figures from real rows travel with it (--nofigures: not)")
  lines.append(f"fingerprint {fingerprint(folder)}")
  return "\n".join(lines)


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


def _subject(config: Config, options: Options) -> Subject:
  """What a config can release; refuses what speaks against it."""
  if "privacy" not in config:
    raise ValueError(
      f"config {config.name!r} is of no private experiment: it has no option"
      " privacy; see configs/private/ and configs/release/"
    )
  if "schema" in config.data:
    return table.subject(config, options)
  if "design" in config:
    return behaviour.subject(config, options)
  if "declared" in config.data:
    return sequences.subject(config, options)
  raise ValueError(
    f"config {config.name!r}: what it makes is neither rows of a declared table"
    " nor made-up users or their events, and cannot be released"
  )


def _check_run(
  config: Config,
  workdir: pathlib.Path,
  claim: Claim,
  rehearsed: Claim,
  steps: int,
  learnt: int,
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
  for name, spend in claim.spends.items():
    planned = rehearsed.spends[name]
    if spend.sampler != planned.sampler:
      raise ValueError(
        f"the spend {name!r} is of the sampler {spend.sampler!r}, that of the"
        f" rehearsal of {planned.sampler!r}"
      )
    if spend.sampler == "all":
      continue
    if spend.units != learnt:
      raise ValueError(
        f"the spend {name!r} is of {spend.units} units, and {learnt} were"
        " learnt from"
      )
    if spend.count < steps * config.get("updates", 1):
      raise ValueError(
        f"the spend {name!r} is of {spend.count} samples, and {steps} steps"
        " were played"
      )
