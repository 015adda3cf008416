"""Noisy sums over users: what is bought of histories, user by user.

The unit is a user with all rows. A history is bounded (`bounded`): at most m
items, drawn at random, as a vector of norm 1. Each sum here moves by at most 1
in L2 norm when a user's history is emptied, whatever it held:

  counts   sum of x_u                 |x_u| <= 1
  gram     sum of y_u y_u'            y_u: x_u on some items, of norm 1 or 0
  table    sum of x_u e_c(u)'         c(u): the one cluster of the user

so that each is one Gaussian mechanism of sensitivity 1 (`accounting.Gaussian`).
The items of a gram and the clusters of a table may follow from sums bought
before; the cluster of a user may, beside these, look at its own row only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import sparse

from adv_rec.privacy import probes as probing
from adv_rec.privacy import secret
from adv_rec.types import Probe

_OTHERS = 50  # made-up users of a probe, beside its canary
_ITEMS = 50  # items of its gram


class Sums(NamedTuple):
  """What draws the noisy sums of one run's users, each by its name.

  Attributes:
    rows: [U, I] from `bounded`.
    noise: multiplier of each sum.
    secret: that noise is drawn from.
  """

  rows: sparse.csr_array
  noise: Mapping[str, float]
  secret: bytes

  def counts(self, name: str) -> np.ndarray:
    """See `counts`."""
    return counts(self.rows, self.noise[name], self._rng(name))

  def gram(self, name: str, items: np.ndarray) -> np.ndarray:
    """See `gram`."""
    return gram(self.rows, items, self.noise[name], self._rng(name))

  def table(self, name: str, member: np.ndarray, clusters: int) -> np.ndarray:
    """See `table`."""
    noise, rng = self.noise[name], self._rng(name)
    return table(self.rows, member, clusters, noise, rng)

  def _rng(self, name: str) -> np.random.Generator:
    return secret.generator(self.secret, name.encode())


def bounded(
  indptr: np.ndarray,
  items: np.ndarray,
  num_items: int,
  most: int,
  rng: np.random.Generator,
) -> sparse.csr_array:
  """Histories of at most m items, each of norm 1.

  Args:
    indptr: [U+1], as of `Dataset.history`.
    items: [N], each once in a history.
    num_items: I.
    most: m, at least 1; which of more are kept is drawn.
    rng: from `stream`: who knows what was drawn has no use of it.

  Returns:
    [U, I]; a user with n items kept has 1 / sqrt(n) at each, one without any
    an empty row.

  Raises:
    ValueError: m is less than 1, or an item is twice in a history, so that
      its row would be longer than 1.
  """
  if most < 1:
    raise ValueError(f"at most {most} items of a user: keep at least 1")
  user = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
  if len(np.unique(user * np.int64(num_items) + items)) != len(items):
    raise ValueError("a history has an item twice; see Dataset.history")
  order = np.lexsort((rng.random(len(items)), user))
  kept = np.arange(len(items)) - indptr[user] < most  # `order` keeps users
  user, items = user[kept], items[order][kept]
  size = np.bincount(user, minlength=len(indptr) - 1)
  return sparse.csr_array(
    (1 / np.sqrt(size[user]), (user, items)), (len(indptr) - 1, num_items)
  )


def counts(
  rows: sparse.csr_array, noise: float, rng: np.random.Generator
) -> np.ndarray:
  """Noisy sums of the items' columns. -> [I].

  Args:
    rows: [U, I] from `bounded`.
    noise: multiplier of `accounting.Gaussian`; 0 gives the exact sums.
    rng: from `stream`.
  """
  exact = np.asarray(rows.sum(axis=0)).ravel()
  return exact + noise * rng.normal(size=exact.shape)


def gram(
  rows: sparse.csr_array,
  items: np.ndarray,
  noise: float,
  rng: np.random.Generator,
) -> np.ndarray:
  """Noisy co-occurrences of some items, symmetric. -> [K, K].

  A row is cut to these items and made of norm 1 again, so that what a user
  may add is used up whatever else is in the history; y y' then has Frobenius
  norm 1, and its upper triangle, which gets the noise, at most that.

  Args:
    rows: [U, I] from `bounded`.
    items: [K] distinct ones, public or of a sum that was bought.
    noise: multiplier of `accounting.Gaussian`; 0 gives the exact matrix.
    rng: from `stream`.
  """
  own = rows[:, items]
  norm = np.sqrt(np.asarray(own.multiply(own).sum(axis=1)).ravel())
  own = sparse.diags_array(1 / np.where(norm > 0, norm, 1.0)) @ own
  upper = np.triu((own.T @ own).toarray())
  upper += noise * np.triu(rng.normal(size=upper.shape))
  return upper + np.triu(upper, 1).T


def table(
  rows: sparse.csr_array,
  member: np.ndarray,
  clusters: int,
  noise: float,
  rng: np.random.Generator,
) -> np.ndarray:
  """Noisy sums of the items' columns in each cluster of users. -> [I, C].

  Args:
    rows: [U, I] from `bounded`.
    member: [U] cluster of each user; see the top of this file for what it may
      depend on.
    clusters: C.
    noise: multiplier of `accounting.Gaussian`; 0 gives the exact sums.
    rng: from `stream`.
  """
  users = np.arange(len(member))
  indicator = sparse.csr_array(
    (np.ones(len(member)), (users, member)), (len(member), clusters)
  )
  exact = (rows.T @ indicator).toarray()
  return exact + noise * rng.normal(size=exact.shape)


def probes(
  names: Iterable[str], noise: Callable[[], Mapping[str, float]], most: int
) -> dict[str, Probe]:
  """A probe of each sum, with one made-up user more and with none of its items.

  The canary is the user that moves a sum furthest: one of few items, of as many
  as are kept, or of more.

  Args:
    names: of the sums; "counts" and "gram" are what they say, any other is a
      table.
    noise: multiplier of each, asked for when a probe is played.
    most: m, items of a user.
  """
  num_items = max(2 * most, _ITEMS)
  few = np.arange(_OTHERS)  # an item each
  member, items = np.arange(_OTHERS + 1) % 3, np.arange(_ITEMS)

  def rows(size: int) -> sparse.csr_array:
    own = np.concatenate([few, np.arange(size)])
    indptr = np.append(np.arange(_OTHERS + 1), len(own))
    return bounded(indptr, own, num_items, most, np.random.default_rng(0))

  def part(name: str) -> Probe:
    def play(canary: int, sigma: float, trial: int) -> np.ndarray:
      own = b"probe" + trial.to_bytes(8, "big")
      sums = Sums(rows(canary), {name: sigma}, own)
      if name == "counts":
        return sums.counts(name)
      if name == "gram":
        return sums.gram(name, items)[np.triu_indices(_ITEMS)]
      return sums.table(name, member, 3)

    def probe(trials: int) -> tuple[np.ndarray, np.ndarray]:
      sigma, empty, furthest, canary = noise()[name], play(0, 0.0, 0), 0.0, 1
      for size in (1, most, num_items):
        moved = float(np.linalg.norm(play(size, 0.0, 0) - empty))
        if moved > 1.01 * furthest:
          furthest, canary = moved, size
      return probing.projected(
        lambda present, trial: play(canary * present, sigma, trial)
      )(trials)

    return probe

  return {name: part(name) for name in names}
