"""Objectives of generative adversarial networks, and penalties on critics.

An objective is two functions of logits, one value an example, to be averaged
and lowered: what the discriminator minimises, and what the generator does.
Below, x is a real and y a generated example, D their logit, s the sigmoid;
D(x) large means real.

A penalty is a function of the critic itself:

  penalty(critic, real, fake, key) -> [B]

where critic maps examples [B, ...] to logits [B], each example on its own, so
that the gradient of the sum holds the gradient of each. It is added to the
discriminator's loss with a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Critic = Callable[[jax.Array], jax.Array]  # [B, ...] -> [B]
Penalty = Callable[[Critic, jax.Array, jax.Array, jax.Array], jax.Array]


class Objective(NamedTuple):
  """What the two sides of a GAN minimise, in logits.

  Attributes:
    discriminator: (real [B], fake [B]) -> [B].
    generator: (real [B], fake [B]) -> [B].
  """

  discriminator: Callable[[jax.Array, jax.Array], jax.Array]
  generator: Callable[[jax.Array, jax.Array], jax.Array]


def minimax() -> Objective:
  """D: -ln s(D(x)) - ln(1 - s(D(y))). G: ln(1 - s(D(y))).

  Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1. At the best discriminator,
  D = ln p(x) / q(x), the first is ln 4 - 2 JSD(p, q). The generator's gradient
  vanishes where the discriminator is sure.
  """
  return Objective(
    lambda real, fake: jax.nn.softplus(-real) + jax.nn.softplus(fake),
    lambda real, fake: -jax.nn.softplus(fake),
  )


def non_saturating() -> Objective:
  """D: as `minimax`. G: -ln s(D(y)).

  Goodfellow et al. 2014 (arXiv:1406.2661), end of section 3: the same fixed
  point, and a gradient where `minimax` has none.
  """
  return Objective(
    minimax().discriminator, lambda real, fake: jax.nn.softplus(-fake)
  )


def least_squares() -> Objective:
  """D: ((D(x) - 1)^2 + D(y)^2) / 2. G: (D(y) - 1)^2 / 2.

  Mao et al. 2017 (arXiv:1611.04076), with the labels 0 and 1. The best
  discriminator is D = p / (p + q).
  """
  return Objective(
    lambda real, fake: 0.5 * (jnp.square(real - 1.0) + jnp.square(fake)),
    lambda real, fake: 0.5 * jnp.square(fake - 1.0),
  )


def wasserstein() -> Objective:
  """D: D(y) - D(x). G: -D(y).

  Arjovsky et al. 2017 (arXiv:1701.07875), eq. 2 and 3. Over critics of
  Lipschitz constant 1 the least value of the first is minus the Wasserstein-1
  distance; `gradient_penalty` or spectral normalisation keeps them there.
  """
  return Objective(
    lambda real, fake: fake - real,
    lambda real, fake: -fake,
  )


def hinge() -> Objective:
  """D: max(0, 1 - D(x)) + max(0, 1 + D(y)). G: -D(y).

  Lim & Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957).
  The best discriminator is the sign of p - q, its value 2 - 2 TV(p, q), TV
  the total variation.
  """
  return Objective(
    lambda real, fake: jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake),
    lambda real, fake: -fake,
  )


def relativistic() -> Objective:
  """D: -ln s(D(x) - D(y)). G: -ln s(D(y) - D(x)). Pairs (x, y) by their rows.

  Jolicoeur-Martineau 2019 (arXiv:1807.00734), RSGAN. With `r1` and `r2` it is
  the loss of R3GAN (Huang et al. 2024, arXiv:2501.05441). A best discriminator
  is D = ln p(x) / q(x), up to a constant.
  """
  return Objective(
    lambda real, fake: jax.nn.softplus(fake - real),
    lambda real, fake: jax.nn.softplus(real - fake),
  )


def gradient_penalty(
  critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
  """(|grad D(u x + (1 - u) y)|_2 - 1)^2, u uniform in [0, 1]. -> [B].

  Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3; their weight is 10.

  Args:
    critic: [B, ...] -> [B].
    real: x [B, ...].
    fake: y [B, ...], paired with x by rows.
    key: draws one u an example.
  """
  u = jax.random.uniform(key, (len(real), *(1,) * (real.ndim - 1)))
  squared = _squared_slope(critic, u * real + (1.0 - u) * fake)
  # Where the critic is flat the norm has no derivative: 0 is one of its
  # subgradients, and the square root would give NaN.
  flat = squared == 0.0
  norm = jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squared)))
  return jnp.square(norm - 1.0)


def r1(
  critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
  """|grad D(x)|_2^2 / 2 at real examples, -> [B]; the weight is gamma.

  Mescheder et al. 2018 (arXiv:1801.04406), R1.

  Args:
    critic: [B, ...] -> [B].
    real: x [B, ...].
    fake: not used.
    key: not used.
  """
  del fake, key
  return 0.5 * _squared_slope(critic, real)


def r2(
  critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
  """|grad D(y)|_2^2 / 2 at generated examples, -> [B]; the weight is gamma.

  Mescheder et al. 2018 (arXiv:1801.04406), R2.

  Args:
    critic: [B, ...] -> [B].
    real: not used.
    fake: y [B, ...].
    key: not used.
  """
  del real, key
  return 0.5 * _squared_slope(critic, fake)


def _squared_slope(critic: Critic, examples: jax.Array) -> jax.Array:
  """|grad D|_2^2 of each example. [B, ...] -> [B]."""
  gradient = jax.grad(lambda x: jnp.sum(critic(x)))(examples)
  return jnp.sum(jnp.square(gradient), axis=range(1, examples.ndim))
