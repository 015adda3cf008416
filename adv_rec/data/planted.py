"""Generated interactions whose structure is known: for tests and for scale.

A log of any size to measure with, 100 million rows in a minute or two; all of
it, with training and evaluation, is benchmarks/large.py:

  planted.write_catalogue("big", 5_000_000, 2_000_000, 100_000_000)
  python scripts/prepare_data.py --path='big/*.parquet' --out=prepared \
    --columns=user=user,item=item,time=time --k_core=5 --shards=16
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adv_rec.data import atomic
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


TASTES = 32
_YEAR = 365 * 24 * 3600


def catalogue(
  num_users: int,
  num_items: int,
  interactions: int,
  seed: int = 0,
  block: int = 1 << 20,
) -> Iterator[pa.Table]:
  """A log of a large shop, block by block: low-rank tastes, power-law demand.

  Item i belongs to taste i % 32, and within its taste its share falls as
  1 / (1 + i // 32). A user chooses among the items of its first taste with
  probability .6, of its second with .25, else of any, so that the matrix of
  P(item | user) has rank 32. The activity of users is log-normal (sigma 1).
  Pairs may repeat, as purchases do.

  Args:
    num_users: U; some may stay without an interaction.
    num_items: I, at least 32.
    interactions: rows in all.
    seed: of everything.
    block: rows of a table.

  Yields:
    Tables of user, item, time (int64, seconds of one year), in the order of
    the users. Memory: one block, and 8 bytes a user.
  """
  rng = np.random.default_rng([seed, 0])
  ends = np.cumsum(rng.lognormal(sigma=1.0, size=num_users))
  for number, start in enumerate(range(0, interactions, block)):
    rng = np.random.default_rng([seed, 1, number])
    n = min(block, interactions - start)
    # Row r belongs to the user in whose share of the total it falls.
    places = (np.arange(start, start + n) + 0.5) / interactions * ends[-1]
    users = np.minimum(np.searchsorted(ends, places), num_users - 1)
    choice = rng.random(n)
    taste = np.where(choice < 0.6, _hash(users, 0), _hash(users, 1))
    taste = np.where(choice < 0.85, taste, rng.integers(0, TASTES, n))
    # By the inverse of the distribution function of density 1 / (1 + x).
    sizes = (num_items - taste - 1) // TASTES + 1
    rank = np.expm1(rng.random(n) * np.log1p(sizes)).astype(np.int64)
    items = np.minimum(rank, sizes - 1) * TASTES + taste
    times = rng.integers(0, _YEAR, n)
    yield pa.table({"user": users, "item": items, "time": times})


def write_catalogue(
  directory: str | os.PathLike[str],
  num_users: int,
  num_items: int,
  interactions: int,
  seed: int = 0,
  files: int = 16,
  progress: Callable[[str], None] = print,
) -> None:
  """Writes `catalogue` as Parquet files, all or none: part-00000.parquet etc.

  Args:
    directory: new or empty.
    num_users: U.
    num_items: I.
    interactions: rows in all.
    seed: of everything.
    files: about how many.
    progress: receives one line a file.

  Raises:
    FileExistsError: the directory holds something.
  """
  directory = pathlib.Path(directory)
  if directory.exists() and any(directory.iterdir()):
    raise FileExistsError(f"{directory} is not empty; choose another")

  def fill(folder: pathlib.Path) -> None:
    rows, number, writer = 0, 0, None
    for table in catalogue(num_users, num_items, interactions, seed):
      if writer is None:
        path = folder / f"part-{number:05}.parquet"
        writer = pq.ParquetWriter(path, table.schema, compression="zstd")
      writer.write_table(table)
      rows += len(table)
      if rows >= min((number + 1) * interactions / files, interactions):
        writer.close()
        writer, number = None, number + 1
        progress(f"{rows:,} of {interactions:,} rows in {number} files")

  atomic.replace(directory, fill)


def _hash(users: np.ndarray, which: int) -> np.ndarray:
  """Two tastes of each user, as good as random: Fibonacci hashing. [N]."""
  mixed = (
    users.astype(np.uint64) * np.uint64(2) + np.uint64(which)
  ) * np.uint64(0x9E3779B97F4A7C15)
  return (mixed >> np.uint64(59)).astype(np.int64)
