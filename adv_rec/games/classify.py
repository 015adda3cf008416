"""The game of a predictor: labels from inputs that may be attacked."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from adv_rec.attacks.gradients import Attack, Climb
from adv_rec.games.supervised import Schedule, free, supervised
from adv_rec.losses.divergence import categorical
from adv_rec.losses.pointwise import classes
from adv_rec.types import Game, Player, Predictor

PerExample = Callable[[jax.Array, jax.Array], jax.Array]  # of logits, labels


def classify(
  predictor: Predictor,
  loss: PerExample,
  optimizer: optax.GradientTransformation,
  *,
  l2: float = 0.0,
  attack: Attack | None = None,
  weight: float | Schedule = 1.0,
  consistency: bool = False,
  climb: tuple[Climb, int] | None = None,
  average: float | None = None,
) -> Game:
  """Minimises the mean loss of labels, attacked or not; see `supervised`.

  The batch has "label" [B]. A label below 0 is not known: such an example has
  no loss, but where the adversarial term is a divergence it counts in that
  (virtual adversarial training on unlabelled text, Miyato et al. 2017,
  arXiv:1605.07725, section 3).

  Args:
    predictor: what is trained.
    loss: from `losses.pointwise`.
    optimizer: of all its parameters, but for those that stay as they are.
    l2: of the mean over examples of the squared norm of their inputs.
    attack: moves the inputs; None for plain training.
    weight: of the adversarial term, or a schedule of the step.
    consistency: whether that term is the divergence of the clean and the
      moved predictions; see `supervised`.
    climb: (ascent, steps) of `free` training in place of attack and weight.
    average: decay of an average of the parameters; None keeps none.
  """

  def objective(params, batch, key, inputs):
    labels = batch["label"]
    values = loss(predictor.logits(params, batch, inputs, key), labels)
    known = (labels >= 0).astype(values.dtype)
    return jnp.sum(known * values) / jnp.maximum(jnp.sum(known), 1.0)

  def divergence(params, batch, key, clean, moved):
    one, other = (
      classes(predictor.logits(params, batch, inputs, key))
      for inputs in (clean, moved)
    )
    return jnp.mean(categorical(one, other))

  def penalty(inputs, batch):
    squares = optax.tree_utils.tree_l2_norm(inputs, squared=True)
    return l2 * squares / len(batch["label"])

  regulariser = penalty if l2 else None
  if climb is None:
    learned = supervised(
      predictor.lookup,
      objective,
      attack,
      weight,
      regulariser,
      divergence if consistency else None,
    )
  else:
    learned = free(predictor.lookup, objective, *climb, regulariser)
  return {
    "model": Player(
      predictor.init,
      learned,
      _partly(optimizer, predictor),
      average=average,
    )
  }


def _partly(
  optimizer: optax.GradientTransformation, predictor: Predictor
) -> optax.GradientTransformation:
  """The optimizer of what is trainable; the rest is left alone."""
  trainable = predictor.trainable
  if trainable is None:
    return optimizer

  def labels(params):
    return jax.tree.map(
      lambda learns: "learns" if learns else "stays", trainable(params)
    )

  return optax.partition(
    {"learns": optimizer, "stays": optax.set_to_zero()}, labels
  )
