"""Horizontal bars to both sides of zero, as self-contained SVG text."""

from __future__ import annotations

import html
from collections.abc import Sequence

_ROW, _BAR = 22, 13  # pixels
_STYLE = (
  ".bars{--ink:#1c2127;--soft:#5d6673;--for:#176fd9;--against:#c05e11;"
  "font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
  ".bars text{fill:var(--ink)}.bars .title{font-weight:600;font-size:13px}"
  ".bars .soft{fill:var(--soft)}.bars .for{fill:var(--for)}"
  ".bars .against{fill:var(--against)}.bars .axis{stroke:var(--soft)}"
  "@media screen and (prefers-color-scheme:dark){"
  ".bars{--ink:#e8ebef;--soft:#a3adb9;--for:#4f93f5;--against:#d9743f}}"
)


def bars(
  names: Sequence[str],
  values: Sequence[float],
  title: str,
  width: int = 560,
  form: str = "+.2f",
) -> str:
  """One bar a name, in the order given.

  Args:
    names: what each stands for; long ones are cut.
    values: lengths; those below zero go to the left, in another colour.
    title: stands above.
    width: in pixels.
    form: how values are written at the ends of bars.

  Raises:
    ValueError: there is nothing to draw.
  """
  if not names:
    raise ValueError(f"nothing to draw in {title!r}")
  shown = [n if len(n) <= 34 else n[:33] + "…" for n in names]
  labels = [f"{value:{form}}" for value in values]
  left = 14 + max(7 * len(name) for name in shown)
  room = 16 + max(7 * len(label) for label in labels)
  low, high = min(0.0, *values), max(0.0, *values)
  start, stop = left + (room if low < 0 else 4), width - room
  scale = (stop - start) / ((high - low) or 1.0)
  zero = start - low * scale
  height = 34 + _ROW * len(names)
  parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" class="bars" width="{width}"'
    f' height="{height}" viewBox="0 0 {width} {height}" role="img"'
    f' aria-label="{html.escape(title)}"><style>{_STYLE}</style>',
    f'<text x="2" y="15" class="title">{html.escape(title)}</text>',
  ]
  for i, (name, value, label) in enumerate(
    zip(shown, values, labels, strict=True)
  ):
    y = 30 + _ROW * i
    length = abs(value) * scale
    x = zero - length if value < 0 else zero
    kind = "against" if value < 0 else "for"
    end = x - 6 if value < 0 else x + length + 6
    anchor = "end" if value < 0 else "start"
    parts.append(
      f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">'
      f"{html.escape(name)}</text>"
      f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{length:.1f}"'
      f' height="{_BAR}" rx="2"/>'
      f'<text x="{end:.1f}" y="{y + 11}" class="soft"'
      f' text-anchor="{anchor}">{label}</text>'
    )
  parts.append(
    f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="26"'
    f' y2="{height - 4}"/></svg>'
  )
  return "\n".join(parts)
