"""Private gradients: DP-SGD as the `gradient` of a player.

Abadi et al. 2016 (arXiv:1607.00133): the gradient of each unit of privacy is
clipped, Gaussian noise is added to the sum, and the sum is divided by a
constant that everybody may know. What a loss does without data is added as it
is: in a GAN only the real rows touch data, and fakes are free.

  player = Player(init, PrivateLoss(...), optimizer, gradient=private(...))

What else a step tells of the data is nothing: the metrics are those of the
part that touches none, and the size of a batch (its mask) is not among them.

The noise is drawn from the batch's entry "noise", words that the sampler makes
of a secret (see `privacy.secret`) and of the step, and not from the step's key:
that one comes from the seed of the run, which its config and result tell
everybody. JAX's generator is no cryptographic one (a key has 64 bits), and
float32 noise has gaps (Mironov 2012); both are limits of the guarantee.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from adv_rec.privacy import ghost
from adv_rec.types import Batch, Loss, Metrics, Params

NOISE = "noise"  # of the batch, [B, 2] uint32: the first row is a key


class PrivateLoss(NamedTuple):
  """A loss in two parts, one that touches data and one that does not.

  It is a `Loss` itself, the mean of `examples` over the rows that are there,
  plus `free`: `types.plain` differentiates it, without any privacy.

  Attributes:
    examples: (own, everyone, batch, key) -> [B], the loss of each row, which
      depends on no other row; see `ghost.check_rows`.
    free: a `Loss` whose batch lacks the data: it cannot touch any. Its metrics
      are all that is shown.
    data: the entries of the batch that are data, each with a row for each of
      `examples`. All other entries are public.
  """

  examples: ghost.Examples
  free: Loss
  data: tuple[str, ...]

  def __call__(
    self,
    own: Params,
    everyone: Mapping[str, Params],
    batch: Batch,
    key: jax.Array,
  ) -> tuple[jax.Array, Metrics]:
    """(scalar, metrics), as any loss."""
    mask = batch[ghost.MASK]
    values = self.examples(own, everyone, batch, key)
    mean = jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(jnp.sum(mask), 1)
    free, metrics = self.free(own, everyone, public(batch, self.data), key)
    return mean + free, metrics


def public(batch: Batch, data: tuple[str, ...]) -> Batch:
  """The entries of a batch that tell nothing of the data."""
  hidden = {*data, ghost.MASK, NOISE}
  return {name: x for name, x in batch.items() if name not in hidden}


def without_data(loss: Loss, data: tuple[str, ...]) -> Loss:
  """A loss that is not shown the data: that of a private game's other side."""

  def blind(own, everyone, batch, key):
    return loss(own, everyone, public(batch, data), key)

  return blind


def private(
  clip: float,
  noise_multiplier: float,
  expected_batch_size: float,
  padded: int,
  rows: int = 1,
) -> Callable[[Loss], Callable[..., tuple[Params, Metrics]]]:
  """A player's `gradient`: clipped by unit, noised, divided by a constant.

  The gradient is

    (sum over units of clip(g_u, C) + sigma C z) / expected + grad free,

  z standard normal. The sum has sensitivity C to leaving a unit out, so that
  the update is a Gaussian mechanism of noise multiplier sigma, on a sample of
  the units if these are sampled; `privacy.accounting` says what it costs.

  Args:
    clip: C, the most that a unit may add, in L2 norm; infinite for no clip.
    noise_multiplier: sigma; 0 for none.
    expected_batch_size: rows that a batch is expected to have. It must not
      depend on the rows that a batch does have.
    padded: rows of a batch as the sampler fills it up. Another number means
      that a step does not see the whole batch (`pmap`), and would scale both
      the sum and its noise wrongly.
    rows: of a unit, one after the other; 1 where a row is the unit.

  Returns:
    The gradient of a `PrivateLoss`. Its metrics are those of the free part and
    "gradient_norm", which is private as the gradient is.

  Raises:
    ValueError: a bad number, or noise without a clip; when called, another
      loss, or a batch that is not the sampler's.
  """
  if not (clip > 0 and noise_multiplier >= 0 and expected_batch_size > 0):
    raise ValueError(
      f"clip={clip} and expected_batch_size={expected_batch_size} must be above"
      f" 0, noise_multiplier={noise_multiplier} at least 0"
    )
  if noise_multiplier and not math.isfinite(clip):
    raise ValueError(
      "noise is a multiple of the clip, which is infinite; give a clip, or"
      " noise_multiplier=0"
    )

  def gradient(loss):
    if not isinstance(loss, PrivateLoss):
      raise ValueError(
        "a private gradient needs a loss by rows: write it as a PrivateLoss,"
        " which says what touches data"
      )
    total = ghost.clipped(loss.examples, clip, loss.data, rows)
    free = jax.grad(loss.free, has_aux=True)

    def noisy(own, everyone, batch, key):
      _check(batch, padded, noise_multiplier)
      shown = public(batch, loss.data)
      names = (*loss.data, ghost.MASK)
      sum_ = total(
        own, everyone, {**shown, **{n: batch[n] for n in names}}, key
      )
      if noise_multiplier:
        draw = jax.random.wrap_key_data(batch[NOISE][0], impl="threefry2x32")
        noise = optax.tree.random_like(draw, sum_, jax.random.normal)
        sum_ = optax.tree.add_scale(sum_, noise_multiplier * clip, noise)
      rest, metrics = free(own, everyone, shown, key)
      both = jax.tree.map(lambda s, f: s / expected_batch_size + f, sum_, rest)
      return both, {**metrics, "gradient_norm": optax.tree.norm(both)}

    return noisy

  return gradient


def _check(batch: Batch, padded: int, noise_multiplier: float) -> None:
  for name in (ghost.MASK, *([NOISE] if noise_multiplier else [])):
    if name not in batch:
      raise ValueError(
        f"the batch has no entry {name!r}; take batches from data.poisson"
      )
  found = len(batch[ghost.MASK])
  if found != padded:
    raise ValueError(
      f"the batch has {found} rows and the sampler fills it up to {padded}; run"
      " private players with mode=jit"
    )
