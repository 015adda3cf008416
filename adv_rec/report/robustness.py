"""Quality under perturbation: rows, and the charts drawn from them.

Quality is what a record names as its "metric": accuracy or AUC of a classifier;
nDCG@k where it names none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adv_rec.report import table
from adv_rec.report.plots import Series, line_chart
from adv_rec.report.results import Run, number

X_LABEL = "epsilon / median row norm of the attacked table"
ABSOLUTE = "epsilon, the length that a row is moved by"


class Row(NamedTuple):
  """One measurement of a run under attack; None where it is not known.

  Attributes:
    attack: its name; names that start with "random" are the control.
    epsilon: length of the perturbation of a row, or table -> length.
    relative: epsilon over the median row norm of the attacked table.
    value: the metric of the perturbed model.
    kept: its share of the clean one.
  """

  attack: str
  epsilon: Mapping[str, float] | float | None
  relative: float | None
  value: float | None
  kept: float | None


def metric(run: Run, k: int = 10) -> str:
  """What was measured under attack."""
  for record in run.result.get("robustness") or []:
    if "metric" in record:
      return str(record["metric"])
  return f"ndcg@{k}"


def by_metric(
  runs: Mapping[str, Run], k: int = 10
) -> dict[str, dict[str, Run]]:
  """The runs that were measured by each metric."""
  groups: dict[str, dict[str, Run]] = {}
  for label, run in runs.items():
    groups.setdefault(metric(run, k), {})[label] = run
  return groups


def clean(run: Run, k: int = 10) -> float | None:
  """The metric without perturbation: at epsilon 0, else the result's."""
  name = metric(run, k)
  for record in run.result.get("robustness") or []:
    if number(record.get("relative_epsilon")) == 0:
      return number(record.get(name))
  return table.value(run.result, name)


def rows(run: Run, k: int = 10) -> list[Row]:
  """The measurements of a run, as its result lists them."""
  reference, name = clean(run, k), metric(run, k)
  found = []
  for record in run.result.get("robustness") or []:
    value = number(record.get(name))
    kept = value / reference if value is not None and reference else None
    epsilon = record.get("epsilon")
    if not isinstance(epsilon, Mapping):
      epsilon = number(epsilon)
    relative = number(record.get("relative_epsilon"))
    attack = str(record.get("attack", "?"))
    found.append(Row(attack, epsilon, relative, value, kept))
  return found


def part(runs: Mapping[str, Run]) -> str:
  """The parts of the data that the curves were measured on: "test"."""
  parts = {
    str(record.get("part", "test"))
    for run in runs.values()
    for record in run.result.get("robustness") or []
  }
  return " and ".join(sorted(parts)) or "test"


def attack_name(attack: str) -> str:
  """An attack as the reader sees it: "fgm" -> "FGM"."""
  return "random noise" if attack.startswith("random") else attack.upper()


def charts(
  runs: Mapping[str, Run], colors: Mapping[str, int], k: int = 10
) -> list[str]:
  """The metric and the share of it that is kept, against relative epsilon.

  Then the metric against epsilon itself, by which a model with longer rows
  looks more robust than it is; tables are moved by lengths of their own, so
  that of the items is shown. Runs with different metrics have charts of their
  own. Attacks are solid and their random control is dashed.
  Repeated measurements at one epsilon become their mean, with a band from the
  least to the most.

  Args:
    runs: label -> run; runs without measurements are left out.
    colors: label -> colour.
    k: length of the list.

  Returns:
    SVG texts: up to three for each metric, as the results allow.
  """
  return [
    chart
    for name, some in by_metric(runs, k).items()
    for chart in _charts(some, colors, name, k)
  ]


def _charts(
  runs: Mapping[str, Run], colors: Mapping[str, int], name: str, k: int
) -> list[str]:
  measured = {label: rows(run, k) for label, run in runs.items()}
  attacks = list(dict.fromkeys(r.attack for m in measured.values() for r in m))
  control = [attack for attack in attacks if attack.startswith("random")]
  gradient = [attack for attack in attacks if attack not in control]
  order = gradient[:1] + control[:1] + gradient[1:] + control[1:]
  values, shares, lengths = [], [], []
  for label, found in measured.items():
    reference = clean(runs[label], k)
    for dash, attack in enumerate(order):
      mine = [r for r in found if r.attack == attack]
      style = (label, colors[label], dash)
      value = [(r.relative, r.value) for r in mine]
      kept = [(r.relative, r.kept) for r in mine]
      length = [(_length(r.epsilon), r.value) for r in mine]
      if mine and reference:
        value, kept = [(0.0, reference), *value], [(0.0, 1.0), *kept]
      values.append(_series(value, *style))
      shares.append(_series(kept, *style))
      lengths.append(_series(length, *style))
  names = [attack_name(attack) for attack in order]
  what = table.heading(name)
  title = f"{part(runs).capitalize()} {what}"
  return [
    line_chart([s for s in series if s.x], head, x, dashes=names, zero=True)
    for series, head, x in (
      (values, title, X_LABEL),
      (shares, f"Share of clean {what} kept", X_LABEL),
      (lengths, title, ABSOLUTE),
    )
    if any(s.x for s in series)
  ]


def _length(epsilon: Mapping[str, float] | float | None) -> float | None:
  """How far an item row is moved, or else a row of the first table."""
  if not isinstance(epsilon, Mapping):
    return epsilon
  return number(epsilon.get("item", next(iter(epsilon.values()), None)))


def _series(
  points: Sequence[tuple[float | None, float | None]],
  label: str,
  color: int,
  dash: int,
) -> Series:
  at = defaultdict(list)
  for x, y in points:
    if x is not None and y is not None:
      at[x].append(y)
  x = sorted(at)
  repeated = any(len(set(at[place])) > 1 for place in x)
  return Series(
    label,
    x,
    [sum(at[place]) / len(at[place]) for place in x],
    color,
    dash,
    low=[min(at[place]) for place in x] if repeated else None,
    high=[max(at[place]) for place in x] if repeated else None,
  )
