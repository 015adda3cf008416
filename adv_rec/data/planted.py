"""Generated interactions whose structure is known: what tests train on."""

from __future__ import annotations

import numpy as np

from adv_rec.data.dataset import Dataset, Pairs


def tastes(
  num_users: int = 96,
  num_items: int = 64,
  groups: int = 2,
  per_user: int = 12,
  purity: float = 0.95,
  seed: int = 0,
) -> Pairs:
  """Users who choose, nearly always, among the items of their own group.

  User u and item i belong to the groups u % groups and i % groups. All items
  are equally likely within a group, so that popularity knows nothing and the
  groups are all there is to learn.

  Args:
    num_users: U.
    num_items: I.
    groups: number of tastes.
    per_user: distinct items of each user, in the order they were chosen.
    purity: probability of a choice within the group; the others are uniform
      over all items.
    seed: of the draws.

  Returns:
    N = num_users x per_user interactions, user by user.
  """
  rng = np.random.default_rng(seed)
  own = np.arange(num_users)[:, None] % groups == np.arange(num_items) % groups
  chance = purity * own / own.sum(axis=1, keepdims=True)
  chance += (1 - purity) / num_items
  # The largest of log(p) + Gumbel noise are draws without replacement.
  ranked = np.argsort(-np.log(chance) - rng.gumbel(size=chance.shape), axis=1)
  return Pairs(
    np.repeat(np.arange(num_users, dtype=np.int32), per_user),
    ranked[:, :per_user].astype(np.int32).reshape(-1),
  )


def dataset(num_users: int = 96, num_items: int = 64, **kwargs) -> Dataset:
  """`tastes`, of each user the last two items for test, two for validation.

  Args:
    num_users: U.
    num_items: I.
    **kwargs: further arguments of `tastes`.
  """
  pairs = tastes(num_users, num_items, **kwargs)
  user, item = (column.reshape(num_users, -1) for column in pairs)

  def part(start: int | None, stop: int | None) -> Pairs:
    return Pairs(
      user[:, start:stop].reshape(-1), item[:, start:stop].reshape(-1)
    )

  return Dataset(
    name="planted",
    train=part(None, -4),
    validation=part(-4, -2),
    test=part(-2, None),
    users={"id": np.arange(num_users)},
    items={"id": np.arange(num_items)},
    protocol={"split": "planted"},
  )
