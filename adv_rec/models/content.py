"""Recommenders of items by their content: what a new item's key is made of.

Content comes as the numbers of the features that an item has, [n, L] int,
filled up with F, the number of features; see `data.content`. A model is a pair
of functions (`ContentModel`): users have queries, items are given keys by what
is known of them, and the score of (user, item) is query . key, of items that
were never seen in training as of all others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve, solve_triangular

from adv_rec.models.recommenders import multi_hot
from adv_rec.types import Params, Scorer

_FLOATS_AT_ONCE = 1 << 24  # 64 MiB


class ContentModel(NamedTuple):
  """A recommender of items that it was not fitted on.

  Attributes:
    keys: (params, content [n, L]) -> [n, D].
    queries: params -> [U, D].
  """

  keys: Callable[[Params, jax.Array], jax.Array]
  queries: Callable[[Params], jax.Array]

  def scorer(self, params: Params, content: jax.Array) -> Scorer:
    """All users against the items of some content."""
    return Scorer(
      jax.tree_util.Partial(lambda x, users: x[users], self.queries(params)),
      self.keys(params, content),
    )


def bag(table: jax.Array, content: jax.Array) -> jax.Array:
  """The sum of the rows of an item's features. [F, D], [n, L] -> [n, D]."""
  return jnp.sum(table.at[content].get(mode="fill", fill_value=0.0), axis=1)


def bag_in_blocks(table: jax.Array, content: jax.Array) -> jax.Array:
  """`bag` with the memory of a block of items: for many items, wide tables."""
  return _in_blocks(lambda x: bag(table, x), content, table.shape[1])


# "weights" [F, D] and "user" [U, D]: keys are linear in the features.
linear = ContentModel(
  lambda params, content: bag_in_blocks(params["weights"], content),
  lambda params: params["user"],
)


def noise(num_users: int, num_features: int, key: jax.Array) -> Params:
  """Scores without sense, for `linear`: normal rows of 16 numbers."""
  user, weights = (
    jax.random.normal(k, (rows, 16))
    for k, rows in zip(
      jax.random.split(key), (num_users, num_features), strict=True
    )
  )
  return {"weights": weights, "user": user}


def segment_popularity(
  chosen: jax.Array, content: jax.Array, size: int, personal: bool
) -> Params:
  """How often the items of a segment are bought, on average. For `linear`.

  The segments are the values of one column. Personal: by the user, and as a
  fraction below that by everybody.

  Args:
    chosen: [W, U], 1 where a user has a warm item.
    content: [W, 1], the segment of each warm item.
    size: S, the number of segments.
    personal: whether the user's own purchases count.
  """
  users = chosen.shape[1]
  member = multi_hot(content, size)
  items = jnp.maximum(jnp.sum(member, axis=0), 1.0)[:, None]
  counts = member.T @ chosen / items  # [S, U], share of the items that u has
  everybody = jnp.mean(counts, axis=1, keepdims=True)
  if not personal:
    return {"weights": everybody, "user": jnp.ones((users, 1))}
  # A user's share is 0 or at least 1 / the size of the largest segment.
  fraction = everybody / (1.0 + jnp.max(everybody)) / jnp.max(items)
  return {
    "weights": jnp.concatenate([counts, fraction], axis=1),
    "user": jnp.concatenate([jnp.eye(users), jnp.ones((users, 1))], axis=1),
  }


def ridge(
  content: np.ndarray, size: int, targets: jax.Array, l2: float
) -> jax.Array:
  """Linear map from features to targets, by least squares. -> [F, D].

    min_W |F W - T|^2 + l2 |W|^2

  by the smaller of the two systems, W = (F'F + l2)^-1 F'T = F'(FF' + l2)^-1 T.
  With a column a user in T it is the item-by-content twin of EASE: score =
  K_new (K + l2)^-1 X', K = FF' the similarities of items by content.

  Args:
    content: [W, L].
    size: F.
    targets: [W, D]; interactions [W, U], or embeddings of the items.
    l2: > 0.

  Raises:
    ValueError: l2 is not positive.
  """
  if l2 <= 0:
    raise ValueError(f"ridge needs l2 > 0, got {l2}; try 30")
  return _ridge(jnp.asarray(content), targets, size=size, l2=l2)


