"""Whether chances are what they say: what happened, by what was predicted."""

from __future__ import annotations

from collections.abc import Mapping

from adv_rec.report.plots import Series, line_chart
from adv_rec.report.results import Run


def chart(runs: Mapping[str, Run], colors: Mapping[str, int]) -> str | None:
  """The mean label of each bin of chances, beside the diagonal, as SVG.

  Args:
    runs: label -> run; those without "reliability" in their result are left
      out.
    colors: label -> colour.

  Returns:
    None where no run has it.
  """
  lines = [
    Series(
      label,
      [row["chance"] for row in found],
      [row["label"] for row in found],
      colors[label],
    )
    for label, run in runs.items()
    if (found := run.result.get("reliability"))
  ]
  if not lines:
    return None
  end = max(line.x[-1] for line in lines)
  honest = Series("honest", (0.0, end), (0.0, end), max(colors.values()) + 1, 1)
  return line_chart(
    [*lines, honest], "Test: share of label 1", "predicted chance", zero=True
  )
