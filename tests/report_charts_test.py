"""Axes and charts: a value is drawn where it belongs."""

import itertools
import math
import xml.etree.ElementTree as ElementTree

import pytest
from report_samples import SVG, markers, texts

from adv_rec.report import axes, frontier, plots


@pytest.mark.parametrize("low, high", [
  (0, 1), (0, 0.97), (0.0831, 0.1072), (-3.2, 4.1), (0, 12.3), (17, 17),
  (0, 0), (-5, -5), (1e-9, 3e-9), (0, 6000), (99.9, 100.1), (0, 2.5e7),
  (0.1, 0.3), (1e9, 1e9 + 7),
])  # fmt: skip
def test_ticks_are_round_and_cover_the_range(low, high):
  found = axes.ticks(low, high)
  assert found[0] <= low and high <= found[-1] and 2 <= len(found) <= 6
  step = found[1] - found[0]
  for before, after in itertools.pairwise(found):
    assert after - before == pytest.approx(step)
  mantissa = step / 10 ** math.floor(math.log10(step * (1 + 1e-9)))
  assert min(abs(mantissa - nice) for nice in (1, 2, 2.5, 5)) < 1e-4
  for tick in found:
    assert tick / step == pytest.approx(round(tick / step), abs=1e-4)
  texts = axes.tick_labels(found)
  assert len(set(texts)) == len(texts) or low > 1e8


def test_ticks_waste_no_more_than_a_step_at_each_end():
  found = axes.ticks(0.0831, 0.1072)
  assert found[0] <= 0.0831 < found[1] and found[-2] < 0.1072 <= found[-1]


