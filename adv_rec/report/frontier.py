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
  points, levels = defaultdict(list), {}
  for row in result["rows"]:
    if "curve" not in row:
      continue
    at = row["metrics"].get(x)
    value, sd = row["metrics"][y], row["sd"].get(y, 0.0)
    if at is None:
      levels[row["method"]] = (list(points).index(row["curve"]), value)
    else:
      points[row["curve"]].append((at, value, value - sd, value + sd))
    levels["Real rows"] = (5, row["metrics"][real])
  lines = []
  for color, (name, found) in enumerate(points.items()):
    places, values, low, high = zip(*sorted(found), strict=True)
    lines.append(Series(name, places, values, color, low=low, high=high))
  ends = [x for line in lines for x in (line.x[0], line.x[-1])]
  lines += [
    Series(name, (min(ends), max(ends)), (level, level), color, dash=1)
    for name, (color, level) in levels.items()
  ]
  ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if min(ends) * 0.9 <= t]
  title = f"{table.metric(y).label} by epsilon"
  return line_chart(lines, title, "epsilon", log=ticks)
