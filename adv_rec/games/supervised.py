"""Adversarial training as loss composition, for any model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from adv_rec.attacks.gradients import Climb
from adv_rec.types import Batch, Loss, Params

# The two halves of a model. Lookup: (params, batch) -> the continuous inputs
# an adversary may move (rows, embeddings, pixels). Objective: (params, batch,
# key, inputs) -> the scalar that training lowers and the attacker raises.
Lookup = Callable[[Params, Batch], Any]
Objective = Callable[[Params, Batch, jax.Array, Any], jax.Array]
# (params, batch, key, clean inputs, moved inputs) -> scalar: how far the
# model's outputs on the two lie apart, 0 where the inputs are equal.
Divergence = Callable[[Params, Batch, jax.Array, Any, Any], jax.Array]
Schedule = Callable[[jax.Array], jax.Array]  # step -> value


def supervised(
  lookup: Lookup,
  objective: Objective,
  attack: Callable | None = None,
  weight: float | Schedule = 1.0,
  penalty: Callable[[Any, Batch], jax.Array] | None = None,
  divergence: Divergence | None = None,
) -> Loss:
  """L(x) + weight x L(x + attack(x)) + penalty(x); x = lookup(params, batch).

  With a divergence D the second term is weight x D(x, x + attack(x)) and the
  attack raises D: the model shall answer alike nearby, right or wrong. That
  is TRADES (Zhang et al. 2019, arXiv:1901.08573, eq. 5) with `pgd` and
  virtual adversarial training (Miyato et al. 2018, arXiv:1704.03976) with
  `vat`, where unlike there the clean outputs are differentiated too.

  With attack None or weight 0 this is plain training, the very same program.
  The clean and the adversarial loss, and the attack, share one key: the same
  dropout mask, so that the attack attacks what is then scored.

  Args:
    lookup: params, batch -> inputs.
    objective: params, batch, key, inputs -> scalar.
    attack: from `adv_rec.attacks`; None for plain training.
    weight: of the adversarial term; a number or a function of the step. While
      a schedule is at zero the attack is not computed.
    penalty: inputs, batch -> scalar, a regulariser on the clean inputs.
    divergence: in place of the adversarial loss. Its gradient is zero where
      the inputs are equal: `fgm` and `fgsm` find no direction in it.
  """
  if not callable(weight) and weight == 0:
    attack = None

  def loss(params, everyone, batch, key):
    del everyone
    inputs = lookup(params, batch)

    def f(x):
      return objective(params, batch, key, x)

    total = clean = f(inputs)
    metrics = {"loss": clean}
    if penalty is not None:
      total = total + penalty(inputs, batch)
    if attack is None:
      return total, metrics

    def harm(clean_inputs):
      if divergence is None:
        return f
      return functools.partial(divergence, params, batch, key, clean_inputs)

    def adversarial(inputs, attack=attack):
      fixed = jax.lax.stop_gradient(inputs)
      delta = attack(harm(fixed), fixed, key)
      return harm(inputs)(jax.tree.map(jnp.add, inputs, delta))

    if callable(weight):
      w = weight(batch["step"])
      hurt = jax.lax.cond(
        w > 0, adversarial, lambda _: jnp.zeros_like(clean), inputs
      )
    else:
      w, hurt = weight, adversarial(inputs)
    name = "adversarial_loss" if divergence is None else "divergence"
    return total + w * hurt, {**metrics, name: hurt}

  return loss


def free(
  lookup: Lookup,
  objective: Objective,
  climb: Climb,
  steps: int,
  penalty: Callable[[Any, Batch], jax.Array] | None = None,
) -> Loss:
  """Mean over t of L(x + d_t), d_t on the way up: free adversarial training.

  FreeLB (Zhu et al. 2020, arXiv:1909.11764), algorithm 1: the gradient by the
  inputs at step t serves both the next perturbation and, beside that by the
  parameters, the mean; the compiler finds that both share their passes, so
  that an update costs about `steps` plain ones.

  Args:
    lookup: params, batch -> inputs.
    objective: params, batch, key, inputs -> scalar.
    climb: start and step of the ascent, from `attacks.gradients.climb`.
    steps: K, at least 1.
    penalty: inputs, batch -> scalar, a regulariser on the clean inputs.
  """

  def loss(params, everyone, batch, key):
    del everyone
    inputs = lookup(params, batch)
    fixed = jax.lax.stop_gradient(inputs)
    delta, total = climb.start(fixed, key), jnp.zeros(())
    for t in range(steps):
      f = functools.partial(objective, params, batch, key)
      total += f(jax.tree.map(jnp.add, inputs, delta)) / steps
      if t + 1 < steps:
        gradient = jax.grad(f)(jax.tree.map(jnp.add, fixed, delta))
        delta = jax.lax.stop_gradient(climb.step(fixed, delta, gradient))
    metrics = {"loss": total}
    if penalty is not None:
      total += penalty(inputs, batch)
    return total, metrics

  return loss


def start_at(step: int, weight: float) -> Schedule:
  """Zero before `step`, `weight` from it on."""
  return lambda now: jnp.where(now >= step, weight, 0.0)
