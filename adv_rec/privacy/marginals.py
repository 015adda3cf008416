"""Rows from noisy marginals: columns, then the pairs that matter.

MST (McKenna, Miklau & Sheldon 2021, arXiv:2108.04978) measures each column,
then which pairs of columns depend on each other most, then the pairs of a tree
of these, and fits a graphical model to all that was measured. This is MST with
three changes:

- The columns may share a target: each is measured with it, edges are about what
  columns say of each other beyond it, and the tables of edges have it as well,
  as in a tree-augmented naive Bayes classifier (Friedman et al. 1997).
- All scores of pairs are bought at once with Gaussian noise, in place of one
  edge after another by the exponential mechanism.
- As in AIM (McKenna et al. 2022, arXiv:2201.12677, equation 1) an edge must be
  worth more than the noise of its table, and there may be more edges than a
  tree has, or fewer, as long as the fitted model stays small.

Each part is one Gaussian mechanism. Rows are codes, encoded by a schema that
was declared; their number is public. Numpy only: what is fitted is fitted by
`privacy.estimation`, which sees nothing but noisy tables.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from adv_rec.privacy import secret

Clique = tuple[int, ...]  # columns, increasing
MOST = 20_000  # cells of a table of the fitted model


class Noise(NamedTuple):
  """Noise multipliers of the three parts; see `accounting.Gaussian`."""

  columns: float
  scores: float
  edges: float


class Measurement(NamedTuple):
  """A noisy table of counts.

  Attributes:
    clique: its columns.
    counts: of its cells, an axis for each column.
    deviation: standard deviation of the noise.
  """

  clique: Clique
  counts: np.ndarray
  deviation: float


class Model(NamedTuple):
  """How rows are drawn, one column after another.

  Attributes:
    columns: their order; the target is the first.
    parents: of each in that order: those before it that it depends on.
    tables: chances, an axis for each parent and last one for the column.
  """

  columns: tuple[int, ...]
  parents: tuple[Clique, ...]
  tables: tuple[np.ndarray, ...]


def measure(
  codes: np.ndarray,
  sizes: Sequence[int],
  target: int | None,
  noise: Noise,
  own: bytes,
  penalty: float = 0.5,
  most: int = MOST,
) -> tuple[list[Measurement], list[tuple[int, int]]]:
  """Buys columns, scores and edges.

  Args:
    codes: [N, K], the cell of each row in each column.
    sizes: cells of each column.
    target: the column that all others are measured with; None for none.
    noise: of the three parts; 0 for exact ones.
    own: the secret that the noise is drawn from.
    penalty: weight of the noise that an edge must be worth.
    most: see `chosen`.

  Returns:
    Columns first, then edges; and which pairs the edges are.
  """
  others = [k for k in range(len(sizes)) if k != target]
  given = () if target is None else (target,)

  def clique(*columns: int) -> Clique:
    return tuple(sorted({*columns, *given}))

  # A column alone, if it is the target or there is no other.
  singles = [clique(k) for k in others] or [given]
  first = tables(
    codes, sizes, singles, noise.columns, secret.generator(own, b"columns")
  )
  pairs = list(itertools.combinations(others, 2))
  if not pairs:
    return first, []
  rng = secret.generator(own, b"scores")
  scores = scored(codes, sizes, target, first, pairs, noise.scores, rng)
  edges = chosen(pairs, scores, sizes, target, penalty * noise.edges, most)
  cliques = [clique(*pair) for pair in edges]
  rng = secret.generator(own, b"edges")
  return first + tables(codes, sizes, cliques, noise.edges, rng), edges


def tables(
  codes: np.ndarray,
  sizes: Sequence[int],
  cliques: Sequence[Clique],
  noise_multiplier: float,
  rng: np.random.Generator,
) -> list[Measurement]:
  """Counts of each clique's cells: one Gaussian mechanism, of all together.

  A row is in one cell of each of M tables: without it they move by sqrt(M) in
  L2 norm.
  """
  deviation = noise_multiplier * math.sqrt(len(cliques))
  found = []
  for clique in cliques:
    exact = _counts(codes, sizes, clique)
    noisy = exact + deviation * rng.normal(size=exact.shape)
    found.append(Measurement(clique, noisy, deviation))
  return found


def scored(
  codes: np.ndarray,
  sizes: Sequence[int],
  target: int | None,
  columns: Sequence[Measurement],
  pairs: Sequence[tuple[int, int]],
  noise_multiplier: float,
  rng: np.random.Generator,
) -> np.ndarray:
  """`dependence` with noise. [P]

  A row is in one cell of each pair's table, so that leaving it out moves each
  score by 1 at most: all of them by sqrt(pairs) in L2 norm.
  """
  exact = dependence(codes, sizes, target, columns, pairs)
  deviation = noise_multiplier * math.sqrt(len(pairs))
  return exact + deviation * rng.normal(size=len(pairs))


def dependence(
  codes: np.ndarray,
  sizes: Sequence[int],
  target: int | None,
  columns: Sequence[Measurement],
  pairs: Sequence[tuple[int, int]],
) -> np.ndarray:
  """How far pairs are from independent, given the target. [P] counts.

  The L1 distance of a pair's table from what the noisy columns say of it. These
  are bought already, so that a row moves each score by 1 at most.
  """
  known = {}  # column -> [target's cells or 1, cells], counts
  for clique, counts, _ in columns:
    counts = np.maximum(counts, 0)
    (k,) = [k for k in clique if k != target] or [target]
    if target is None:
      known[k] = counts[None]
    else:
      known[k] = counts if clique[0] == target else counts.T
  found = []
  for a, b in pairs:
    clique = (a, b) if target is None else (target, a, b)
    real = _counts(codes, sizes, clique).reshape(-1, sizes[a], sizes[b])
    one, two = known[a], known[b]
    rows = np.maximum((one.sum(1) + two.sum(1)) / 2, 1)
    apart = one[:, :, None] * two[:, None] / rows[:, None, None]
    found.append(np.abs(real - apart).sum())
  return np.array(found)


def chosen(
  pairs: Sequence[tuple[int, int]],
  scores: np.ndarray,
  sizes: Sequence[int],
  target: int | None,
  noise_multiplier: float,
  most: int,
) -> list[tuple[int, int]]:
  """The edges to measure, greedily by their worth.

  Args:
    pairs: of columns.
    scores: of pairs, noisy.
    sizes: cells of each column.
    target: as of `measure`.
    noise_multiplier: of the edges' tables. An edge is worth its score less the
      expected L1 norm of its table's noise.
    most: cells of a table that the fitted model may need; an edge that would
      need more is left out.
  """
  beside = 1 if target is None else sizes[target]
  cells = np.array([sizes[a] * sizes[b] * beside for a, b in pairs])
  noise = math.sqrt(2 / math.pi) * noise_multiplier * cells
  edges = []
  # As many as a tree has, to begin with; more edges make each more noisy.
  for i in np.argsort(noise * math.sqrt(len(sizes)) - scores, kind="stable"):
    if scores[i] <= noise[i] * math.sqrt(len(edges) + 1):
      continue
    if _largest(families([*edges, pairs[i]], sizes, target), sizes) <= most:
      edges.append(pairs[i])
  return edges


def families(
  edges: Sequence[tuple[int, int]], sizes: Sequence[int], target: int | None
) -> list[tuple[int, Clique]]:
  """Columns in an order of drawing, each with those it then depends on.

  The reverse of an elimination that takes, one by one, the column whose table
  with its neighbours is the smallest, and joins these. The target comes first,
  and all depend on it.
  """
  num = len(sizes)
  near: dict[int, set[int]] = {k: set() for k in range(num)}
  given = [] if target is None else [target]
  for a, b in [*edges, *((t, k) for t in given for k in range(num) if k != t)]:
    near[a].add(b)
    near[b].add(a)
  found = []
  while near:
    rest = [k for k in near if k != target] or given
    k = min(rest, key=lambda k: math.prod(sizes[n] for n in (k, *near[k])))
    own = near.pop(k)
    found.append((k, tuple(sorted(own))))
    for n in own:
      near[n] = (near[n] | own) - {n, k}
  return found[::-1]


def model(
  order: Sequence[tuple[int, Clique]], marginals: Sequence[np.ndarray]
) -> Model:
  """The chances of rows, from marginals of the columns' families.

  Args:
    order: from `families`.
    marginals: of each, an axis for each column it depends on and last one for
      its own; of one distribution.
  """
  found = []
  for table in marginals:
    table = np.maximum(table, 0)
    whole = table.sum(-1, keepdims=True)
    alike = np.full_like(table, 1 / table.shape[-1])
    found.append(np.where(whole > 0, table / np.maximum(whole, 1e-12), alike))
  columns, parents = zip(*order, strict=True)
  return Model(columns, parents, tuple(found))


def draw(made: Model, num: int, rng: np.random.Generator) -> np.ndarray:
  """Rows of a model, [num, K] codes."""
  codes = np.zeros((num, len(made.columns)), np.int32)
  for k, parents, table in zip(*made, strict=True):
    chances = table[tuple(codes[:, p] for p in parents)]
    ends = np.cumsum(np.broadcast_to(chances, (num, table.shape[-1])), axis=1)
    at = rng.random(num)[:, None] * ends[:, -1:]
    codes[:, k] = np.minimum((ends <= at).sum(1), table.shape[-1] - 1)
  return codes


def _counts(
  codes: np.ndarray, sizes: Sequence[int], clique: Clique
) -> np.ndarray:
  shape = tuple(sizes[k] for k in clique)
  cells = np.ravel_multi_index(tuple(codes[:, k] for k in clique), shape)
  return np.bincount(cells, minlength=math.prod(shape)).reshape(shape) * 1.0


def _largest(order: Sequence[tuple[int, Clique]], sizes: Sequence[int]) -> int:
  return max(math.prod(sizes[n] for n in (k, *near)) for k, near in order)
