"""One self-contained HTML page from the directories of finished runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from adv_rec.report import sections, table
from adv_rec.report.results import Run, read
from adv_rec.report.style import CSS


def write(
  path: str | os.PathLike[str],
  title: str,
  runs: Sequence[str | os.PathLike[str]],
  curves: Sequence[str | os.PathLike[str]] = (),
  published: Sequence[Mapping[str, Any]] = (),
  notes: Sequence[str] = (),
  k: int = 10,
) -> None:
  """Writes the report; the file is there as a whole or not at all.

  Args:
    path: the HTML file; its directory is made if need be.
    title: the heading.
    runs: directories of the runs in the table and the robustness charts.
    curves: directories of the runs whose learning curves are drawn; a run of
      the same title as one of `runs` has its colour.
    published: numbers of others, shown apart: dicts with `method`, `source`
      and `metrics` (such as {"ndcg@10": 0.107}).
    notes: paragraphs of plain text that follow the introduction.
    k: length of the lists that the page speaks of.

  Raises:
    FileNotFoundError: a directory holds no result.json.
    ValueError: a result is broken, there are no runs, or `published` lacks
      something. Nothing is written then.
  """
  path = Path(path)
  if path.is_dir():
    raise ValueError(f"{path}: is a directory; give the name of a file")
  if not runs:
    raise ValueError("no runs to report; give at least one run directory")
  for index, row in enumerate(published, 1):
    if not isinstance(row.get("metrics"), Mapping) or "method" not in row:
      raise ValueError(f'published row {index}: needs "method" and "metrics"')
  shown, drawn = _labelled(runs), _labelled(curves)
  # The first colours are the clearest: they go to runs that are drawn.
  named = [*shown.items(), *drawn.items()]
  visible = [label for label, run in named if _is_drawn(run)]
  order = dict.fromkeys([*visible, *shown, *drawn])
  colors = {label: index for index, label in enumerate(order)}

  text = _page(title, shown, drawn, colors, published, notes, k)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  try:
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
  finally:
    partial.unlink(missing_ok=True)


def _labelled(directories: Sequence[str | os.PathLike[str]]) -> dict[str, Run]:
  unique = dict.fromkeys(Path(directory).resolve() for directory in directories)
  runs = [read(directory) for directory in unique]
  labels = table.labels([run.result for run in runs])
  return dict(zip(labels, runs, strict=True))


def _is_drawn(run: Run) -> bool:
  drawn = ("robustness", "reliability")
  return bool(run.curve or any(run.result.get(name) for name in drawn))


def _page(
  title: str,
  shown: Mapping[str, Run],
  drawn: Mapping[str, Run],
  colors: Mapping[str, int],
  published: Sequence[Mapping[str, Any]],
  notes: Sequence[str],
  k: int,
) -> str:
  return "\n".join(
    [
      '<!doctype html><html lang="en"><head><meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>",
      sections.introduction(title, shown, notes),
      sections.comparison(shown, published, k),
      sections.learning_curves(drawn, colors, k),
      sections.attacks(shown, colors, k),
      sections.calibration(shown, colors),
      "</main>",
      sections.provenance(_everyone(shown, drawn)),
      "</body></html>\n",
    ]
  )


def _everyone(
  shown: Mapping[str, Run], drawn: Mapping[str, Run]
) -> dict[str, Run]:
  """All runs, once each; those that give only a learning curve say so."""
  places = {run.directory for run in shown.values()}
  others = {
    f"{label}, learning curve": run
    for label, run in drawn.items()
    if run.directory not in places
  }
  return {**shown, **others}
