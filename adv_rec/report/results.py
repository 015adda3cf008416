"""Reading what a run leaves behind: result.json and metrics.jsonl."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

_KINDS = {
  "metrics": dict,
  "config": dict,
  "dataset": dict,
  "versions": dict,
  "robustness": list,
}


class Run(NamedTuple):
  """One finished run.

  Attributes:
    directory: where it was read from.
    result: result.json, with the directory's name where it has no title.
    curve: the rows of metrics.jsonl by increasing step, one a step: `step`,
      `wall_seconds`, `values` (name -> number). Empty without the file.
  """

  directory: Path
  result: dict[str, Any]
  curve: list[dict[str, Any]]


def read(directory: str | os.PathLike[str]) -> Run:
  """The run in a directory.

  Raises:
    FileNotFoundError: there is no result.json.
    ValueError: a file is broken; the message is one line that names it.
  """
  directory = Path(directory)
  file = directory / "result.json"
  if not file.is_file():
    raise FileNotFoundError(
      f"{file}: no such file; give the directory of a finished run"
    )
  try:
    result = json.loads(file.read_bytes())
  except ValueError as error:  # not JSON, or not UTF-8
    raise ValueError(f"{file}: not a JSON file ({error})") from None
  if not isinstance(result, dict) or "metrics" not in result:
    raise ValueError(f'{file}: expected a JSON object with "metrics"')
  for key, kind in _KINDS.items():
    if result.get(key) is not None and not isinstance(result[key], kind):
      expected = "object" if kind is dict else "array"
      raise ValueError(f'{file}: "{key}" must be a JSON {expected}')
  for row in result.get("robustness") or []:
    if not isinstance(row, dict):
      raise ValueError(f'{file}: "robustness" must be an array of objects')
  if not result.get("title"):
    result["title"] = result.get("name") or directory.resolve().name
  return Run(directory, result, _curve(directory / "metrics.jsonl"))


def number(value: Any) -> float | None:
  """The value if it is a finite number, else None."""
  if isinstance(value, bool) or not isinstance(value, int | float):
    return None
  return value if math.isfinite(value) else None


def _curve(file: Path) -> list[dict[str, Any]]:
  if not file.is_file():
    return []
  rows: dict[int, dict[str, Any]] = {}
  lines = file.read_bytes().splitlines(keepends=True)
  for index, line in enumerate(lines, 1):
    if not line.strip():
      continue
    try:
      row = json.loads(line)
    except ValueError:
      if index == len(lines) and not line.endswith(b"\n"):
        break  # a run that was killed while it wrote its last line
      row = None
    if (
      not isinstance(row, dict)
      or number(row.get("step")) is None
      or not isinstance(row.get("values"), dict)
    ):
      raise ValueError(
        f'{file}, line {index}: expected a JSON object with "step" and "values"'
      )
    # Training and validation may write a line each; a resumed run repeats
    # steps, and its word is the last.
    known = rows.setdefault(row["step"], {**row, "values": {}})
    known["wall_seconds"] = row.get("wall_seconds")
    known["values"].update(row["values"])
  return [rows[step] for step in sorted(rows)]
