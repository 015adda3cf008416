"""Batches of histories of which only a few items are shown."""

from __future__ import annotations

import numpy as np

from adv_rec.data.batching import EpochRows, padded_lists


def cut_histories(
  indptr: np.ndarray,
  items: np.ndarray,
  pad: int,
  most: int,
  seed: int,
) -> EpochRows:
  """Epochs of users with a few of their items, drawn anew, and with all.

  Args:
    indptr: [U + 1], as `Dataset.history` gives it.
    items: [N] int, the items of user u at indptr[u] .. indptr[u + 1] - 1.
    pad: the id that fills the rows up; past the end of the item table.
    most: K; the number of items drawn, 1 to K, is log-uniform.
    seed: of the draws.

  Returns:
    epoch -> {"known": [V, K], "items": [V, L]} for the V users with more than
    K items.
  """
  users = np.flatnonzero(np.diff(indptr) > most)
  rows = padded_lists(indptr, items, pad)[users]
  sizes = np.diff(indptr)[users]

  def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(users))
    # The first K of a random order of each row's items.
    draw = rng.random(rows.shape, np.float32)
    draw[np.arange(rows.shape[1]) >= sizes[:, None]] = 2.0
    first = np.argpartition(draw, most - 1, axis=1)[:, :most]
    first = np.take_along_axis(
      first, np.argsort(np.take_along_axis(draw, first, axis=1)), axis=1
    )
    known = np.take_along_axis(rows, first, axis=1)
    number = np.exp(rng.random(len(users)) * np.log(most + 1)).astype(int)
    known[np.arange(most) >= np.minimum(number, most)[:, None]] = pad
    return {"known": known[shuffled], "items": rows[shuffled]}

  return epoch_rows