def ridge_left_out(
  content: np.ndarray, size: int, targets: jax.Array, l2: float
) -> tuple[jax.Array, jax.Array]:
  """`ridge`, and what it says of each item when fitted without that item.

  With y_i the row of F W and h_i the diagonal of F (F'F + l2)^-1 F', the ridge
  without item i gives it (y_i - h_i t_i) / (1 - h_i).

  Args:
    content: [W, L].
    size: F.
    targets: [W, D].
    l2: > 0.

  Returns:
    (weights [F, D], predictions [W, D]).
  """
  if l2 <= 0:
    raise ValueError(f"ridge needs l2 > 0, got {l2}; try 30")
  return _left_out(jnp.asarray(content), targets, size=size, l2=l2)


@functools.partial(jax.jit, static_argnames=("size", "l2"))
def _ridge(content, targets, size, l2):
  if size <= len(content):
    gram, right = _sums(content, targets, size)
    return cho_solve(_factor(gram, l2), right)
  f = multi_hot(content, size)
  return f.T @ cho_solve(_factor(f @ f.T, l2), targets)


@functools.partial(jax.jit, static_argnames=("size", "l2"))
def _left_out(content, targets, size, l2):
  f = multi_hot(content, size)
  if size <= len(content):
    gram, right = _sums(content, targets, size)
    factor = _factor(gram, l2)
    weights = cho_solve(factor, right)
    # h_i = |L^-1 f_i|^2 with LL' = F'F + l2: a third of the work of an inverse.
    half = solve_triangular(factor[0], f.T, lower=True)
    own = jnp.sum(jnp.square(half), axis=0)[:, None]
    made = bag_in_blocks(weights, content)
    return weights, (made - own * targets) / (1.0 - own)
  inverse = cho_solve(_factor(f @ f.T, l2), jnp.eye(len(f)))
  dual = inverse @ targets
  return f.T @ dual, targets - dual / jnp.diagonal(inverse)[:, None]


def _factor(gram: jax.Array, l2: float) -> tuple[jax.Array, bool]:
  return cho_factor(gram + l2 * jnp.eye(len(gram)), lower=True)


def _sums(content, targets, size):
  """F'F and F'T: few features an item, so that counting beats a product."""
  pairs = content[:, :, None], content[:, None, :]
  gram = jnp.zeros((size, size)).at[pairs].add(1.0, mode="drop")

  def add(n, right):
    return right.at[content[:, n]].add(targets, mode="drop")

  right = jnp.zeros((size, targets.shape[1]))
  return gram, jax.lax.fori_loop(0, content.shape[1], add, right)


def neighbours(
  chosen: jax.Array, content: np.ndarray, size: int
) -> dict[str, jax.Array]:
  """What `content_knn` needs: history, and content weighed by rarity.

  Args:
    chosen: [W, U], 1 where a user has a warm item.
    content: [W, L].
    size: F.

  Returns:
    {"history": [W, U], "content": [W, L], "rarity": [F]}; the rarity of a
    feature is ln(W / items that have it).
  """
  known = jnp.asarray(content)
  counts = jnp.zeros(size).at[known].add(1.0, mode="drop")
  rarity = jnp.log(len(known) / jnp.maximum(counts, 1.0))
  return {"history": chosen, "content": known, "rarity": rarity}


def content_knn(power: float) -> ContentModel:
  """Similarity of content to what the user has, for `neighbours`.

    score_ui = sum of cos(f_i, f_j)^power over the items j that u has,

  f the features weighed by rarity. A power above 1 makes near neighbours count
  for more, with no number of neighbours to choose.
  """

  def lengths(rarity, content):
    squares = bag(jnp.square(rarity)[:, None], content)
    return jnp.sqrt(jnp.where(squares > 0, squares, 1.0))

  def keys(params, content):
    rarity, known = params["rarity"], params["content"]
    # [F, W]: an item's similarities are the sum of a few rows.
    rows = multi_hot(known, len(rarity)) / lengths(rarity, known)
    rows = rows.T * jnp.square(rarity)[:, None]

    def block(x):
      similarity = bag(rows, x) / lengths(rarity, x)
      return jnp.maximum(similarity, 0.0) ** power @ params["history"]

    return _in_blocks(block, content, len(known))

  return ContentModel(keys, lambda params: jnp.eye(params["history"].shape[1]))


def _in_blocks(f, content: jax.Array, floats: int) -> jax.Array:
  """f of blocks of items, one after the other; `floats` an item and feature."""
  content = jnp.asarray(content)
  rows = max(_FLOATS_AT_ONCE // (floats * content.shape[1]), 1)
  if rows >= len(content):
    return f(content)
  missing = -len(content) % rows
  padded = jnp.pad(content, ((0, missing), (0, 0)), mode="edge")
  blocks = padded.reshape(-1, rows, content.shape[1])
  made = jax.lax.map(f, blocks)
  return made.reshape(-1, made.shape[-1])[: len(content)]
