"""Binary sparse matrices, arranged so that devices can work on their rows."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PIECE = 32  # cells of a row that are worked on together
_FLOATS_AT_ONCE = 1 << 20  # of the arrays of one block, 4 MiB each


class SparseRows(NamedTuple):
  """The ones of a binary matrix: N blocks of R rows and P pieces of rows.

  Attributes:
    rows: [N, R] int32 row ids; past the last row where there is none.
    columns: [N, P, PIECE] int32 column ids; past the last column where a row
      ends.
    owner: [N, P] int32 which of the R rows a piece belongs to, ascending; R
      for none.
  """

  rows: np.ndarray
  columns: np.ndarray
  owner: np.ndarray


def sparse_rows(
  rows: np.ndarray,
  columns: np.ndarray,
  shape: tuple[int, int],
  floats_per_piece: int,
) -> SparseRows:
  """Arranges a matrix on the host; cells given several times count once.

  Rows are cut into pieces and dealt out to blocks like cards, the longest
  first, so that all blocks hold about as many rows and pieces. Empty rows are
  in no block.

  Args:
    rows: [N] row of each one.
    columns: [N] column of each one.
    shape: (number of rows, number of columns).
    floats_per_piece: size of what will be computed from a piece; the number
      of blocks is chosen for about 4 MiB a block.
  """
  # Sorting is ten times quicker than np.unique, which hashes.
  cells = np.sort(np.asarray(rows, np.int64) * shape[1] + columns)
  cells = cells[np.diff(cells, prepend=-1) > 0]
  rows, columns = np.divmod(cells, shape[1])
  lengths = np.bincount(rows, minlength=shape[0])
  pieces = -(-lengths // PIECE)
  order = np.argsort(-pieces, kind="stable")[: np.count_nonzero(lengths)]
  n = max(-(-int(pieces.sum()) * floats_per_piece // _FLOATS_AT_ONCE), 1)
  n = max(min(n, len(order)), 1)

  dealt = np.full((-(-len(order) // n), n), shape[0])
  dealt.reshape(-1)[: len(order)] = order
  ends = np.cumsum(np.append(pieces, 0)[dealt], axis=0)
  block, slot, first = np.zeros((3, shape[0]), np.int64)
  block[order] = np.arange(len(order)) % n
  slot[order] = np.arange(len(order)) // n
  first[order] = ends.reshape(-1)[: len(order)] - pieces[order]

  place = np.arange(len(rows)) - (np.cumsum(lengths) - lengths)[rows]
  piece = block[rows], first[rows] + place // PIECE
  size = n, int(ends.max(initial=0))
  owner = np.full(size, len(dealt), np.int32)
  owner[piece] = slot[rows]
  filled = np.full((*size, PIECE), shape[1], np.int32)
  filled[*piece, place % PIECE] = columns
  return SparseRows(dealt.T.astype(np.int32), filled, owner)


def sum_by_row(values: jax.Array, owner: jax.Array, n_rows: int) -> jax.Array:
  """Sums what was computed from the pieces of a row. [P, ...] -> [R, ...]."""
  return jax.ops.segment_sum(values, owner, n_rows, indices_are_sorted=True)


def product(matrix: SparseRows, table: jax.Array, n_rows: int) -> jax.Array:
  """Matrix times table. [M, D] -> [n_rows, D]; traceable by JAX."""

  # Nothing of the table's or the result's size is copied: they may be as large
  # as memory allows (EASE).
  def one_block(result, block):
    rows, columns, owner = block
    known = table.at[columns].get(mode="fill", fill_value=0)
    sums = sum_by_row(jnp.sum(known, axis=1), owner, len(rows))
    return result.at[rows].set(sums, mode="drop"), None

  result = jnp.zeros((n_rows, table.shape[1]), table.dtype)
  return jax.lax.scan(one_block, result, matrix)[0]
