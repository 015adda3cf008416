"""What a generator of rows is asked for: a cell that the row is to have."""

from __future__ import annotations

import numpy as np

from adv_rec.data.batching import Batches, Part, share
from adv_rec.data.encoding import Encoded

_ROWS_A_CELL = 20  # from which on a sample has every cell


class Conditions:
  """Conditions of a generator: cells of blocks, numbered over all blocks.

  Xu et al. 2019 (arXiv:1907.00503), section 4.3: a block at random, then one
  of its cells.
  """

  def __init__(
    self,
    rows: Encoded,
    sizes: tuple[int, ...],
    counts: np.ndarray | None = None,
  ):
    """Counts cells.

    Args:
      rows: of the training data.
      sizes: cells of each block.
      counts: of the cells, to take in place of those of the rows: noisy ones,
        so that `sampling` tells no more of the rows than they do.
    """
    if not sizes:
      raise ValueError(
        "all columns are continuous: there is no category to condition on"
      )
    self.block = np.repeat(np.arange(len(sizes)), sizes)
    self.first = np.cumsum([0, *sizes[:-1]])
    cells = rows.codes + self.first
    self.counts = np.bincount(cells.ravel(), minlength=sum(sizes))
    # The rows of each cell, one after another.
    self._rows = np.argsort(cells.T.ravel(), kind="stable") % len(cells)
    self._begin = np.cumsum(self.counts) - self.counts
    if counts is not None:
      self.counts = counts

  def training(
    self, num: int, rng: np.random.Generator
  ) -> tuple[np.ndarray, np.ndarray]:
    """Cells by the logarithm of their counts, and a row of each.

    Training-by-sampling: rare cells come more often than in the data, and
    each with rows that have it.

    Returns:
      Cells [num] and rows [num].
    """
    cells = self._draw(np.log1p(self.counts), num, rng)
    nth = (rng.random(num) * self.counts[cells]).astype(np.int64)
    return cells.astype(np.int32), self._rows[self._begin[cells] + nth]

  def sampling(self, num: int, rng: np.random.Generator) -> np.ndarray:
    """Cells as often as in the data. [num] int32.

    Where there are 20 rows or more for each cell there is, each is drawn at
    least once, so that a sample has every category.
    """
    cells = self._draw(self.counts, num, rng)
    present = np.flatnonzero(self.counts)
    if num >= _ROWS_A_CELL * len(present):
      cells[rng.choice(num, len(present), replace=False)] = present
    return cells.astype(np.int32)

  def fulfil(self, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Codes [N, K] with the cell of each row's condition [N] in its place."""
    codes = codes.copy()
    block = self.block[cells]
    codes[np.arange(len(codes)), block] = cells - self.first[block]
    return codes

  def _draw(
    self, weights: np.ndarray, num: int, rng: np.random.Generator
  ) -> np.ndarray:
    """Cells by their weights within their block, blocks alike."""
    within = np.bincount(self.block, weights)
    ends = np.cumsum(weights / within[self.block])
    drawn = np.searchsorted(ends, rng.random(num) * ends[-1], side="right")
    return np.minimum(drawn, np.flatnonzero(weights)[-1])


def batches(
  rows: Encoded, conditions: Conditions, batch_size: int, seed: int
) -> Batches:
  """Conditions and rows that have them, a function of (seed, step).

  Args:
    rows: of the training data.
    conditions: from these rows.
    batch_size: B.
    seed: of the draws.

  Returns:
    (start, stop, part) -> "codes" [S, B / P, K], "numbers" [S, B / P, F] and
    "condition" [S, B / P], the cells, of S = stop - start steps.
  """

  def draw(start: int, stop: int, part: Part = (0, 1)) -> dict[str, np.ndarray]:
    own = share(batch_size, part)
    drawn = [
      conditions.training(batch_size, np.random.default_rng([seed, step]))
      for step in range(start, stop)
    ]
    cells, chosen = (np.stack(x)[:, own] for x in zip(*drawn, strict=True))
    return {
      "codes": rows.codes[chosen],
      "numbers": rows.numbers[chosen],
      "condition": cells,
    }

  return draw
