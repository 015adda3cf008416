"""Learning curves of runs: validation quality and training losses."""

from __future__ import annotations

from collections.abc import Mapping

from adv_rec.report.plots import Series, line_chart
from adv_rec.report.results import Run, number


def charts(
  runs: Mapping[str, Run], colors: Mapping[str, int], k: int = 10
) -> list[str]:
  """Validation nDCG@k against seconds, and training losses against steps.

  Args:
    runs: label -> run; runs that logged nothing are left out.
    colors: label -> colour.
    k: length of the list.

  Returns:
    SVG texts: none, one or two, as the logs allow.
  """
  quality, losses = [], []
  name = f"validation/ndcg@{k}"
  for label, run in runs.items():
    quality.append(_series(run, name, "wall_seconds", label, colors[label]))
    players = [p for p in _names(run) if p.startswith("train/")]
    players = [p for p in players if p.endswith("/loss")]
    for dash, loss in enumerate(players):
      player = loss.removeprefix("train/").removesuffix("/loss")
      title = label if len(players) == 1 else f"{label}, {player}"
      losses.append(_series(run, loss, "step", title, colors[label], dash))
  found = [
    (quality, f"Validation nDCG@{k}", "seconds since the start"),
    (losses, "Training loss", "steps"),
  ]
  return [
    line_chart([line for line in lines if line.x], title, x_label)
    for lines, title, x_label in found
    if any(line.x for line in lines)
  ]


def _names(run: Run) -> list[str]:
  return list(
    dict.fromkeys(name for row in run.curve for name in row["values"])
  )


def _series(
  run: Run, name: str, against: str, label: str, color: int, dash: int = 0
) -> Series:
  points = [
    (number(row.get(against)), number(row["values"].get(name)))
    for row in run.curve
  ]
  known = [(x, y) for x, y in points if x is not None and y is not None]
  return Series(
    label, [x for x, _ in known], [y for _, y in known], color, dash
  )
