"""What a release is good for, by its epsilon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from adv_rec.report import table
from adv_rec.report.plots import Series, line_chart


def chart(result: Mapping[str, Any]) -> str | None:
  """A metric of a table against what was spent, as SVG.

  The table names both, and the metric of real rows, as its "frontier"; a row
  with a "curve" is a point of it, with a band of one standard deviation. A row
  that spent nothing countable (no noise) is a level, as real rows are.

  Returns:
    None for a table without a frontier.
  """
  if "frontier" not in result:
    return None
  x, y, real = result["frontier"]
  rows = [row for row in result["rows"] if "curve" in row]
  names = dict.fromkeys(row["curve"] for row in rows)
  colors = {name: color for color, name in enumerate(names)}
  points, levels = defaultdict(list), {}
  for row in rows:
    spent = row["metrics"].get(x)
    value, sd = row["metrics"][y], row["sd"].get(y, 0.0)
    if spent is None:
      levels[row["method"]] = (value, colors[row["curve"]])
    else:
      points[row["curve"]].append((spent, value, value - sd, value + sd))
    levels["Real rows"] = (row["metrics"][real], len(colors))
  lines = []
  for name, found in points.items():
    at, values, low, high = zip(*sorted(found), strict=True)
    lines.append(Series(name, at, values, colors[name], low=low, high=high))
  ends = [x for line in lines for x in (line.x[0], line.x[-1])]
  lines += [
    Series(name, (min(ends), max(ends)), (level, level), color, dash=1)
    for name, (level, color) in levels.items()
  ]
  ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if t >= min(ends)]
  title = f"{table.metric(y).label} by epsilon"
  return line_chart(lines, title, "epsilon", log=ticks)
