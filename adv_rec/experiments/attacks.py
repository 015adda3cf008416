"""Attacks by name, and the attack on a trained recommender's embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from adv_rec.attacks import gradients
from adv_rec.data import batching
from adv_rec.data.dataset import Pairs
from adv_rec.evaluation import robustness
from adv_rec.losses.ranking import bpr
from adv_rec.types import Params, Scorer, State

MakeAttack = Callable[[gradients.Size], gradients.Attack]
# (state, name -> size -> attack, sizes in median row norms, part) -> rows of
# `robustness.curve`, each with its "part"
AttackRun = Callable[
  [State, Mapping[str, MakeAttack], Sequence[float], str], list[dict[str, Any]]
]

NAMES = ("fgm", "fgsm", "pgd", "random", "search")


def by_name(
  name: str, steps: int = 10, norm: gradients.Norm = "l2", tries: int = 32
) -> MakeAttack:
  """Size -> attack.

  Args:
    name: one of `NAMES`.
    steps: of pgd.
    norm: of pgd, random and search.
    tries: directions that search looks at.

  Raises:
    ValueError: unknown name.
  """
  if name == "fgm":
    return gradients.fgm
  if name == "fgsm":
    return gradients.fgsm
  if name == "pgd":
    return lambda size: gradients.pgd(size, steps, norm=norm)
  if name == "random":
    return lambda size: gradients.random(size, norm)
  if name == "search":
    return lambda size: gradients.search(size, tries, norm)
  raise ValueError(f"attack {name!r}: choose {', '.join(NAMES)}")


def on_embeddings(
  scorer: Callable[[Params], Scorer],
  tables: Sequence[str],
  pairs: Pairs,
  num_items: int,
  seed: int,
  measures: Mapping[str, Callable[[Scorer], Mapping[str, float]]],
) -> AttackRun:
  """The attack on some tables of a recommender's parameters.

  Whatever the model was trained by, the attacker raises the BPR loss of its
  scores over the fitted interactions, with negatives of its own, and moves
  every row of the tables at once.

  Args:
    scorer: parameters -> scorer; differentiable by the tables.
    tables: names of the attacked entries of the parameters.
    pairs: the fitted interactions.
    num_items: I.
    seed: of negatives and random attacks.
    measures: part -> (scorer -> metrics).

  Raises:
    ValueError: when called, for a part that is not measured.
  """

  def attack(
    state: State,
    attacks: Mapping[str, MakeAttack],
    sizes: Sequence[float],
    part: str,
  ) -> list[dict[str, Any]]:
    if part not in measures:
      raise ValueError(
        f"the run does not rank the {part} part of its data; choose"
        f" {' or '.join(measures)}"
      )
    params = state.params["model"]
    epoch = 2**32 - 1  # which training never reaches
    triples = batching.triples(pairs.user, pairs.item, num_items, seed)(epoch)

    def loss(moved, batch):
      pair = jnp.stack([batch["positive"], batch["negative"]], axis=1)
      scores = scorer({**params, **moved}).scores(batch["user"], pair)
      return jnp.mean(bpr(scores[:, 0], scores[:, 1]))

    rows = robustness.curve(
      attacks,
      gradients.relative,
      sizes,
      robustness.mean_over(loss, triples),
      {name: params[name] for name in tables},
      lambda moved: measures[part](scorer({**params, **moved})),
      jax.random.key(seed),
    )
    return [{"part": part, **row} for row in rows]

  return attack
