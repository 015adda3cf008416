"""One explained decision: terminal text, a picture, a page."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from adv_rec.report.bars import bars
from adv_rec.report.plots import Series, line_chart
from adv_rec.report.style import CSS

Explanation = Mapping[str, Any]  # what `experiments.explain` returns

_MOST = 12  # inputs that are shown
_LABELS = {
  "integrated_gradients": "Integrated gradients",
  "shap": "SHAP values",
  "lime": "Local surrogate",
  "attention": "Attention",
}


def text(found: Explanation) -> str:
  """For the terminal."""
  methods = list(found["methods"])
  lines = [*textwrap.wrap(_decision(found), 80), ""]
  rows = [["", *(_label(name) for name in methods)]]
  for i in _strongest(found):
    values = (found["methods"][name]["values"][i] for name in methods)
    rows.append([found["names"][i][:40], *(f"{v:+.3f}" for v in values)])
  for what, key in (
    ("deletion", "deletion_area"),
    ("insertion", "insertion_area"),
  ):
    areas = (found["methods"][name][key] for name in methods)
    rows.append([f"mean under {what}", *(f"{area:.3f}" for area in areas)])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  for row in rows:
    first, *rest = row
    cells = [first.ljust(widths[0])]
    cells += [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
    lines.append("  ".join(cells).rstrip())
  lines.append("")
  for sentence in _notes(found):
    lines += textwrap.wrap(sentence, 80)
  return "\n".join(lines)


def picture(found: Explanation) -> str:
  """The most faithful explanation as bars, SVG."""
  name = found["most_faithful"]
  at = _strongest(found)
  values = found["methods"][name]["values"]
  return bars(
    [found["names"][i] for i in at],
    [values[i] for i in at],
    f"{_label(name)}: for {found['decided']!r} (right), against (left)",
  )


def page(found: Explanation) -> str:
  """Everything, as one self-contained HTML page."""
  at = _strongest(found)
  charts = [
    bars(
      [found["names"][i] for i in at],
      [one["values"][i] for i in at],
      _label(name),
    )
    for name, one in found["methods"].items()
  ]
  curves = [_curves(found, which) for which in ("deletion", "insertion")]
  notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(found))
  return "\n".join(
    [
      '<!doctype html><html lang="en"><head><meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      f"<title>Why {escape(found['decided'])}</title><style>{CSS}</style>",
      "</head><body><main>",
      '<p class="eyebrow">adv_rec explanation</p>',
      f"<h1>Why {escape(found['decided'])}</h1>",
      f"<p>{escape(_decision(found))}</p>",
      *charts,
      "<h2>Which explanation is faithful</h2>",
      *curves,
      "<h2>What would turn the decision</h2>",
      notes,
      "</main></body></html>\n",
    ]
  )


def _label(name: str) -> str:
  return _LABELS.get(name, name)


def _decision(found: Explanation) -> str:
  chance = max(found["chances"])
  truth = "" if found.get("truth") is None else f" It is {found['truth']!r}."
  kind = {
    "others": "those of other examples",
    "zero": "zero",
  }[found["reference"]]
  return (
    f"Decided for {found['decided']!r} at {chance:.1%}, log-odds"
    f" {found['log_odds']:+.3f}; {found['log_odds_without']:+.3f} where every"
    f" input is {kind}.{truth}"
  )


def _strongest(found: Explanation) -> Sequence[int]:
  """Positions by the most faithful method."""
  values = found["methods"][found["most_faithful"]]["values"]
  order = sorted(range(len(values)), key=lambda i: -abs(values[i]))
  return order[:_MOST]


def _notes(found: Explanation) -> list[str]:
  turns, notes = found["counterfactuals"], []
  for name in ("fgm", "pgd"):
    turn = turns[name]
    if turn is None:
      notes.append(f"No perturbation by {name} turns the decision.")
      continue
    shift = turn["shift"]
    top = sorted(range(len(shift)), key=lambda i: -shift[i])[:3]
    notes.append(
      f"The smallest perturbation by {name} that turns the decision has"
      f" {turn['relative_epsilon']:.2%} of the length of the inputs; it moves"
      f" most {', '.join(repr(found['names'][i]) for i in top)}."
    )
  few = turns["fewest"]
  if few is None:
    notes.append("Taking away what speaks for it does not turn the decision.")
  else:
    notes.append(
      f"It turns without {', '.join(map(repr, few[:_MOST]))}"
      + (f" and {len(few) - _MOST} more." if len(few) > _MOST else ".")
    )
  best = found["methods"][found["most_faithful"]]
  notes.append(
    f"{_label(found['most_faithful'])} is the most faithful: as inputs are"
    f" taken away in its order the log-odds are {best['deletion_area']:.3f} on"
    f" average, in random orders {found['random']['deletion_area']:.3f}."
  )
  for name, one in found["methods"].items():
    if one["gap"] is not None:
      notes.append(
        f"{_label(name)} add up to the log-odds less those without inputs up"
        f" to {one['gap']:.1e}."
      )
  return notes


def _curves(found: Explanation, which: str) -> str:
  lines = [
    Series(_label(name), one["shares"], one[which], color)
    for color, (name, one) in enumerate(found["methods"].items())
  ]
  chance = found["random"]
  lines.append(
    Series("Random", chance["shares"], chance[which], len(lines), dash=1)
  )
  word = "taken away" if which == "deletion" else "put in"
  return line_chart(lines, f"Log-odds, {which}", f"share of inputs {word}")
