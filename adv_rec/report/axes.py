"""Axes: data to pixels, and round numbers to mark them with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Axis(NamedTuple):
  """A map of `low..high` in data to `start..stop` in pixels.

  Linear, or by the logarithm; then all values are above 0.
  """

  low: float
  high: float
  start: float
  stop: float
  log: bool = False

  def __call__(self, value: float) -> float:
    """The pixel of a value."""
    low, high = self.low, self.high
    if self.log:
      value, low, high = map(math.log, (value, low, high))
    share = (value - low) / (high - low)
    return self.start + share * (self.stop - self.start)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
  """At most `most` multiples of 1, 2, 2.5 or 5 times a power of ten.

  The first is at most `low`, the last at least `high`. An empty range is
  widened, so that there are always two ticks.

  Raises:
    ValueError: the range is not finite, or runs backwards.
  """
  if not (math.isfinite(low) and math.isfinite(high) and low <= high):
    raise ValueError(f"no ticks between {low} and {high}; give a finite range")
  if high - low <= 1e-12 * max(abs(low), abs(high)):
    pad = 0.1 * abs(low) or 1.0
    low, high = low - pad, high + pad
  power = math.floor(math.log10((high - low) / most))
  while True:
    for factor in (1, 2, 2.5, 5):
      step = factor * 10.0**power
      # The slack keeps a range that ends on a tick, up to rounding, there.
      first = math.floor(low / step + 1e-9)
      last = math.ceil(high / step - 1e-9)
      if last - first < most:
        return [
          float(f"{index * step:.12g}") for index in range(first, last + 1)
        ]
    power += 1


def tick_labels(values: Sequence[float]) -> list[str]:
  """Ticks as text, all with the digits that the step between them needs."""
  if max(map(abs, values)) >= 1e6:
    millions = tick_labels([value / 1e6 for value in values])
    return [
      f"{t}M" if v else "0" for t, v in zip(millions, values, strict=True)
    ]
  step = values[1] - values[0]
  if step < 1e-6:
    return [f"{value:.3g}" for value in values]
  exact = (d for d in range(9) if abs(round(step, d) / step - 1) < 1e-6)
  decimals = next(exact)
  return [f"{value:,.{decimals}f}" for value in values]
