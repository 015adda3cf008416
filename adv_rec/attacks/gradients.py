"""Attacks on continuous inputs: fgsm, fgm, pgd, vat; random noise, search.

An attack is a function of an objective:

  attack(objective, inputs, key) -> perturbation, a tree like the inputs

where objective(inputs) is the scalar that the attacker wants to raise and
inputs is a tree of arrays whose last axis is one row (an embedding, a feature
vector): norms and radii are per row. The perturbation is a constant to
whoever differentiates the perturbed objective later.

The size `epsilon` is a number, or a function of the inputs (`relative`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

Inputs = Any  # a tree of float arrays [..., D]
Objective = Callable[[Inputs], jax.Array]
Attack = Callable[[Objective, Inputs, jax.Array], Inputs]
Size = float | jax.Array | Callable[[Inputs], Inputs]
Norm = Literal["l2", "linf"]

_SORTED = 8192  # rows; the median of more is searched for, which is faster


def relative(fraction: float | jax.Array) -> Callable[[Inputs], Inputs]:
  """A size in units of the attacked rows: fraction x their median L2 norm.

  An absolute size flatters whoever has the larger embeddings, and rows grow
  with training; this one compares models on equal terms. Rows of norm zero
  (padding) do not count. For the L-infinity ball the median norm is divided
  by sqrt(D), the value a row of that norm has per coordinate.

  Returns:
    inputs -> a tree of scalars (L2 radii), one a leaf.
  """

  def size(inputs: Inputs) -> Inputs:
    def radius(x):
      norms = row_norm(x)
      if norms.size > _SORTED:
        return fraction * _median(norms)
      median = jnp.nanmedian(jnp.where(norms > 0, norms, jnp.nan))
      return fraction * jnp.where(jnp.any(norms > 0), median, 0.0)

    return jax.tree.map(radius, jax.lax.stop_gradient(inputs))

  return size


def fgsm(epsilon: Size) -> Attack:
  """epsilon x sign(g): one step in the L-infinity ball.

  Goodfellow, Shlens & Szegedy 2015 (arXiv:1412.6572), section 4.
  """
  return _one_step(epsilon, "linf")


def fgm(epsilon: Size) -> Attack:
  """epsilon x g / |g|_2 per row: one step in the L2 ball.

  Miyato, Dai & Goodfellow 2017 (arXiv:1605.07725), eq. 5; with whole
  embedding rows as inputs He et al. 2018 (arXiv:1808.03908), eq. 8. A row
  with zero gradient stays where it is.
  """
  return _one_step(epsilon, "l2")


class Climb(NamedTuple):
  """Projected gradient ascent in a ball around each row, step by step.

  Attributes:
    start: (inputs, key) -> a first perturbation, random.
    step: (inputs, perturbation, gradient there) -> the next one.
  """

  start: Callable[[Inputs, jax.Array], Inputs]
  step: Callable[[Inputs, Inputs, Inputs], Inputs]


def climb(
  epsilon: Size, steps: int, step_size: float = 2.5, norm: Norm = "l2"
) -> Climb:
  """What `pgd` does, for whoever needs the gradients between for more.

  Args:
    epsilon: radius of the ball around each row.
    steps: number of gradient steps, at least 1.
    step_size: how many radii all steps cover together.
    norm: "l2" or "linf".

  Raises:
    ValueError: steps is less than 1.
  """
  if steps < 1:
    raise ValueError(f"pgd needs steps >= 1, got {steps}")

  def start(inputs: Inputs, key: jax.Array) -> Inputs:
    start_key, scale_key = jax.random.split(key)
    # Uniform in the ball's radius, not in its volume: the volume of a
    # 64-dimensional ball lies almost wholly at its surface.
    noise = _noise(inputs, _radii(epsilon, inputs, norm), start_key, norm)
    scale = jax.random.uniform(scale_key)
    return jax.tree.map(lambda d: scale * d, noise)

  def step(inputs: Inputs, delta: Inputs, gradient: Inputs) -> Inputs:
    return jax.tree.map(
      lambda d, g, r: _project(
        d + step_size / steps * r * _direction(g, norm), r, norm
      ),
      delta,
      gradient,
      _radii(epsilon, inputs, norm),
    )

  return Climb(start, step)


def pgd(
  epsilon: Size, steps: int, step_size: float = 2.5, norm: Norm = "l2"
) -> Attack:
  """Projected gradient ascent from a random start inside the ball.

  Madry et al. 2018 (arXiv:1706.06083), eq. 4 for a maximiser of unknown
  depth; each step has length step_size x epsilon / steps.

  Args:
    epsilon: radius of the ball around each row.
    steps: number of gradient steps, at least 1.
    step_size: how many radii all steps cover together.
    norm: "l2" or "linf".

  Raises:
    ValueError: steps is less than 1.
  """
  start, step = climb(epsilon, steps, step_size, norm)

  def attack(objective: Objective, inputs: Inputs, key: jax.Array) -> Inputs:
    def ascend(_, delta):
      moved = jax.tree.map(jnp.add, inputs, delta)
      return step(inputs, delta, jax.grad(objective)(moved))

    delta = jax.lax.fori_loop(0, steps, ascend, start(inputs, key))
    return jax.lax.stop_gradient(delta)

  return attack


def vat(epsilon: Size, steps: int = 1, probe: float = 0.1) -> Attack:
  """The virtual adversarial direction: power iteration on a divergence.

  Miyato et al. 2018 (arXiv:1704.03976), eq. 9 and algorithm 1. The objective
  must be a divergence from the outputs at `inputs`, zero and flat there: the
  gradient a small step away is then the Hessian times that step, and steps of
  it turn a random direction to the one of largest curvature. No label is
  needed. Here each row is normalised on its own.

  Args:
    epsilon: length of each row of the perturbation.
    steps: power iterations, at least 1.
    probe: length of that small step, in epsilons.

  Raises:
    ValueError: steps is less than 1.
  """
  if steps < 1:
    raise ValueError(f"vat needs steps >= 1, got {steps}")

  def attack(objective: Objective, inputs: Inputs, key: jax.Array) -> Inputs:
    radii = _radii(epsilon, inputs, "l2")

    def turn(_, delta):
      near = jax.tree.map(lambda x, d: x + probe * d, inputs, delta)
      gradient = jax.grad(objective)(near)
      return jax.tree.map(lambda g, r: r * _direction(g, "l2"), gradient, radii)

    start = _noise(inputs, radii, key, "l2")
    return jax.lax.stop_gradient(jax.lax.fori_loop(0, steps, turn, start))

  return attack


def random(epsilon: Size, norm: Norm = "l2") -> Attack:
  """Noise of the same size without looking: the control of every claim.

  A uniform direction of length epsilon per row ("l2") or a random sign per
  coordinate ("linf"): both lie where `fgm` and `fgsm` end.
  """

  def attack(objective: Objective, inputs: Inputs, key: jax.Array) -> Inputs:
    del objective
    return _noise(inputs, _radii(epsilon, inputs, norm), key, norm)

  return attack


def search(epsilon: Size, tries: int, norm: Norm = "l2") -> Attack:
  """The best of `tries` draws of `random`: an attack that needs no gradient.

  Where it does more harm than a gradient attack, that one's gradients are
  masked (Athalye et al. 2018, arXiv:1802.00420, section 3.1).

  Args:
    epsilon: length of each row of the perturbation.
    tries: draws to choose from, at least 1.
    norm: "l2" or "linf".

  Raises:
    ValueError: tries is less than 1.
  """
  if tries < 1:
    raise ValueError(f"search needs tries >= 1, got {tries}")

  def attack(objective: Objective, inputs: Inputs, key: jax.Array) -> Inputs:
    radii = _radii(epsilon, inputs, norm)

    def draw(i):
      return _noise(inputs, radii, jax.random.fold_in(key, i), norm)

    def value(i):
      return objective(jax.tree.map(jnp.add, inputs, draw(i)))

    # Only the number of the best draw is kept, and it is drawn again.
    best = jnp.argmax(jax.lax.map(value, jnp.arange(tries)))
    return jax.lax.stop_gradient(draw(best))

  return attack


def whole(attack: Attack) -> Attack:
  """The attack that takes each example for one row. Inputs [B, ..., D].

  All rows of a sentence then share one ball, as in Miyato, Dai & Goodfellow
  2017 (arXiv:1605.07725), eq. 5, whose r_adv has the norm of all words
  together.
  """

  def flat(x: jax.Array) -> jax.Array:
    return x.reshape(len(x), -1)

  def wrapped(objective: Objective, inputs: Inputs, key: jax.Array) -> Inputs:
    def like_inputs(rows: Inputs) -> Inputs:
      return jax.tree.map(lambda r, x: r.reshape(x.shape), rows, inputs)

    delta = attack(
      lambda rows: objective(like_inputs(rows)),
      jax.tree.map(flat, inputs),
      key,
    )
    return like_inputs(delta)

  return wrapped


def each(attack: Attack, objective: Callable, inputs: Inputs, keys: jax.Array):
  """The attack on every example by itself.

  Where an attack chooses for all rows at once (`search` its best draw, `pgd`
  the length of its start) it then chooses for each; sizes relative to a median
  are measured in each example.

  Args:
    attack: of a scalar objective.
    objective: (inputs of one example [1, ..., D], index) -> scalar.
    inputs: [B, ..., D].
    keys: [B] keys.

  Returns:
    The perturbations [B, ..., D].
  """

  def one(index, x, key):
    x = jax.tree.map(lambda leaf: leaf[None], x)
    delta = attack(lambda moved: objective(moved, index), x, key)
    return jax.tree.map(lambda leaf: leaf[0], delta)

  return jax.vmap(one)(jnp.arange(len(keys)), inputs, keys)


def row_norm(x: jax.Array) -> jax.Array:
  """L2 norm of each row. [..., D] -> [...]."""
  return jnp.sqrt(jnp.sum(jnp.square(x), axis=-1))


def _median(x: jax.Array) -> jax.Array:
  """Of the values above 0, by halving, to a thousandth; 0 where there is none.

  Where the middle two of an even number differ it may be any value between.
  """
  there = x > 0
  count = jnp.sum(there)
  above = jnp.where(there, x, jnp.inf)

  def wide(found):
    low, high, turn = found
    # Every float32 is reached in so many turns.
    return (high - low > 2.0**-10 * high) & (turn < 200)

  def halve(found):
    low, high, turn = found
    middle = (low + high) / 2
    more = 2 * jnp.sum(above <= middle) < count
    return (
      jnp.where(more, middle, low),
      jnp.where(more, high, middle),
      turn + 1,
    )

  ends = jnp.zeros((), x.dtype), jnp.max(x), 0
  return jax.lax.while_loop(wide, halve, ends)[1]


def _one_step(epsilon: Size, norm: Norm) -> Attack:
  def attack(objective: Objective, inputs: Inputs, key: jax.Array) -> Inputs:
    del key
    radii = _radii(epsilon, inputs, norm)
    gradient = jax.grad(objective)(inputs)
    delta = jax.tree.map(lambda g, r: r * _direction(g, norm), gradient, radii)
    return jax.lax.stop_gradient(delta)

  return attack


def _radii(epsilon: Size, inputs: Inputs, norm: Norm) -> Inputs:
  """A tree of scalars like the inputs."""
  if not callable(epsilon):
    return jax.tree.map(lambda _: epsilon, inputs)
  radii = epsilon(inputs)
  if norm == "l2":
    return radii
  return jax.tree.map(lambda r, x: r / x.shape[-1] ** 0.5, radii, inputs)


def _direction(x: jax.Array, norm: Norm) -> jax.Array:
  """The steepest direction of unit norm; zero where x is zero."""
  if norm == "linf":
    return jnp.sign(x)
  # Scale first: a mean over a large batch makes gradients so small that their
  # squares would underflow.
  largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
  scale = jnp.where(largest > 0, largest, 1.0)
  length = row_norm(x / scale)[..., None]
  return x / (scale * jnp.where(length > 0, length, 1.0))


def _project(x: jax.Array, radius: jax.Array, norm: Norm) -> jax.Array:
  if norm == "linf":
    return jnp.clip(x, -radius, radius)
  length = row_norm(x)[..., None]
  return x * jnp.minimum(1.0, radius / jnp.where(length > 0, length, 1.0))


def _noise(inputs: Inputs, radii: Inputs, key: jax.Array, norm: Norm) -> Inputs:
  leaves, tree = jax.tree.flatten(inputs)
  draws = [
    jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype)
    for i, x in enumerate(leaves)
  ]
  return jax.tree.map(
    lambda z, r: r * _direction(z, norm), tree.unflatten(draws), radii
  )