def test_tick_labels_have_the_digits_of_the_step():
  assert axes.tick_labels([0, 0.5, 1]) == ["0.0", "0.5", "1.0"]
  assert axes.tick_labels([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
  assert axes.tick_labels([0, 2000, 4000]) == ["0", "2,000", "4,000"]
  assert axes.tick_labels([0, 2.5e6, 5e6]) == ["0", "2.5M", "5.0M"]


@pytest.mark.parametrize("low, high", [(1, 0), (0, math.inf), (math.nan, 1)])
def test_ticks_refuse_a_range_that_is_none(low, high):
  with pytest.raises(ValueError, match="finite range"):
    axes.ticks(low, high)


# Charts.


def test_points_map_to_the_expected_pixels():
  line = plots.Series("one", [0, 5, 10], [0, 0.5, 1])
  svg = plots.line_chart([line], "chart", "x", dashes=["solid"])
  # Axis labels "0.0" are 3 letters of 6.7 px and 14 px of space; one row of
  # legend puts the plot at 52, the x axis is 46 above the bottom.
  left, right, top, base = 34.1, plots.WIDTH - 20, 52, plots.HEIGHT - 46
  assert markers(svg) == {
    "one, solid: 0 at 0": (left, base),
    "one, solid: 0.5 at 5": pytest.approx(
      ((left + right) / 2, (top + base) / 2), abs=0.06
    ),
    "one, solid: 1 at 10": (right, top),
  }


def test_points_lie_on_the_grid_lines_of_their_ticks():
  line = plots.Series("one", [1, 2, 3], [0.02, 0.04, 0.06])
  svg = plots.line_chart([line], "chart", "x", zero=True)
  root = ElementTree.fromstring(svg)
  labels = {t.text: t for t in root.iter(f"{SVG}text")}
  pixels = list(markers(svg).values())
  for (x, y), text_x, text_y in zip(
    pixels, ["1", "2", "3"], ["0.02", "0.04", "0.06"], strict=True
  ):
    assert float(labels[text_x].attrib["x"]) == x
    assert float(labels[text_y].attrib["y"]) == pytest.approx(y + 4, abs=0.11)
  assert any(
    float(g.attrib["y1"]) == pixels[0][1] for g in root.iter(f"{SVG}line")
  )


def test_names_stand_at_the_ends_unless_they_collide():
  far = [
    plots.Series("low", [0, 1], [0, 0]),
    plots.Series("up", [0, 1], [0, 1]),
  ]
  near = [
    plots.Series("a", [0, 1], [0, 0.99]),
    plots.Series("b", [0, 1], [0, 1]),
  ]

  def places(series):
    root = ElementTree.fromstring(plots.line_chart(series, "t", "x"))
    return {t.text: t.attrib["class"] for t in root.iter(f"{SVG}text")}

  assert places(far)["up"] == places(far)["low"] == "end"
  assert places(near)["a"] == places(near)["b"] == "key"


def test_everything_stays_inside_the_chart():
  series = [
    plots.Series(f"a long name of a method {i}", [0, 1, 2], [1, i, 2 * i], i)
    for i in range(9)
  ]
  series.append(plots.Series("x" * 300, [0, 2], [3, 4]))
  svg = plots.line_chart(series, "t", "x")
  width, height = map(
    float, ElementTree.fromstring(svg).attrib["viewBox"].split()[2:]
  )
  for _, x, y in texts(svg):
    assert 0 <= x < width and 10 < y < height - 3
  for label, x, _ in texts(svg):
    if "name" in label or "xx" in label:
      assert x + plots.text_width(label) < width
  for x, y in markers(svg).values():
    assert 0 < x < width and 0 < y < height
  legend = max(y for label, _, y in texts(svg) if "name" in label)
  heights = [y for _, y in markers(svg).values()]
  assert legend < min(heights) and max(heights) - min(heights) > 150


def test_bands_surround_their_line_and_count_for_the_range():
  line = plots.Series("s", [0, 1], [1, 1], low=[0, 0], high=[2, 4])
  root = ElementTree.fromstring(plots.line_chart([line], "t", "x"))
  band = next(root.iter(f"{SVG}polygon")).attrib["points"].split()
  heights = [float(point.split(",")[1]) for point in band]
  line_y = float(
    next(root.iter(f"{SVG}polyline")).attrib["points"].split()[0].split(",")[1]
  )
  upper, lower = heights[:2], heights[2:]
  assert max(upper) < line_y < min(lower)
  assert min(upper) >= 36 and max(lower) <= plots.HEIGHT - 46


def test_random_and_attack_have_different_dashes():
  series = [plots.Series("s", [0, 1], [0, 1], dash=d) for d in range(4)]
  svg = plots.line_chart(series, "t", "x", dashes=["a", "b", "c", "d"])
  lines = ElementTree.fromstring(svg).iter(f"{SVG}polyline")
  dashes = {line.get("stroke-dasharray") for line in lines}
  assert len(dashes) == 4 and None in dashes


def test_names_of_a_chart_are_escaped():
  evil = "<&'\">"
  svg = plots.line_chart([plots.Series(evil, [1], [1])], evil, evil)
  assert ElementTree.fromstring(svg).attrib["aria-label"] == evil
  assert [text for text, _, _ in texts(svg)].count(evil) == 3


def test_points_that_are_not_finite_are_left_out():
  line = plots.Series("s", [0, 1, 2], [1.0, math.nan, 2.0])
  svg = plots.line_chart([line], "t", "x")
  assert len(markers(svg)) == 2 and "nan" not in svg
  with pytest.raises(ValueError, match="nothing to draw"):
    plots.line_chart([plots.Series("s", [0], [math.inf])], "t", "x")
  with pytest.raises(ValueError, match="negative x"):
    plots.line_chart([plots.Series("s", [-1], [0])], "t", "x")


def test_a_frontier_is_drawn_by_the_logarithm_of_what_was_spent():
  def row(method, spent, auc):
    metrics = {"auc": auc, "auc_real": 0.9}
    metrics |= {} if spent is None else {"spent": spent}
    row = {"method": method, "metrics": metrics, "sd": {"auc": 0.01}}
    return {**row, "curve": "GAN"}

  rows = [row("GAN, epsilon infinity", None, 0.85)]
  rows += [row("GAN", spent, 0.6 + spent / 50) for spent in (8.0, 0.5, 2.0)]
  rows += [{"method": "Old", "metrics": {"auc": 0.1}}]
  result = {"rows": rows, "frontier": ["spent", "auc", "auc_real"]}
  svg = frontier.chart(result)
  assert svg is not None
  at = markers(svg)
  low, middle, high = (
    at[f"GAN: {y:.4g} at {x:.4g}"][0]
    for x, y in ((0.5, 0.61), (2.0, 0.64), (8.0, 0.76))
  )
  assert middle == pytest.approx((low + high) / 2, abs=0.1)
  shown = {text for text, *_ in texts(svg)}
  assert {"0.5", "1", "2", "5"} <= shown and "10" not in shown
  assert "Real rows: 0.9 at 8" in at and "Old" not in svg
  assert "GAN, epsilon infinity: 0.85 at 0.5" in at
  assert frontier.chart({"rows": rows}) is None
