"""Rows from noisy marginals: a tree of columns, bought in three parts.

MST (McKenna, Miklau & Sheldon 2021, arXiv:2108.04978) measures each column,
then which pairs of columns depend on each other most, then the pairs of a tree
of these, and fits a graphical model to all that was measured. This is MST but
for three things:

- The columns may share a target: each is measured with it, the tree is about
  what they say of each other beyond it, and the tables of its edges have it as
  well, as in a tree-augmented naive Bayes classifier (Friedman et al. 1997).
- All scores of pairs are bought at once with Gaussian noise, in place of one
  edge after another by the exponential mechanism.
- An edge must be worth more than the noise of its table, as in AIM (McKenna et
  al. 2022, arXiv:2201.12677, equation 1); else columns stay apart.

Each part is one Gaussian mechanism. Rows are codes, encoded by a schema that
was declared; their number is public. Numpy only: what is fitted is fitted by
`privacy.estimation`, which sees nothing but noisy tables.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from adv_rec.privacy import secret

Clique = tuple[int, ...]  # columns, increasing


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
  penalty: float = 1.0,
) -> list[Measurement]:
  """Buys columns, scores and edges.

  Args:
    codes: [N, K], the cell of each row in each column.
    sizes: cells of each column.
    target: the column that all others are measured with; None for none.
    noise: of the three parts; 0 for exact ones.
    own: the secret that the noise is drawn from.
    penalty: weight of the noise that an edge must be worth.

  Returns:
    Columns first, then edges.
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
    return first
  exact = dependence(codes, sizes, target, first, pairs)
  # A row is in one cell of each pair's table, so that leaving it out moves
  # each score by 1 at most: all of them by sqrt(pairs) in L2 norm.
  rng = secret.generator(own, b"scores")
  scores = exact + noise.scores * math.sqrt(len(pairs)) * rng.normal(
    size=len(pairs)
  )
  # With as many edges as a tree has; with fewer, the noise will be less.
  most = math.sqrt(len(others) - 1) * noise.edges
  cells = np.array([math.prod(sizes[k] for k in clique(*p)) for p in pairs])
  scores -= penalty * math.sqrt(2 / math.pi) * most * cells
  edges = [clique(*pair) for pair in forest(pairs, scores)]
  rng = secret.generator(own, b"edges")
  return first + tables(codes, sizes, edges, noise.edges, rng)


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


def forest(
  pairs: Sequence[tuple[int, int]], scores: np.ndarray
) -> list[tuple[int, int]]:
  """The edges of a maximum spanning forest, of scores above 0 (Kruskal)."""
  group = {k: k for pair in pairs for k in pair}
  edges = []
  for i in np.argsort(-scores, kind="stable"):
    one, two = (group[k] for k in pairs[i])
    if scores[i] > 0 and one != two:
      edges.append(pairs[i])
      group = {k: one if g == two else g for k, g in group.items()}
  return edges


def model(
  marginals: Mapping[Clique, np.ndarray], num: int, target: int | None
) -> Model:
  """The chances of a tree, from marginals that agree with each other.

  Args:
    marginals: clique -> table, as `privacy.estimation` returns them.
    num: K.
    target: as of `measure`.
  """
  given = () if target is None else (target,)
  near = {k: set() for k in range(num)}
  for clique in marginals:
    apart = [k for k in clique if k != target]
    if len(apart) == 2:
      near[apart[0]].add(apart[1])
      near[apart[1]].add(apart[0])
  order: list[tuple[int, Clique]] = [(k, ()) for k in given]
  seen = set(given)
  for root in range(num):
    todo = [(root, given)] if root not in seen else []
    while todo:
      k, parents = todo.pop(0)
      seen.add(k)
      order.append((k, parents))
      todo += [(n, (*given, k)) for n in sorted(near[k] - seen)]
  found = []
  for k, parents in order:
    wanted = (*parents, k)
    clique = next(c for c in marginals if set(wanted) <= set(c))
    summed = tuple(i for i, c in enumerate(clique) if c not in wanted)
    table = np.maximum(marginals[clique], 0).sum(summed)
    kept = [c for c in clique if c in wanted]
    table = table.transpose([kept.index(c) for c in wanted])
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
