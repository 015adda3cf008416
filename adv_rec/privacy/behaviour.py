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

import numpy as np
from scipy import sparse


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
