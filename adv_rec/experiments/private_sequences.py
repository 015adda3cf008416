"""What a private generator of event sequences spends, and what that buys.

See `experiments.private_events`, which says what is protected and how.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import sparse

from adv_rec.data.batching import Part
from adv_rec.data.event_codes import Sequences
from adv_rec.data.poisson import Poisson
from adv_rec.experiments import released
from adv_rec.experiments.options import Config
from adv_rec.games import sequences as games
from adv_rec.games.recommend import closed_form
from adv_rec.models import event_chains
from adv_rec.models.events import Sizes
from adv_rec.privacy import accounting, behaviour, ghost, probes, secret
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.gradients import private
from adv_rec.types import Game, Probe

UNIT = "household, all rows"


def bounded(config: Config) -> str:
  """What a household may do, in words."""
  p, length = config.privacy, config.model.length
  drawn = f"{p.windows} windows of {length} events, drawn once"
  if config.model.kind == "recurrent":
    return (
      f"at most {p.most} of at most {drawn}, in a sample, their gradient"
      f" clipped as one to norm {p.clip:g}"
    )
  return f"the mean counts of at most {drawn}, of norm at most {p.bound:g}"


def windows(
  config: Config, train: Sequences, end: int
) -> tuple[np.ndarray, np.ndarray]:
  """Windows of each household, each once: codes [N, L, 3], household [N].

  Where they begin is drawn from the run's seed, for each household whatever
  the others have; nothing is claimed of this draw.
  """
  rng = np.random.default_rng([config.seed, 1])
  num = config.privacy.windows
  drawn = np.stack(
    [train.windows(config.model.length, end, rng) for _ in range(num)], axis=1
  )
  owner = np.repeat(np.arange(len(drawn)), num)
  flat = drawn.reshape(len(owner), -1)
  found = np.unique(np.concatenate([owner[:, None], flat], axis=1), axis=0)
  return found[:, 1:].reshape(-1, *drawn.shape[2:]).astype(np.int32), found[
    :, 0
  ]


def mean_counts(
  codes: np.ndarray, owners: np.ndarray, sizes: Sizes, bound: float
) -> sparse.csr_array:
  """Counts of a mean window of each household, over the bound. [U, C].

  Each row has a norm of 1 at most, whatever a household's windows hold.
  """
  share = 1 / np.bincount(owners)[owners]
  mean = sparse.csr_array((share, (owners, np.arange(len(owners)))))
  rows = mean @ event_chains.counted(codes, sizes)
  norm = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
  return sparse.diags_array(1 / np.maximum(norm, bound)) @ rows


def _spend(
  config: Config,
  folder: pathlib.Path,
  name: str,
  mechanism: Callable[[float], Gaussian],
) -> tuple[float, bytes]:
  """Writes the one spend of a run before it is made, or finds it written.

  Args:
    config: of the run.
    folder: of the ledger and the secret.
    name: of the spend.
    mechanism: noise multiplier -> what is spent.

  Returns:
    The noise multiplier that costs the budget, and the secret; zeros if it is
    gone, since the run has ended.
  """
  p, path = config.privacy, folder / "secret"
  if not p.enabled:
    return 0.0, config.seed.to_bytes(secret.BYTES, "big")  # hides nothing
  ledger = released.ledger(config, folder, UNIT)
  written = {line["name"]: line["gaussian"] for line in ledger.spends()}
  if name in written:
    noise = float(written[name]["noise_multiplier"])
    if not path.exists():
      return noise, bytes(secret.BYTES)
  else:
    earlier = released.earlier(ledger)
    noise = accounting.calibrate(
      p.epsilon, p.delta, lambda z: [*earlier, mechanism(z)], p.accountant
    )
  own = secret.keep(path)
  ledger.spend(name, mechanism(noise), secret.digest(own))
  return noise, own


class Paid(NamedTuple):
  """What a run plays, its spend written."""

  game: Game
  batches: Callable[..., dict[str, np.ndarray]] | None = None
  probes: dict[str, Probe] = {}  # noqa: RUF012


def training(
  config: Config,
  folder: pathlib.Path,
  model: Any,
  codes: np.ndarray,
  owners: np.ndarray,
) -> Paid:
  """Maximum likelihood by private gradients."""
  p = config.privacy

  def sampler(own: bytes) -> Poisson:
    return Poisson(
      {"codes": codes}, config.batch_size, own, owners=owners, most=p.most
    )

  public = sampler(b"")  # says how it samples, whatever the secret
  noise, own = _spend(
    config,
    folder,
    "training",
    lambda z: accounting.steps(public, z, config.steps),
  )
  samples = sampler(own)

  def batches(
    start: int, stop: int, part: Part = (0, 1)
  ) -> dict[str, np.ndarray]:
    if p.enabled:
      secret.need(folder / "secret")
    return samples(start, stop, part)

  clip = p.clip if p.enabled else math.inf
  gradient = private(clip, noise, config.batch_size, samples.padded, p.most)
  rate = optax.cosine_decay_schedule(config.learning_rate, config.steps)
  game = games.private_likelihood(
    model, optax.adam(rate), gradient, length=config.model.length
  )
  loss: Any = game["generator"].loss
  few, many = (
    {"codes": jnp.asarray(_made_up(model.sizes, config.model.length, num))}
    for num in (4, samples.padded)
  )
  own_params = jax.jit(game["generator"].init)(jax.random.key(0))
  ghost.check_rows(
    loss.examples, own_params, {}, few, jax.random.key(0), loss.data
  )
  return Paid(
    game, batches, {"training": probes.stepped(game, "generator", many)}
  )


def chain(
  config: Config,
  folder: pathlib.Path,
  codes: np.ndarray,
  owners: np.ndarray,
  sizes: Sizes,
) -> Paid:
  """A chain of noisy counts, or of those that were bought before."""
  bound, path = config.privacy.bound, folder / "bought.npz"
  noise, own = _spend(config, folder, "counts", Gaussian)
  if not path.exists():
    secret.need(folder / "secret")
    rows = mean_counts(codes, owners, sizes, bound)
    found = behaviour.counts(rows, noise, secret.generator(own, b"counts"))
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
      np.savez(file, counts=found)
    os.replace(temporary, path)
  with np.load(path) as file:
    counts = file["counts"]
  params = event_chains.from_counts(bound * counts, sizes, bound * noise)

  def noisy(present: bool, trial: int) -> np.ndarray:
    alike = np.zeros((20, config.model.length, 3), np.int32)
    rows = mean_counts(alike, np.arange(20), sizes, bound)
    rng = np.random.default_rng(trial)
    return behaviour.counts(rows[0 if present else 1 :], noise, rng)

  return Paid(
    {"generator": closed_form(lambda: params)["model"]},
    probes={"counts": probes.projected(noisy)},
  )


def _made_up(sizes: Sizes, length: int, num: int) -> np.ndarray:
  """Sequences that are nobody's. -> [num, L, 3]."""
  rng = np.random.default_rng(0)
  codes = [rng.integers(0, size, (num, length)) for size in sizes]
  return np.stack(codes, axis=-1).astype(np.int32)
