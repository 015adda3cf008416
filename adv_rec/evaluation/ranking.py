"""Full ranking: each user's k best items among all items, block by block."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adv_rec.types import Scorer

# (indptr [U + 1], indices [n]): the items of user u are
# indices[indptr[u]:indptr[u + 1]].
Csr = tuple[np.ndarray, np.ndarray]

# Matrix products pick their kernel, and with it the order of summation, by the
# shape of the operands. On the CPU all shapes that are multiples of these get
# the same one, so the blocks do not show in the last bits of a score.
_USER_MULTIPLE = 16
_ITEM_MULTIPLE = 64
_SCORES_IN_BLOCK = 1 << 23  # 32 MiB of float32
_CHUNK = 32  # items; divides _ITEM_MULTIPLE


class Ranking(NamedTuple):
  """The k best items of each user, and which of them are relevant.

  Attributes:
    items: [U, k] int32, best first; -1 where nothing is left to rank.
    hits: [U, k] bool, whether the item is relevant.
    relevant: [U] int32, number of distinct relevant items of the user.
  """

  items: np.ndarray
  hits: np.ndarray
  relevant: np.ndarray


def top_k(
  scorer: Scorer,
  users: npt.ArrayLike,
  mask: Csr | None,
  relevant: Csr | None,
  k: int,
  *,
  user_block: int = 256,
  item_block: int | None = None,
) -> Ranking:
  """Ranks all items for each user and keeps the k best.

  Ties count against: of items with equal scores, those that are not relevant
  come first, then those with lower ids. A model that scores all items alike
  therefore has no hit before the items that are not relevant run out. The
  sign of zero is ignored. Items scored -inf are never recommended.

  Beside the scorer, a padded copy of its keys and the lists, device memory
  holds user_block * (item_block + k + most relevant items of a user) scores.
  The result does not depend on the blocks: on the CPU bit for bit, elsewhere
  as far as the platform's matrix product does not.

  Args:
    scorer: the recommender; I keys.
    users: [U] user ids.
    mask: items never ranked for the user (its history, say), over all users;
      None for none. An item that is masked and relevant is masked: it still
      counts as relevant, but cannot be hit.
    relevant: the items that count as hits, over all users; None for none.
    k: length of the lists, at least 1.
    user_block: users scored at once, rounded up to a multiple of 16.
    item_block: items scored at once, rounded up to a multiple of 64; None for
      as many as make about 8 million scores in a block.

  Returns:
    The ranking, as numpy arrays.

  Raises:
    ValueError: k or a block is not positive, a user or an item is out of
      range, or a score is NaN.
  """
  n_items = scorer.num_items
  users = np.asarray(users)
  _check(users, mask, relevant, n_items, k, user_block, item_block)
  if not len(users):
    empty = np.zeros((0, k))
    return Ranking(
      empty.astype(np.int32), empty.astype(bool), np.zeros(0, np.int32)
    )

  user_block = _round_up(min(user_block, len(users)), _USER_MULTIPLE)
  item_block = item_block or max(_SCORES_IN_BLOCK // user_block, 1)
  item_block = _round_up(min(item_block, n_items), _ITEM_MULTIPLE)
  n_blocks = -(-len(users) // user_block)
  padded = np.resize(users, n_blocks * user_block)  # repeats the users

  masked = _select(mask, users, n_items)
  wanted = _select(relevant, users, n_items)
  counts = np.bincount(wanted[0], minlength=len(users)).astype(np.int32)
  items, hits, bad = jax.device_get(
    _rank(
      scorer,
      jnp.asarray(padded.reshape(n_blocks, user_block), jnp.int32),
      _by_block(*masked, n_blocks, user_block),
      _by_block(*wanted, n_blocks, user_block),
      k=k,
      most=_capacity(counts.max()),
      item_block=item_block,
    )
  )
  bad = bad.reshape(-1)[: len(users)]
  if bad.any():
    raise ValueError(
      f"{bad.sum()} of {len(users)} users have NaN scores, the first is user "
      f"{users[bad.argmax()]}: the parameters have diverged"
    )
  return Ranking(
    items.reshape(-1, k)[: len(users)],
    hits.reshape(-1, k)[: len(users)],
    counts,
  )


@functools.partial(jax.jit, static_argnames=("k", "most", "item_block"))
def _rank(scorer, users, masked, relevant, *, k, most, item_block):
  """Ranks blocks of users [N, B]; see `top_k`.

  masked and relevant are lists from `_by_block`; most bounds the relevant
  items of a user. Returns items [N, B, k], hits [N, B, k], and whether a score
  of the user is NaN [N, B].
  """
  n_items = scorer.num_items
  n_blocks = -(-n_items // item_block)
  missing = n_blocks * item_block - n_items
  keys = None
  if scorer.keys is not None:
    keys = jnp.pad(scorer.keys, ((0, missing), (0, 0)))
    keys = keys.reshape(n_blocks, item_block, -1)
  offsets = jnp.arange(n_blocks, dtype=jnp.int32) * item_block

  def rank_users(block):
    users, (mask_rows, _, mask_items), (hit_rows, hit_slots, hit_items) = block
    queries = scorer.queries(users)
    blocks = keys
    if keys is None:  # queries are the scores
      blocks = jnp.pad(queries, ((0, 0), (0, missing)))
      blocks = blocks.reshape(-1, n_blocks, item_block).swapaxes(0, 1)

    def rank_items(carry, block):
      best, ids, hit_scores, bad = carry
      scores, offset = block
      if keys is not None:
        scores = jnp.einsum(
          "bd,id->bi",
          queries,
          scores,
          precision=jax.lax.Precision.HIGHEST,
          preferred_element_type=jnp.float32,
        )
      scores = jnp.where(scores == 0, 0.0, scores)  # -0 sorts below +0
      real = offset + jnp.arange(item_block) < n_items
      scores = jnp.where(real, scores, -jnp.inf)
      bad |= jnp.isnan(scores).any(axis=1)

      # Relevant items leave the block as well: they are ranked at the end,
      # behind the others.
      at = _position(mask_items, offset, item_block)
      scores = scores.at[mask_rows, at].set(-jnp.inf, mode="drop")
      at = _position(hit_items, offset, item_block)
      found = scores.at[hit_rows, at].get(mode="fill", fill_value=-jnp.inf)
      hit_scores = jnp.maximum(hit_scores, found)
      scores = scores.at[hit_rows, at].set(-jnp.inf, mode="drop")

      block_best, at = _top_k(scores, k)
      best, at_both = jax.lax.top_k(
        jnp.concatenate([best, block_best], axis=1), k
      )
      ids = jnp.take_along_axis(
        jnp.concatenate([ids, offset + at], axis=1), at_both, axis=1
      )
      return (best, ids, hit_scores, bad), None

    nothing = jnp.full((len(users), k), -jnp.inf)
    (best, ids, hit_scores, bad), _ = jax.lax.scan(
      rank_items,
      (
        nothing,
        jnp.zeros(nothing.shape, jnp.int32),
        jnp.full(hit_items.shape, -jnp.inf),
        jnp.zeros(len(users), bool),
      ),
      (blocks, offsets),
    )
    slots = jnp.full((len(users), most), -jnp.inf)
    hit_scores = slots.at[hit_rows, hit_slots].set(hit_scores, mode="drop")
    slots = jnp.zeros(slots.shape, jnp.int32)
    hit_items = slots.at[hit_rows, hit_slots].set(hit_items, mode="drop")
    # The lower position wins a tie in `top_k`: relevant items lose theirs.
    best, at = jax.lax.top_k(jnp.concatenate([best, hit_scores], axis=1), k)
    ids = jnp.take_along_axis(
      jnp.concatenate([ids, hit_items], axis=1), at, axis=1
    )
    # Of equal -inf, the k in front fill the list: none of the rest is a hit.
    return jnp.where(best > -jnp.inf, ids, -1), at >= k, bad

  return jax.lax.map(rank_users, (users, masked, relevant))


def _top_k(scores, k):
  """`lax.top_k` of [B, n], n a multiple of _CHUNK; at most k columns.

  The k best lie in the k chunks with the best maxima, so all but a few scores
  are read once only. Lower position first among equals, as in `lax.top_k`.
  """
  chunks = scores.reshape(len(scores), -1, _CHUNK)
  maxima = chunks.max(axis=2)
  _, which = jax.lax.top_k(maxima, min(k, maxima.shape[1]))
  which = jnp.sort(which, axis=1)  # keeps the candidates in order of position
  candidates = jnp.take_along_axis(chunks, which[:, :, None], axis=1)
  candidates = candidates.reshape(len(scores), -1)
  best, at = jax.lax.top_k(candidates, min(k, candidates.shape[1]))
  which = jnp.take_along_axis(which, at // _CHUNK, axis=1)
  return best, which * _CHUNK + at % _CHUNK


def _position(items, offset, item_block):
  """Positions in the block; out of range, and not negative, elsewhere."""
  inside = (items >= offset) & (items < offset + item_block)
  return jnp.where(inside, items - offset, item_block)


def _select(csr: Csr | None, users: np.ndarray, n_items: int):
  """Distinct (row of users, item) pairs, ordered by row, then item."""
  if csr is None:
    return np.zeros(0, np.int64), np.zeros(0, np.int32)
  indptr, indices = (np.asarray(a) for a in csr)
  lengths = indptr[users + 1] - indptr[users]
  rows = np.repeat(np.arange(len(users)), lengths)
  starts = np.cumsum(lengths) - lengths
  items = indices[np.arange(len(rows)) + (indptr[users] - starts)[rows]]
  pairs = rows * np.int64(n_items) + items
  if (np.diff(pairs) <= 0).any():
    rows, items = np.divmod(np.unique(pairs), n_items)
  return rows, items.astype(np.int32)


def _by_block(rows, items, n_blocks, user_block):
  """Pairs -> (user in block, position among the user's, item), [n_blocks, M].

  Filled up with a user past the end of the block.
  """
  block = rows // user_block
  in_user = _running(rows, n_blocks * user_block)
  lengths = np.bincount(block, minlength=n_blocks)
  at = block, _running(block, n_blocks)
  shape = n_blocks, _capacity(lengths.max())
  result = []
  for values, filler in (
    (rows % user_block, user_block),
    (in_user, 0),
    (items, 0),
  ):
    filled = np.full(shape, filler, np.int32)
    filled[at] = values
    result.append(filled)
  return tuple(result)


def _running(groups, n_groups):
  """Position of each element within its group; the groups are in order."""
  lengths = np.bincount(groups, minlength=n_groups)
  return np.arange(len(groups)) - (np.cumsum(lengths) - lengths)[groups]


def _capacity(longest):
  """Rounds up to three binary digits: a tenth of waste, few compilations."""
  unit = 1 << max(int(longest).bit_length() - 3, 0)
  return _round_up(int(longest), unit)


def _round_up(n: int, multiple: int) -> int:
  return -(-n // multiple) * multiple


def _check(users, mask, relevant, n_items, k, user_block, item_block):
  for name, value in (
    ("k", k),
    ("user_block", user_block),
    ("item_block", 1 if item_block is None else item_block),
    ("number of items", n_items),
  ):
    if value < 1:
      raise ValueError(f"the {name} is {value}, must be at least 1")
  if len(users) and users.min() < 0:
    raise ValueError(f"users: {users.min()} is no user id, ids start at 0")
  for name, csr in (("mask", mask), ("relevant", relevant)):
    if csr is None:
      continue
    indptr, indices = (np.asarray(a) for a in csr)
    if len(users) and users.max() + 1 >= len(indptr):
      raise ValueError(
        f"{name}: has {len(indptr) - 1} users, user {users.max()} is asked for"
      )
    wrong = (indices < 0) | (indices >= n_items)
    if wrong.any():
      raise ValueError(
        f"{name}: item {indices[wrong.argmax()]} at position {wrong.argmax()} "
        f"is outside the {n_items} items of the scorer"
      )
