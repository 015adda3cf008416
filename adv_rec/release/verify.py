"""Is a released folder what it says? Recomputed from its files alone."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
from typing import Any

from adv_rec.experiments import private_behaviour, private_sequences
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.ledger import Budget
from adv_rec.release import claims, declares, rows
from adv_rec.report import card as page

VERSION = 1
NAME = "verify.json"
_PART = re.compile(r"data/[^/]+\.(parquet|csv)|card\.(json|html)")
_DIGITS = 1e-6  # of epsilon, relative: other versions round in other ways
# What was learnt from -> what the guarantee must be of.
_UNITS = {
  "rows": "row",
  "users": private_behaviour.UNIT,
  "households": private_sequences.UNIT,
}


def verify(folder: pathlib.Path) -> dict[str, Any]:
  """Recomputes all that can be, and returns the card.

  The files are those that are listed, with their hashes; epsilon follows from
  the ledger on the card, within its budget; the rows are as many, and of the
  schema, and on the grid that the card declares; the page says what the card
  says. That the run was as the ledger has it no file can prove.

  Raises:
    FileNotFoundError: this is no release.
    ValueError: the first mismatch.
  """
  manifest = _json(folder / NAME)
  if manifest.get("version") != VERSION:
    raise ValueError(
      f"{folder / NAME} has version {manifest.get('version')!r}, not {VERSION}"
    )
  _check_files(folder, manifest.get("files") or {})
  found = card(folder)
  try:
    claim, rows_are = _claim(found, folder), declares.read(found["table"])
    total, said = float(found["guarantee"]["epsilon"]), manifest["epsilon"]
    num = int(found["table"]["rows"])
    probed = set(found["probes"])
    of, asked = found["table"]["of"], _UNITS[found["table"]["of"]]
  except (KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{folder / 'card.json'} is not a card: {error!r}"
    ) from error
  for place, value in (("card.json", total), (NAME, said)):
    if not abs(value - claim.epsilon) <= _DIGITS * claim.epsilon:
      raise ValueError(
        f"{folder / place} says epsilon {value:.6g}, and the ledger on the card"
        f" makes {claim.epsilon:.6g}"
      )
  if claim.budget.unit != asked:
    raise ValueError(
      f"{folder / 'card.json'}: what is released is made of {of}, and the"
      f" guarantee is of one {claim.budget.unit!r}, not of {asked!r}"
    )
  if set(claim.spends) != probed:
    raise ValueError(
      f"{folder / 'card.json'}: the mechanisms {sorted(probed)} were probed,"
      f" and the ledger has the spends {sorted(claim.spends)}"
    )
  if page.page(found) != (folder / "card.html").read_text("utf-8"):
    raise ValueError(f"{folder / 'card.html'} is not the page of card.json")
  for path in sorted((folder / "data").iterdir()):
    there = 0
    for chunk in rows.read(path, rows_are.types):
      try:
        rows_are.check(chunk)
      except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
      there += chunk.num_rows
    if there != num:
      raise ValueError(f"{path} has {there} rows, the card says {num}")
  return found


def card(folder: pathlib.Path) -> dict[str, Any]:
  """The card of a release, unverified."""
  return _json(folder / "card.json")


def files(folder: pathlib.Path) -> dict[str, str]:
  """Name -> SHA-256 of each file of a release but `verify.json`."""
  return {
    path.relative_to(folder).as_posix(): digest(path)
    for path in sorted(folder.rglob("*"))
    if not path.is_dir() and path != folder / NAME
  }


def digest(path: pathlib.Path) -> str:
  """SHA-256 of a file."""
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(folder: pathlib.Path, listed: dict[str, str]) -> None:
  found = files(folder)
  for name in found:
    if not _PART.fullmatch(name):
      raise ValueError(
        f"{folder / name} is no part of a release: that is data/*.parquet and"
        " .csv, card.json, card.html and verify.json"
      )
  for name in sorted({*listed, *found}):
    if name not in found:
      raise ValueError(f"{folder / name} is missing")
    if name not in listed:
      raise ValueError(
        f"{folder / name} is no part of the release: {NAME} does not list it"
      )
    if found[name] != listed[name]:
      raise ValueError(
        f"{folder / name} is not the file that was released: its SHA-256 is"
        f" {found[name][:16]}..., {NAME} has {str(listed[name])[:16]}..."
      )


def _claim(card: dict[str, Any], folder: pathlib.Path) -> claims.Claim:
  says = card["guarantee"]
  budget = Budget(
    says["budget"], says["delta"], says["unit"], says["accountant"]
  )
  spends = {
    line["name"]: Gaussian(**line["gaussian"]) for line in card["ledger"]
  }
  return claims.made(budget, spends, str(folder / "card.json"))


def _json(path: pathlib.Path) -> dict[str, Any]:
  if not path.is_file():
    raise FileNotFoundError(f"{path} is not there; is {path.parent} a release?")
  try:
    return dict(json.loads(path.read_text("utf-8")))
  except (ValueError, TypeError) as error:
    raise ValueError(f"{path} is damaged: {error}") from error
