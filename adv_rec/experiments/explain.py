"""Why a classifier decided as it did on one example, from a run alone."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.attacks import gradients
from adv_rec.evaluation import explanations
from adv_rec.evaluation.explanations import Attribution
from adv_rec.experiments import experiment
from adv_rec.experiments.answers import Rows
from adv_rec.experiments.classify import Task, best
from adv_rec.losses import pointwise
from adv_rec.types import Params

METHODS = ("integrated_gradients", "shap", "lime")
REFERENCES = ("auto", "others", "zero")
_ORDERS = 10  # random ones, the control of the curves
_LARGEST = 4.0  # size of an attack to begin with, in norms of the inputs


class Budget(NamedTuple):
  """How much work an explanation may be.

  Attributes:
    background: other examples as references, at most.
    calls: subsets scored, for SHAP and LIME each.
    steps: of integrated gradients.
  """

  background: int = 32
  calls: int = 2000
  steps: int = 64


def explain(
  workdir: pathlib.Path,
  asked: int | str | Mapping[str, Any],
  methods: Sequence[str] = METHODS,
  reference: str = "auto",
  budget: Budget | None = None,
  part: str = "test",
) -> dict[str, Any]:
  """Explains one decision of a trained classifier.

  Args:
    workdir: of a run that has a classifier.
    asked: the number of a row of the part; or a text, or a row of raw values,
      that the run has never seen.
    methods: some of `METHODS`; where the model has attention, that comes too.
    reference: what stands in the place of an input that is taken away:
      "others", inputs of other examples; "zero"; "auto", others where inputs
      of the same place are of the same kind, else zero (texts).
    budget: how much work it may be.
    part: whose row, and where other examples come from.

  Returns:
    What `report.explanation` shows.

  Raises:
    FileNotFoundError: no run there.
    ValueError: a run without classifier, no such row, unknown method.
  """
  for name, value, choices in (
    *(("method", method, METHODS) for method in methods),
    ("reference", reference, REFERENCES),
  ):
    if value not in choices:
      raise ValueError(f"{name} {value!r}: choose {', '.join(choices)}")
  found, state = experiment.restore(workdir, robustness=())
  if found.task is None:
    raise ValueError(
      f"{workdir} is no run of a classifier: there is no decision to explain;"
      " choose a run of configs/ctr, configs/sentiment or configs/portraits"
    )
  task: Task = found.task
  rows = _row(task, asked, part)
  others = _others(task, part, (budget or Budget()).background)
  made = of_row(
    task, best(state), rows, others, methods, reference, budget or Budget()
  )
  truth = int(rows["label"][0]) if "label" in rows else -1
  return {
    "run": str(workdir),
    "row": asked if isinstance(asked, int | str) else dict(asked),
    "truth": task.classes[truth] if truth >= 0 else None,
    **made,
  }


def of_row(
  task: Task,
  params: Params,
  rows: Rows,
  others: Rows,
  methods: Sequence[str] = METHODS,
  reference: str = "auto",
  budget: Budget | None = None,
) -> dict[str, Any]:
  """`explain` of a row of features; see there."""
  budget = budget or Budget()
  predictor = task.predictor
  rows = {name: x for name, x in rows.items() if name != "label"}
  names = task.names(rows)[0]
  inputs = predictor.lookup(params, jax.tree.map(jnp.asarray, rows))
  num = explanations.positions(inputs)
  names = [*names, *[""] * (num - len(names))][:num]
  there = np.array([_speaks(name) for name in names])
  shown = np.flatnonzero(there)
  if not len(shown):
    raise ValueError("the row has no inputs that could explain anything")
  logits = predictor.logits(params, rows, inputs, None)
  chances = np.asarray(jax.nn.softmax(pointwise.classes(logits))[0])
  decided = int(chances.argmax())

  def classes(x):
    size = len(jax.tree.leaves(x)[0])
    batch = {name: jnp.repeat(v, size, axis=0) for name, v in rows.items()}
    return pointwise.classes(predictor.logits(params, batch, x, None))

  def rivals(x):
    found = classes(x)
    others = [found[:, :decided], found[:, decided + 1 :]]
    return found[:, decided], jnp.concatenate(others, axis=1)

  def odds(x):
    own, other = rivals(x)
    return own - jax.nn.logsumexp(other, axis=1)

  def lead(x):
    own, other = rivals(x)
    return own - jnp.max(other, axis=1)

  references, kind = _references(
    task, params, others, inputs, names, there, reference
  )
  whole = explanations.subsets(odds, inputs, references)

  def value(kept):
    everything = np.ones((len(kept), num), bool)
    everything[:, shown] = kept
    return whole(everything)

  made: dict[str, Attribution] = {}
  for method in methods:
    if method == "integrated_gradients":
      gradient = explanations.integrated_gradients(
        odds, inputs, references, budget.steps
      )
      made[method] = gradient._replace(values=gradient.values[shown])
    elif method == "shap":
      made[method] = explanations.shapley(value, len(shown), budget.calls)
    else:
      made[method] = explanations.local_surrogate(
        value, len(shown), budget.calls
      )
  if predictor.attention is not None:
    looks = np.asarray(predictor.attention(params, rows, inputs)[0], float)
    made["attention"] = Attribution(looks[shown], float("nan"))
  curves = {
    name: explanations.faithfulness(value, one.values)
    for name, one in made.items()
  }
  chance = explanations.random_orders(value, len(shown), 0, _ORDERS)
  first = min(curves, key=lambda name: curves[name].deletion_area)
  return {
    "classes": list(task.classes),
    "chances": chances.tolist(),
    "decided": task.classes[decided],
    "log_odds": float(odds(inputs)[0]),
    "log_odds_without": float(value(np.zeros((1, len(shown)), bool))[0]),
    "reference": kind,
    "names": [names[i] for i in shown],
    "methods": {
      name: {
        "values": one.values.tolist(),
        "gap": None if np.isnan(one.gap) else one.gap,
        **_curve(curves[name]),
      }
      for name, one in made.items()
    },
    "random": _curve(chance),
    "most_faithful": first,
    "counterfactuals": {
      **_turns(lead, inputs, there),
      "fewest": _fewest(value, made[first].values, [names[i] for i in shown]),
    },
  }


def _row(task: Task, asked: int | str | Mapping[str, Any], part: str) -> Rows:
  if isinstance(asked, int):
    rows = task.parts.get(part)
    if rows is None or not 0 <= asked < len(rows["label"]):
      count = 0 if rows is None else len(rows["label"])
      raise ValueError(
        f"row {asked}: the {part} part has rows 0 to {count - 1}"
      )
    return {name: x[asked : asked + 1] for name, x in rows.items()}
  return task.encode([asked])


def _others(task: Task, part: str, most: int) -> Rows:
  rows = task.parts[part]
  count = len(rows["label"])
  at = np.random.default_rng(0).permutation(count)[: max(most, 1)]
  return {name: x[at] for name, x in rows.items()}


def _speaks(name: str) -> bool:
  """Whether a position is there: padding has no name, or that of its field."""
  return bool(name.rpartition(": ")[2]) and name not in ("[PAD]", "<pad>")


def _references(
  task: Task,
  params: Params,
  others: Rows,
  inputs: Any,
  names: Sequence[str],
  there: np.ndarray,
  reference: str,
) -> tuple[Any, str]:
  """References, the example's own at padding; and of which kind they are."""
  if reference == "auto":
    of_others = [[_speaks(n) for n in one] for one in task.names(others)]
    own = [_speaks(name) for name in names]
    reference = "others" if all(x == own for x in of_others) else "zero"
  if reference == "zero":
    found = jax.tree.map(jnp.zeros_like, inputs)
  else:
    batch = {name: jnp.asarray(x) for name, x in others.items()}
    found = task.predictor.lookup(params, batch)
  masks = _by_leaf(there, inputs)
  return jax.tree.map(
    lambda r, x, mask: jnp.where(mask, r, x), found, inputs, masks
  ), reference


