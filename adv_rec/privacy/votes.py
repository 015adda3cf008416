"""Noisy votes: what those who saw rows may tell those who may not.

Each row is in the part of one teacher. Whatever a row does to its teacher, or
its teacher without it, one vote of K changes: each count of votes moves by at
most 1, and a vector of B counts by at most sqrt(B) in L2 norm. With Gaussian
noise of sqrt(B) times the noise multiplier on each count they are one Gaussian
mechanism (`accounting.Gaussian`), whoever chose the questions in the light of
earlier counts. No sampling makes it cheaper: a teacher knows its whole part.

This account does not depend on the votes. The one of the paper (Papernot et
al. 2017, arXiv:1610.05755; Yoon et al. 2019, PATE-GAN) is less where teachers
agree; but it then is a function of the rows itself, so that its epsilon may
not be told or stopped at without noise of its own, and published programs for
it have been found to break their claims (Ganev et al. 2024, arXiv:2406.13985).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def noisy(
  votes: jax.Array, noise_multiplier: float, words: jax.Array
) -> jax.Array:
  """How many teachers say yes, with Gaussian noise. [K, B] bool -> [B].

  Args:
    votes: of K teachers, each of a part of the rows that no other has, on B
      questions.
    noise_multiplier: of `accounting.Gaussian`; 0 for none.
    words: [2] uint32 of a secret, which no other noise is drawn from; see
      `privacy.gradients.NOISE`.
  """
  counts = jnp.sum(votes, axis=0, dtype=jnp.float32)
  if not noise_multiplier:
    return counts
  key = jax.random.wrap_key_data(words, impl="threefry2x32")
  scale = noise_multiplier * math.sqrt(votes.shape[1])
  return counts + scale * jax.random.normal(key, counts.shape)
