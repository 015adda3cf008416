"""Which inputs a decision rests on, and whether an explanation is faithful.

One example is explained at a time. Its inputs are a tree of arrays
[1, ..., D] whose rows (the last axis) are positions: fields, features, words;
P in all, in the order of the tree's leaves. They are explained against
references, a tree [M, ..., D]: what stands there instead when a position is
taken away, such as other examples, or zero.

All methods speak of one function of subsets, the mean over the references of
the score where the positions kept are the example's own. What they give is one
number a position; of those with a sum rule it is score - mean score of the
references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import trapezoid
from sklearn.linear_model import Ridge

Inputs = Any  # a tree of float arrays [B, ..., D]
Score = Callable[[Inputs], jax.Array]  # [B, ..., D] -> [B]
Value = Callable[[np.ndarray], np.ndarray]  # kept [N, P] bool -> [N]

_BLOCK = 256  # examples scored at a time


class Attribution(NamedTuple):
  """What each position adds to the score.

  Attributes:
    values: [P].
    gap: how far their sum is from what it should be; NaN without a rule.
  """

  values: np.ndarray
  gap: float


def positions(inputs: Inputs) -> int:
  """P, the rows of one example."""
  return sum(x[0, ..., 0].size for x in jax.tree.leaves(inputs))


def subsets(score: Score, inputs: Inputs, references: Inputs) -> Value:
  """The function of subsets that is explained.

  Args:
    score: what is explained; each example on its own.
    inputs: of the example [1, ..., D].
    references: [M, ..., D].
  """
  num = len(jax.tree.leaves(references)[0])
  shapes = [x.shape[1:-1] for x in jax.tree.leaves(inputs)]
  ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

  def mixed(kept):
    """[B, P] -> inputs [B M, ..., D]."""
    parts = jnp.split(kept, ends[:-1].tolist(), axis=1)
    leaves, tree = jax.tree.flatten(inputs)
    return tree.unflatten(
      [
        jnp.where(part.reshape(-1, 1, *shape, 1), x, reference[None]).reshape(
          -1, *x.shape[1:]
        )
        for part, shape, x, reference in zip(
          parts, shapes, leaves, jax.tree.leaves(references), strict=True
        )
      ]
    )

  size = max(_BLOCK // num, 1)
  scored = jax.jit(lambda kept: score(mixed(kept)).reshape(-1, num).mean(1))

  def value(kept: np.ndarray) -> np.ndarray:
    found = []
    for start in range(0, len(kept), size):
      block = np.asarray(kept[start : start + size], bool)
      # Filled up with its own rows: one compiled size.
      whole = block[np.resize(np.arange(len(block)), size)]
      found.append(np.asarray(scored(whole), np.float64)[: len(block)])
    return np.concatenate(found)

  return value


def integrated_gradients(
  score: Score, inputs: Inputs, references: Inputs, steps: int = 64
) -> Attribution:
  """(x - r) . integral of the gradient from r to x, mean over references.

  Sundararajan, Taly & Yan 2017 (arXiv:1703.01365), eq. 1, by the midpoint
  rule; over references as in Erion et al. 2021 (arXiv:1906.10670), eq. 4. The
  values sum to the score less that of the references (completeness).

  Args:
    score: what is explained.
    inputs: of the example [1, ..., D].
    references: [M, ..., D].
    steps: of the rule; where it is too coarse, `gap` says so.
  """
  shift = jax.tree.map(lambda x, r: x - r, inputs, references)

  @jax.jit
  def mean_gradient():
    def add(i, total):
      at = (i + 0.5) / steps
      point = jax.tree.map(lambda r, d: r + at * d, references, shift)
      gradient = jax.grad(lambda x: jnp.sum(score(x)))(point)
      return jax.tree.map(lambda t, g: t + g / steps, total, gradient)

    return jax.lax.fori_loop(0, steps, add, jax.tree.map(jnp.zeros_like, shift))

  products = jax.tree.map(lambda g, d: g * d, mean_gradient(), shift)
  values = _by_position(products)
  gain = jnp.mean(score(inputs)) - jnp.mean(score(references))
  return Attribution(values, abs(float(values.sum() - gain)))


def shapley(value: Value, num: int, calls: int, seed: int = 0) -> Attribution:
  """Shapley values by permutations, of the package `shap`.

  Lundberg & Lee 2017 (arXiv:1705.07874), eq. 8, with the estimator of Strumbelj
  & Kononenko 2014 forwards and backwards, which is exact where no more than
  two positions interact. They sum to the value of all less that of none.

  Args:
    value: see `subsets`.
    num: P.
    calls: subsets to look at, in about; at least 2 P + 2 are needed.
    seed: of the permutations.

  Raises:
    ValueError: the package shap is not installed.
  """
  try:
    import shap  # pyright: ignore[reportMissingImports]
  except ImportError as error:
    raise ValueError(
      "SHAP values need the package shap: pip install 'adv_rec[explain]'"
    ) from error
  explainer = shap.PermutationExplainer(
    lambda kept: value(np.asarray(kept) > 0.5), np.zeros((1, num)), seed=seed
  )
  rounds = max(calls // (2 * num + 1), 1)
  found = explainer(
    np.ones((1, num)), max_evals=rounds * (2 * num + 1) + 1, silent=True
  )
  values = np.asarray(found.values, np.float64).reshape(num)
  whole, none = value(np.stack([np.ones(num, bool), np.zeros(num, bool)]))
  return Attribution(values, abs(float(values.sum() - (whole - none))))


def local_surrogate(
  value: Value, num: int, calls: int, seed: int = 0, l2: float = 1e-3
) -> Attribution:
  """Weights of a ridge regression on subsets near the example.

  Ribeiro, Singh & Guestrin 2016 (arXiv:1602.04938), eq. 1 and algorithm 1: a
  number of positions, drawn evenly, is taken away at random; a subset weighs
  exp(-d^2 / .25^2) at the cosine distance d from the whole. There is no sum
  rule.

  Args:
    value: see `subsets`.
    num: P.
    calls: subsets.
    seed: of the subsets.
    l2: of the weights, for one subset.
  """
  rng = np.random.default_rng(seed)
  away = rng.integers(1, num + 1, calls)
  kept = rng.permuted(np.arange(num) >= away[:, None], axis=1)
  kept[0] = True
  distance = 1 - np.sqrt(kept.mean(axis=1))
  model = Ridge(alpha=l2 * calls)
  weight = np.exp(-((distance / 0.25) ** 2))
  model.fit(kept, value(kept), weight / weight.mean())
  return Attribution(np.asarray(model.coef_, np.float64), float("nan"))


class Faithfulness(NamedTuple):
  """What happens as positions are taken away, or put in, the strongest first.

  Attributes:
    shares: [N] shares of the positions that are gone, or there; 0 .. 1.
    deletion: [N] values as they are taken away.
    insertion: [N] values as they are put in.
    deletion_area: mean of the first; less is more faithful.
    insertion_area: mean of the second; more is.
  """

  shares: np.ndarray
  deletion: np.ndarray
  insertion: np.ndarray

  @property
  def deletion_area(self) -> float:
    """The area under the curve of deletion."""
    return float(trapezoid(self.deletion, self.shares))

  @property
  def insertion_area(self) -> float:
    """The area under the curve of insertion."""
    return float(trapezoid(self.insertion, self.shares))


def faithfulness(
  value: Value, values: np.ndarray, points: int = 50
) -> Faithfulness:
  """Curves of deletion and insertion.

  Petsiuk, Das & Saenko 2018 (arXiv:1806.07421), section 4.1.

  Args:
    value: see `subsets`.
    values: of the positions [P], an explanation.
    points: of a curve, at most.
  """
  num = len(values)
  rank = np.empty(num, int)
  rank[np.argsort(-values, kind="stable")] = np.arange(num)
  counts = np.unique(np.linspace(0, num, min(points, num + 1)).round())
  gone = rank < counts[:, None]
  found = value(np.concatenate([~gone, gone]))
  first, second = np.split(found, 2)
  return Faithfulness(counts / num, first, second)


def random_orders(
  value: Value, num: int, seed: int, orders: int = 10, points: int = 50
) -> Faithfulness:
  """Mean curves of random orders: what no explanation may fall behind."""
  rng = np.random.default_rng(seed)
  found = [
    faithfulness(value, rng.permutation(num).astype(float), points)
    for _ in range(orders)
  ]
  return Faithfulness(
    found[0].shares,
    np.mean([one.deletion for one in found], axis=0),
    np.mean([one.insertion for one in found], axis=0),
  )


class Counterfactual(NamedTuple):
  """The smallest perturbation found that turns the decision.

  Attributes:
    epsilon: its size.
    shift: length of what it moves each position by [P].
    score: where it ends; not above 0.
  """

  epsilon: float
  shift: np.ndarray
  score: float


def closest(
  score: Score,
  inputs: Inputs,
  make_attack: Callable[[jax.Array], Callable],
  largest: float,
  key: jax.Array,
  halvings: int = 20,
) -> Counterfactual | None:
  """The least size at which an attack makes the score negative.

  By bisection from `largest`; None where not even that is enough. An attack of
  one step may turn the decision at a size and not at a larger one: what is
  found turns it, and a size less by largest / 2^halvings did not.

  Args:
    score: above 0 at the inputs: the lead of the class decided for.
    inputs: of the example [1, ..., D].
    make_attack: size -> attack, see `attacks.gradients`.
    largest: size to begin with.
    key: of random starts.
    halvings: of the interval.
  """

  @jax.jit
  def moved(epsilon):
    attack = make_attack(epsilon)
    delta = attack(lambda x: -jnp.sum(score(x)), inputs, key)
    return delta, score(jax.tree.map(jnp.add, inputs, delta))[0]

  best, low, high = None, 0.0, float(largest)
  for _ in range(halvings):
    tried = high if best is None else (low + high) / 2
    delta, reached = jax.device_get(moved(tried))
    if reached <= 0:
      lengths = jax.tree.map(lambda d: np.linalg.norm(d, axis=-1), delta)
      shift = [x.reshape(-1) for x in jax.tree.leaves(lengths)]
      high = tried
      best = Counterfactual(tried, np.concatenate(shift), float(reached))
    elif best is None:
      return None
    else:
      low = tried
  return best


def fewest(value: Value, values: np.ndarray) -> np.ndarray | None:
  """A smallest set of positions whose removal makes the value negative.

  Taken away greedily, the strongest first; then each is put back that is not
  needed, so that no smaller part of the set will do.

  Args:
    value: see `subsets`; above 0 where all is kept.
    values: [P], an explanation.

  Returns:
    Positions, the strongest first; None where taking away all that speaks for
    the decision does not turn it.
  """
  num = len(values)
  order = np.argsort(-values, kind="stable")
  rank = np.empty(num, int)
  rank[order] = np.arange(num)
  kept = rank >= np.arange(num + 1)[:, None]
  turned = np.flatnonzero(value(kept) <= 0)
  if not len(turned):
    return None
  removed = list(order[: turned[0]])
  for one in removed[::-1]:
    without = np.ones((1, num), bool)
    without[0, [other for other in removed if other != one]] = False
    if value(without)[0] <= 0:
      removed.remove(one)
  return np.array(removed, int)


def _by_position(products: Inputs) -> np.ndarray:
  """Sums over the last axis, means over examples. -> [P]."""
  parts: Sequence[jax.Array] = [
    jnp.mean(jnp.sum(x, axis=-1), axis=0).reshape(-1)
    for x in jax.tree.leaves(products)
  ]
  return np.asarray(jnp.concatenate(parts), np.float64)


def by_history(
  query: np.ndarray, history: np.ndarray, key: np.ndarray
) -> Attribution:
  """What each item of a user's history adds to the score of another item.

  The query is written as a sum of the keys of the history, by ridge regression;
  of models whose query is such a sum, as PureSVD's, the parts are exact, and of
  others the gap is what the history does not explain.

  Args:
    query: of the user [D].
    history: keys of its items [N, D].
    key: of the item [D].
  """
  gram = history @ history.T
  ridge = 1e-4 * max(np.trace(gram) / len(gram), 1e-12) * np.eye(len(gram))
  share = np.linalg.solve(gram + ridge, history @ query)
  values = share * (history @ key)
  return Attribution(values, abs(float(values.sum() - query @ key)))
