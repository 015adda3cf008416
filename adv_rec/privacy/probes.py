"""Is there as much noise as the ledger says? Trials of one release each.

An account believes what it is told of a mechanism: its noise over its
sensitivity. A probe finds out, on made-up units and so at no cost: it makes the
release that the mechanism makes, many times, with one unit more (the canary)
and without it, and scores each by how much of the canary is in it. What is
released is its value plus Gaussian noise, so that the scores have the mean
distance d of the canary and the deviation s of the noise, and the noise
multiplier is s / d if the canary moves the value by its sensitivity, more if by
less. It is thus bounded from above by d and s, with confidence: the bound of
Nasr et al. 2023 (arXiv:2302.07956, section 4) for mechanisms of which the
Gaussian shape is known, and only the size is asked for.

Noise that is off, too small, added to a mean, or the same in each step has too
small a deviation; a clip that is off too great a distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from scipy import stats

from adv_rec.privacy import ghost
from adv_rec.privacy.gradients import NOISE, PrivateLoss
from adv_rec.types import Batch, Game, Probe

_PARAMETERS = (1.0, 10.0, 100.0)  # scales: large ones have large gradients
_CANARIES = 16


def noise_bound(
  included: np.ndarray, excluded: np.ndarray, confidence: float
) -> float:
  """The greatest noise multiplier that a probe's scores leave.

  The deviation's upper end is that of chi squared, the distance's lower end
  Student's, each with half of the error that is allowed.

  Args:
    included: scores with the canary, [T], T at least 10.
    excluded: without it, [T].
    confidence: with which a multiplier above the bound is excluded.

  Returns:
    0 where there is no noise; infinite where the canary leaves no trace.

  Raises:
    ValueError: too few scores, or some that are not finite.
  """
  if len(included) != len(excluded) or len(excluded) < 10:
    raise ValueError(
      "a probe takes at least 10 scores with its canary, and as many without"
    )
  if not (np.isfinite(included).all() and np.isfinite(excluded).all()):
    raise ValueError("a probe's scores are not finite")
  error, freedom = (1 - confidence) / 2, len(excluded) - 1
  moved = included - excluded
  least = abs(np.mean(moved)) - stats.t.isf(error, freedom) * np.std(
    moved, ddof=1
  ) / math.sqrt(len(moved))
  if least <= 0:
    return math.inf
  spread = max(np.std(included, ddof=1), np.std(excluded, ddof=1))
  # What is left of a sum of numbers in 32 bits is no noise.
  if spread < 1e-5 * least:
    return 0.0
  chi = stats.chi2.ppf(error, freedom)
  return float(spread * math.sqrt(freedom / chi) / least)


def projected(release: Callable[[bool, int], np.ndarray]) -> Probe:
  """The probe of whatever a mechanism releases.

  The score is the length along the canary's way, which is what the first trial
  has more with it than without, so that both must have the same noise.

  Args:
    release: (whether the canary is in, number of the trial) -> an array.
  """

  def probe(trials: int) -> tuple[np.ndarray, np.ndarray]:
    found, way = np.zeros((2, trials)), np.zeros(0)
    for t in range(trials):
      both = [
        np.asarray(release(present, t), np.float64).ravel()
        for present in (True, False)
      ]
      if t == 0:
        way = both[0] - both[1]
        way = way / max(float(np.linalg.norm(way)), 1e-30)
      found[:, t] = [np.vdot(x, way) for x in both]
    return found[0], found[1]

  return probe


def counted(
  noisy: Callable[[np.ndarray, bytes], np.ndarray],
  sizes: tuple[int, ...],
  noise_multiplier: float,
) -> Probe:
  """The probe of noisy counts: of `counts.noisy` or one of its kind.

  Args:
    noisy: (codes [N, K], secret) -> counts.
    sizes: cells of each block.
    noise_multiplier: as claimed.
  """
  # So many rows, all alike, that noise takes no count of theirs below 0, where
  # counts are cut.
  num = 100 + math.ceil(10 * noise_multiplier * math.sqrt(len(sizes)))
  rows = np.zeros((num, len(sizes)), np.int64)
  return projected(
    lambda present, trial: noisy(
      rows[0 if present else 1 :], b"probe" + trial.to_bytes(8, "big")
    )
  )


def stepped(game: Game, name: str, batch: Batch) -> Probe:
  """The probe of a player's private gradient: `gradients.private` or its kind.

  The canary is the one of some made-up rows that has the greatest gradient,
  under parameters as drawn, and larger ones: clipping is for any. A gradient
  that is below its clip all the same is as good as clipped. The loss's free
  part is left out, which no canary is in.

  Args:
    game: the players.
    name: of the one that has a `PrivateLoss`.
    batch: of made-up rows, as the sampler fills it up, with all public entries.
  """
  player = game[name]
  assert isinstance(player.loss, PrivateLoss)
  loss = player.loss._replace(free=lambda *given: (0.0, {}))
  gradient = player.gradient(loss)
  num = len(batch[loss.data[0]])
  key = jax.random.key(0)

  def flat(tree: Any) -> jax.Array:
    return jax.flatten_util.ravel_pytree(tree)[0]

  @jax.jit
  def released(everyone, mask, words):
    noise = jnp.broadcast_to(words, (num, 2))
    given = {**batch, ghost.MASK: mask, NOISE: noise}
    return flat(gradient(everyone[name], everyone, given, key)[0])

  @jax.jit
  def norms(everyone):
    def norm(row):
      one = jax.grad(lambda own: loss.examples(own, everyone, batch, key)[row])
      return jnp.linalg.norm(flat(one(everyone[name])))

    return jax.lax.map(norm, jnp.arange(min(num, _CANARIES)))

  def probe(trials: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = {
      n: jax.jit(p.init)(jax.random.fold_in(key, turn))
      for turn, (n, p) in enumerate(game.items())
    }
    best: tuple[float, Any, int] = (-1.0, drawn, 0)
    for scale in _PARAMETERS:
      own = jax.tree.map(lambda x, by=scale: by * x, drawn[name])
      everyone = {**drawn, name: own}
      sizes = np.nan_to_num(np.asarray(norms(everyone)))
      row = int(np.argmax(sizes))
      best = max(best, (float(sizes[row]), everyone, row), key=lambda b: b[0])
    _, everyone, row = best
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, (trials, 2), dtype=np.uint32)
    there = np.arange(num) == row
    return projected(
      lambda present, t: released(everyone, there & present, words[t])
    )(trials)

  return probe