def _by_leaf(there: np.ndarray, inputs: Any) -> Any:
  """[P] as a tree of [1, ..., 1]."""
  leaves, tree = jax.tree.flatten(inputs)
  ends = np.cumsum([x[0, ..., 0].size for x in leaves])
  parts = np.split(there, ends[:-1])
  return tree.unflatten(
    [
      p.reshape(1, *x.shape[1:-1], 1)
      for p, x in zip(parts, leaves, strict=True)
    ]
  )


def _turns(lead: Any, inputs: Any, there: np.ndarray) -> dict[str, Any]:
  """The least sizes at which attacks on the whole example turn the decision."""
  unit = jax.tree.map(
    lambda x: jnp.sqrt(jnp.sum(jnp.square(x))), inputs
  )  # the ball is one for all positions
  masks = _by_leaf(there, inputs)

  def only_there(x):
    moved = jax.tree.map(
      lambda x, own, mask: jnp.where(mask, x, own), x, inputs, masks
    )
    return lead(moved)

  found = {}
  for name, make in (
    ("fgm", gradients.fgm),
    ("pgd", functools.partial(gradients.pgd, steps=20)),
  ):

    def attack(size, make=make):
      radii = jax.tree.map(lambda u: size * u, unit)
      return gradients.whole(make(lambda _: radii))

    turn = explanations.closest(
      only_there, inputs, attack, _LARGEST, jax.random.key(0)
    )
    found[name] = None
    if turn is not None:
      found[name] = {
        "relative_epsilon": turn.epsilon,
        "shift": turn.shift[there].tolist(),
      }
  return found


def _fewest(value, values: np.ndarray, names: Sequence[str]):
  found = explanations.fewest(value, values)
  return None if found is None else [names[i] for i in found]


def _curve(curve: explanations.Faithfulness) -> dict[str, Any]:
  return {
    "shares": curve.shares.tolist(),
    "deletion": curve.deletion.tolist(),
    "insertion": curve.insertion.tolist(),
    "deletion_area": curve.deletion_area,
    "insertion_area": curve.insertion_area,
  }
