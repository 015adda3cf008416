"""Line charts as self-contained SVG text: data in, markup out."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from adv_rec.report.axes import Axis, tick_labels, ticks

WIDTH, HEIGHT = 480, 320  # two fit side by side on a page of 1000 px
COLORS = 6

# Six colours that differ in lightness as well as in hue, so that the closest
# pair stays over 20 CIELAB units apart under simulated protanopia,
# deuteranopia and tritanopia.
_LIGHT = ("#176fd9", "#c05e11", "#134d3b", "#8f1a82", "#533d0c", "#7f7f7f")
_DARK = ("#4f93f5", "#d9743f", "#2fe39c", "#ef4aa6", "#dfbc0e", "#e2e2e2")
_DASHES = ("", "6 4", "1.5 3.5", "9 3 2 3")
_MARKERS = (
  "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z",  # circle
  "M-3.2,-3.2h6.4v6.4h-6.4z",  # square
  "M0,-4.2L4.2,3.4H-4.2z",  # triangle
  "M0,-4.6L4.6,0L0,4.6L-4.6,0z",  # diamond
  "M0,4.2L4.2,-3.4H-4.2z",  # triangle on its point
)
_MOST_MARKERS = 40  # beyond that they hide the line


def _colors(palette: Sequence[str]) -> str:
  return "".join(
    f".chart .s{i}{{color:{color}}}" for i, color in enumerate(palette)
  )


_STYLE = (
  ".chart{--ink:#1c2127;--soft:#5d6673;--grid:#e6e9ed;--back:#fff;"
  "font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
  ".chart text{fill:var(--soft)}.chart .name{fill:var(--ink);"
  "font-weight:600;font-size:13px}.chart .key{fill:var(--ink)}"
  ".chart .grid{stroke:var(--grid)}.chart .axis{stroke:var(--soft)}"
  ".chart .line{fill:none;stroke:currentColor;stroke-width:2;"
  "stroke-linejoin:round;stroke-linecap:round}"
  ".chart .mark{fill:currentColor;stroke:var(--back);stroke-width:1}"
  ".chart .open{fill:var(--back);stroke:currentColor;stroke-width:1.5}"
  ".chart .band{fill:currentColor;opacity:.16}"
  ".chart .hit{fill:none;pointer-events:all}"
  ".chart .end{fill:currentColor;font-weight:600}.chart .ink{color:var(--soft)}"
  + _colors(_LIGHT)
  + "@media screen and (prefers-color-scheme:dark){"
  ".chart{--ink:#e8ebef;--soft:#a3adb9;--grid:#2a3038;--back:#14171c}"
  + _colors(_DARK)
  + "}"
)


class Series(NamedTuple):
  """One line of a chart.

  Attributes:
    label: its name; lines of one name share an entry in the legend.
    x: [N] places, increasing.
    y: [N] values; points that are not finite are left out.
    color: index of colour and marker, taken modulo their number.
    dash: index of the dash: 0 solid, 1 dashed, 2 dotted, 3 dash and dot.
    low: [N] lower end of an error band, or None for no band.
    high: [N] upper end.
    points: markers alone, without a line between them.
  """

  label: str
  x: Sequence[float]
  y: Sequence[float]
  color: int = 0
  dash: int = 0
  low: Sequence[float] | None = None
  high: Sequence[float] | None = None
  points: bool = False


def line_chart(
  series: Sequence[Series],
  title: str,
  x_label: str,
  *,
  dashes: Sequence[str] = (),
  zero: bool = False,
  log: Sequence[float] = (),
) -> str:
  """Lines over an axis that starts at 0 (steps, seconds, epsilon), as SVG.

  Names stand at the ends of the lines where there is room for them, else in a
  legend. Every marker tells its values when pointed at.

  Args:
    series: the lines, in the order of the legend.
    title: says what the vertical axis shows.
    x_label: says what the horizontal axis shows.
    dashes: what solid, dashed, ... lines mean, in the order of `Series.dash`;
      shown in the legend.
    zero: whether the vertical axis starts at 0.
    log: ticks of a horizontal axis by logarithms, which then spans the lines
      and starts above 0; none for a linear axis.

  Raises:
    ValueError: no point is finite, or some x is negative.
  """
  series = [line for line in map(_finite, series) if line.x]
  if not series:
    raise ValueError(f"nothing to draw in the chart {title!r}: no finite point")
  if min(min(line.x) for line in series) < 0:
    raise ValueError(f"negative x in the chart {title!r}; its axis starts at 0")

  y_ends = [y for s in series for y in (*s.y, *(s.low or ()), *(s.high or ()))]
  y_ticks = ticks(min([0.0, *y_ends] if zero else y_ends), max(y_ends))
  x_low = min(min(line.x) for line in series) if log else 0.0
  x_high = max(max(line.x) for line in series) or 1.0
  x_ticks = log or ticks(0.0, x_high)

  left = 14 + max(map(text_width, tick_labels(y_ticks)))
  x_axis = Axis(x_low, x_high, left, WIDTH - 20, bool(log))
  y_axis = Axis(y_ticks[0], y_ticks[-1], HEIGHT - 46, 36)
  ends = [] if dashes else _ends(series, x_axis, y_axis)
  if ends:
    # Bold letters are about a sixth wider.
    right = WIDTH - 14 - 1.17 * max(text_width(s.label) for s in series)
    x_axis = x_axis._replace(stop=right)
    ends = _ends(series, x_axis, y_axis)
    legend, height = [], HEIGHT
  else:
    legend, top = _legend(series, dashes, left)
    height = HEIGHT + max(0, top - 54)  # one row is planned for
    y_axis = y_axis._replace(start=height - 46, stop=top)

  parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="{WIDTH}"'
    f' height="{height}" viewBox="0 0 {WIDTH} {height}" role="img"'
    f' aria-label="{html.escape(title)}">',
    f"<style>{_STYLE}</style>",
    _text(2, 15, title, "name"),
    *legend,
    *_grid(x_axis, y_axis, x_ticks, y_ticks, x_label),
    # Solid lines come last, so that they lie on top.
    *(
      _line(line, x_axis, y_axis, dashes)
      for line in sorted(series, key=lambda line: -line.dash)
    ),
    *ends,
    "</svg>",
  ]
  return "\n".join(parts)


def text_width(text: str) -> float:
  """Pixels that a text takes at 12 px, on the generous side."""
  return sum(12.0 if ord(letter) > 0x2E7F else 6.7 for letter in text)


def _finite(line: Series) -> Series:
  keep = [
    i
    for i, point in enumerate(zip(line.x, line.y, strict=True))
    if all(map(math.isfinite, point))
  ]

  def pick(values: Sequence[float]) -> list[float]:
    return [values[i] for i in keep]

  low, high = line.low, line.high
  return line._replace(
    x=pick(line.x),
    y=pick(line.y),
    low=None if low is None else pick(low),
    high=None if high is None else pick(high),
  )


def _text(
  x: float, y: float, text: str, kind: str = "", anchor: str = "start"
) -> str:
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
    f"{html.escape(text)}</text>"
  )


def _grid(
  x_axis: Axis,
  y_axis: Axis,
  x_ticks: Sequence[float],
  y_ticks: Sequence[float],
  x_label: str,
) -> Iterable[str]:
  for value, label in zip(y_ticks, tick_labels(y_ticks), strict=True):
    y = y_axis(value)
    yield (
      f'<line class="grid" x1="{x_axis.start:.1f}" x2="{x_axis.stop:.1f}"'
      f' y1="{y:.1f}" y2="{y:.1f}"/>'
    )
    yield _text(x_axis.start - 8, y + 4, label, anchor="end")
  base = y_axis.start
  yield (
    f'<line class="axis" x1="{x_axis.start:.1f}" x2="{x_axis.stop:.1f}"'
    f' y1="{base:.1f}" y2="{base:.1f}"/>'
  )
  names = [f"{x:g}" for x in x_ticks] if x_axis.log else tick_labels(x_ticks)
  for value, label in zip(x_ticks, names, strict=True):
    if value > x_axis.high * (1 + 1e-9):
      continue  # the axis ends with the data, not with the next round number
    x = x_axis(value)
    yield (
      f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}"'
      f' y1="{base:.1f}" y2="{base + 4:.1f}"/>'
    )
    yield _text(x, base + 18, label, anchor="middle")
  middle = (x_axis.start + x_axis.stop) / 2
  yield _text(middle, base + 38, x_label, anchor="middle")


def _line(
  line: Series, x_axis: Axis, y_axis: Axis, dashes: Sequence[str]
) -> str:
  name = ", ".join([line.label, *dashes[line.dash : line.dash + 1]])

  def path(y: Sequence[float]) -> list[str]:
    points = zip(line.x, y, strict=True)
    return [f"{x_axis(a):.1f},{y_axis(b):.1f}" for a, b in points]

  parts = [f'<g class="s{line.color % COLORS}">']
  if line.low is not None and line.high is not None:
    around = path(line.high) + path(line.low)[::-1]
    parts.append(f'<polygon class="band" points="{" ".join(around)}"/>')
  points = path(line.y)
  if not line.points:
    parts.append(
      f'<polyline class="line"{_dash(line.dash)} points="{" ".join(points)}"/>'
    )
  if line.points or len(points) <= _MOST_MARKERS:
    for place, x, y in zip(points, line.x, line.y, strict=True):
      told = html.escape(f"{name}: {y:.4g} at {x:.4g}")
      parts.append(
        f'<g transform="translate({place})"><title>{told}</title>'
        f'<circle class="hit" r="9"/>{_marker(line)}</g>'
      )
  return "".join([*parts, "</g>"])


def _dash(index: int) -> str:
  dash = _DASHES[index % len(_DASHES)]
  return f' stroke-dasharray="{dash}"' if dash else ""


def _marker(line: Series) -> str:
  kind = "open" if line.dash else "mark"
  return f'<path class="{kind}" d="{_MARKERS[line.color % len(_MARKERS)]}"/>'


def _ends(series: Sequence[Series], x_axis: Axis, y_axis: Axis) -> list[str]:
  """Names at the ends of the lines; none at all where they would collide."""
  if any(line.points for line in series):
    return []
  named = sorted(series, key=lambda line: line.y[-1])
  heights = [y_axis(line.y[-1]) for line in named]
  if any(a - b < 15 for a, b in itertools.pairwise(heights)):
    return []
  if any(line.x[-1] < 0.97 * x_axis.high for line in named):
    return []
  if any(text_width(line.label) > WIDTH / 4 for line in named):
    return []
  return [
    f'<g class="s{line.color % COLORS}">'
    + _text(x_axis(line.x[-1]) + 8, y + 4, line.label, "end")
    + "</g>"
    for line, y in zip(named, heights, strict=True)
  ]


def _legend(
  series: Sequence[Series], dashes: Sequence[str], left: float
) -> tuple[list[str], int]:
  """The legend under the title, and where the plot may begin."""
  first = {line.label: line for line in reversed(series)}
  entries = [
    (name, first[name], True)
    for name in dict.fromkeys(line.label for line in series)
  ]
  entries += [
    (name, Series(name, [], [], dash=index), False)
    for index, name in enumerate(dashes)
  ]
  parts, x, y = [], left, 36
  for name, line, colored in entries:
    name = name if len(name) <= 48 else name[:47] + "…"
    width = 28 + text_width(name)
    if x > left and x + width > WIDTH:
      x, y = left, y + 18
    kind = f"s{line.color % COLORS}" if colored else "ink"
    marker = _marker(line) if colored else ""
    dash = f'<path class="line" d="M0,-4h22"{_dash(line.dash)}/>'
    parts.append(
      f'<g class="{kind}" transform="translate({x:.1f},{y:.1f})">'
      f"{'' if line.points else dash}"
      f'<g transform="translate(11,-4)">{marker}</g>'
      f"{_text(28, 0, name, 'key')}</g>"
    )
    x += width + 18
  return parts, y + 16
