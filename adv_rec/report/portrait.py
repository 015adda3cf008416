"""A portrait of a user or an item: terminal text and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from adv_rec.report.bars import bars
from adv_rec.report.style import CSS

Portrait = Mapping[str, Any]  # what `experiments.portray` returns


def text(found: Portrait) -> str:
  """For the terminal."""
  lines = [_title(found), ""]
  for heading, rows in _sections(found):
    lines += [heading, *(f"  {name:42} {value}" for name, value in rows), ""]
  return "\n".join(lines).rstrip()


def page(found: Portrait) -> str:
  """One self-contained HTML page."""
  parts = [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    f"<title>{escape(_title(found))}</title><style>{CSS}</style>",
    "</head><body><main>",
    f'<p class="eyebrow">adv_rec portrait · {escape(found["data"])}</p>',
    f"<h1>{escape(_title(found))}</h1>",
    *_pictures(found),
  ]
  for heading, rows in _sections(found):
    cells = "".join(
      f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
      for name, value in rows
    )
    parts.append(f"<h2>{escape(heading)}</h2><table>{cells}</table>")
  return "\n".join([*parts, "</main></body></html>\n"])


def _title(found: Portrait) -> str:
  if found["kind"] == "user":
    return f"User {found['id']}"
  return f"Item {found['id']}: {found['name']}"


def _sections(found: Portrait) -> list[tuple[str, list[tuple[str, str]]]]:
  """Headings, and rows of two cells."""
  sections = _of_user(found) if found["kind"] == "user" else _of_item(found)
  return [(heading, rows) for heading, rows in sections if rows]


def _of_user(found: Portrait):
  guess = found["prediction"]
  chances = zip(guess["classes"], guess["chances"], strict=True)
  told = "not known" if found["known"] is None else found["known"]
  segment = found["segment"]
  return [
    (
      f"Prediction: {guess['decided']} (known: {told}; in the {found['part']}"
      " part of the run)",
      [(name, f"{chance:.1%}") for name, chance in chances],
    ),
    (
      "Tastes, by lift over all households",
      [
        (
          one["name"],
          f"{one['lift']:.1f} times, ${one['dollars']:,.0f}"
          f" ({one['share']:.1%})",
        )
        for one in found.get("tastes", ())
      ],
    ),
    (
      "Purchases that explain the prediction, in log-odds",
      [
        (
          one["name"],
          f"{one['value']:+.3f}: "
          + ", ".join(
            f"{p['name']} ${p['dollars']:,.0f}" for p in one["products"]
          ),
        )
        for one in found.get("purchases", ())
      ],
    ),
    (
      f"Segment {segment['number']}, {segment['share']:.0%} of all; typical of"
      " it, in deviations",
      _deviations(segment["typical"]),
    ),
    ("Unusual, in deviations", _deviations(found["unusual"])),
  ]


def _of_item(found: Portrait):
  return [
    (
      "Sales",
      [
        ("households", f"{found['buyers']:,}"),
        ("lines on receipts", f"{found['lines']:,}"),
        ("dollars", f"{found['dollars']:,.2f}"),
        *((name, f"{share:.0%}") for name, share in found["times"].items()),
      ],
    ),
    (
      f"Buyers as the model sees them, {found['portrayed']} of them",
      [
        (
          one["name"],
          f"{one['share']:.1%} ± {one['error']:.1%}"
          f" (usually {one['usual']:.1%})",
        )
        for one in found["classes"]
        if one["share"] is not None
      ],
    ),
    (
      "Their segments",
      [
        (
          f"{one['number']}: "
          + ", ".join(
            _signed(t["name"], t["deviations"]) for t in one["typical"]
          ),
          f"{one['share']:.0%} (usually {one['usual']:.0%})",
        )
        for one in found["segments"]
        if one["share"] is not None
      ],
    ),
    (
      "What they also buy, by lift",
      [
        (one["name"], f"{one['lift']:.1f} times, {one['share']:.0%} of them")
        for one in found["beside"]
      ],
    ),
  ]


def _deviations(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
  return [(one["name"], f"{one['deviations']:+.1f}") for one in rows]


def _signed(name: str, deviations: float) -> str:
  return f"{'more' if deviations > 0 else 'less'} {name}"


def _pictures(found: Portrait) -> list[str]:
  drawn = []
  if found["kind"] == "user":
    if tastes := found.get("tastes"):
      names = [one["name"] for one in tastes]
      lifts = [one["lift"] for one in tastes]
      drawn.append(bars(names, lifts, "Tastes, times usual", form=".1f"))
    guess = found["prediction"]
    values = guess["methods"]["integrated_gradients"]["values"]
    top = sorted(range(len(values)), key=lambda i: -abs(values[i]))[:12]
    drawn.append(
      bars(
        [guess["names"][i] for i in top],
        [values[i] for i in top],
        f"What speaks for {guess['decided']!r}, in log-odds",
      )
    )
  else:
    names = [one["name"] for one in found["beside"]]
    lifts = [one["lift"] for one in found["beside"]]
    drawn.append(bars(names, lifts, "Also bought, times usual", form=".1f"))
  return drawn
