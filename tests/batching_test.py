"""Batches: every row once an epoch, and nothing but a function of the step."""

import numpy as np
import pytest

from adv_rec.data import batching, planted

SEED = 4


def numbered(num_rows):
  """Epochs of shuffled row numbers, marked with their epoch."""

  def epoch_rows(epoch):
    order = np.random.default_rng(epoch).permutation(num_rows)
    return {"row": order, "pair": np.stack([order, order * 0 + epoch], 1)}

  return epoch_rows


def assert_equal(a, b):
  assert a.keys() == b.keys()
  for name in a:
    np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize(
  "num_rows, batch_size", [(12, 4), (13, 4), (7, 1), (5, 5), (5, 8), (3, 10)]
)
def test_each_row_exactly_once_an_epoch(num_rows, batch_size):
  batches = batching.stream(numbered(num_rows), num_rows, batch_size)
  steps = 4 * num_rows  # whole epochs, whatever the batch size
  found = batches(0, steps)
  assert found["row"].shape == (steps, batch_size)
  assert found["pair"].shape == (steps, batch_size, 2)
  by_epoch = found["row"].reshape(-1, num_rows)
  expected = np.tile(np.arange(num_rows), (len(by_epoch), 1))
  np.testing.assert_array_equal(np.sort(by_epoch, axis=1), expected)
  epochs = found["pair"][..., 1].reshape(-1, num_rows)
  np.testing.assert_array_equal(
    epochs, np.repeat(np.arange(len(epochs)), num_rows).reshape(epochs.shape)
  )


def test_epochs_come_in_different_orders():
  epoch_rows = batching.triples(*planted.tastes(), 64, SEED)
  users = [epoch_rows(epoch)["user"] for epoch in range(3)]
  assert not np.array_equal(users[0], users[1])
  assert not np.array_equal(users[1], users[2])
  other = batching.triples(*planted.tastes(), 64, SEED + 1)
  assert not np.array_equal(users[0], other(0)["user"])


def make_triples(batch_size=50):
  pairs = planted.tastes(num_users=20, num_items=16, per_user=7)
  epoch_rows = batching.triples(*pairs, 16, SEED)
  return pairs, batching.stream(epoch_rows, len(pairs.user), batch_size)


@pytest.mark.parametrize("a, b, c", [(3, 5, 7), (0, 1, 9), (2, 3, 4)])
def test_a_range_of_steps_is_the_ranges_it_consists_of(a, b, c):
  _, batches = make_triples()
  parts = [batches(a, b), batches(b, c)]
  joined = {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}
  assert_equal(batches(a, c), joined)


def test_the_past_of_a_batcher_leaves_no_trace():
  _, batches = make_triples()
  _, fresh = make_triples()
  for start in (11, 0, 5, 11):
    assert_equal(batches(start, start + 2), fresh(start, start + 2))
    _, fresh = make_triples()


def test_positives_are_the_interactions_and_negatives_are_none():
  pairs, batches = make_triples()
  chosen = set(zip(*(x.tolist() for x in pairs), strict=True))
  batch = {name: x.reshape(-1) for name, x in batches(0, 14).items()}
  epoch = {name: x[: len(pairs.user)] for name, x in batch.items()}
  assert (
    set(zip(epoch["user"].tolist(), epoch["positive"].tolist(), strict=True))
    == chosen
  )
  drawn = zip(batch["user"].tolist(), batch["negative"].tolist(), strict=True)
  assert not chosen.intersection(drawn)
  assert batch["negative"].min() >= 0 and batch["negative"].max() < 16


def test_negatives_are_uniform_over_the_free_items():
  users = np.array([3, 3, 3, 0, 0, 7, 3, 3])  # 3 has 8 twice; 1 has none
  items = np.array([0, 1, 8, 5, 9, 4, 5, 8])
  sampler = batching.NegativeSampler(users, items, 10)
  rng = np.random.default_rng(0)
  draws = np.stack([sampler(rng) for _ in range(4000)])
  # 99.9 % quantiles of chi-squared with 5, 7 and 8 degrees of freedom.
  quantile = {3: 20.5, 0: 24.3, 7: 26.1}
  for user in (3, 0, 7):
    counts = np.bincount(
      draws[:, sampler.users == user].reshape(-1), minlength=10
    )
    free = np.setdiff1d(np.arange(10), items[users == user])
    assert counts[free].sum() == counts.sum()
    expected = counts.sum() / len(free)
    assert np.sum((counts[free] - expected) ** 2 / expected) < quantile[user]


def test_all_interactions_stay_even_repeated_ones():
  users, items = np.array([1, 0, 1, 1]), np.array([2, 0, 2, 1])
  epoch = batching.triples(users, items, 4, SEED)(0)
  found = sorted(zip(epoch["user"], epoch["positive"], strict=True))
  assert found == [(0, 0), (1, 1), (1, 2), (1, 2)]
  assert {x.dtype for x in epoch.values()} == {np.dtype(np.int32)}


def test_a_user_who_has_everything_is_named():
  users, items = np.array([0, 5, 5, 5]), np.array([1, 0, 1, 2])
  with pytest.raises(ValueError, match=r"user code 5 .* all 3 items"):
    batching.triples(users, items, 3, SEED)


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("row_sparse", [False, True])
def test_parts_of_a_batch_are_the_batch(processes, row_sparse):
  batches = batching.stream(numbered(50), 50, 12)
  name = next(iter(batches(0, 1)))
  if row_sparse:
    batches = batching.with_local_rows(batches, {"t": ((name,), 50)})
  whole = batches(2, 9)
  parts = [batches(2, 9, (p, processes)) for p in range(processes)]
  for entry, rows in whole.items():
    joined = np.concatenate([part[entry] for part in parts], axis=1)
    np.testing.assert_array_equal(joined, rows)


@pytest.mark.parametrize("part", [(0, 5), (2, 2), (-1, 2)])
def test_parts_that_cannot_be_are_refused(part):
  with pytest.raises(ValueError, match="12 rows cannot be shared"):
    batching.stream(numbered(50), 50, 12)(0, 1, part)


def test_nothing_to_cut_is_refused():
  with pytest.raises(ValueError, match="no training rows"):
    batching.stream(numbered(0), 0, 4)
  with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
    batching.stream(numbered(3), 3, 0)


def test_histories_hold_all_items_of_each_user_with_any():
  indptr = np.array([0, 2, 2, 5])
  items = np.array([4, 7, 1, 2, 3])
  epoch = batching.histories(indptr, items, 10, SEED)(0)
  rows = dict(zip(epoch["user"], epoch["items"].tolist(), strict=True))
  assert rows == {0: [4, 7, 10], 2: [1, 2, 3]}


@pytest.mark.parametrize("num_items", [16, 1000])
def test_local_ids_point_at_the_rows_they_stand_for(num_items):
  rng = np.random.default_rng(0)
  ids = {
    name: rng.integers(0, n, (40, 100)).astype(np.int32)
    for name, n in (("u", 6), ("i", num_items), ("j", num_items), ("y", 2))
  }
  batches = batching.with_local_rows(
    lambda start, stop: {n: x[start:stop] for n, x in ids.items()},
    {"user": (("u",), 6), "item": (("i", "j"), num_items)},
  )
  found = batches(5, 25)
  assert found["user_rows"].shape == (20, 128)
  assert found["item_rows"].shape == (20, 128 if num_items == 16 else 256)
  np.testing.assert_array_equal(found["y"], ids["y"][5:25])
  for table, fields, rows in (
    ("user_rows", "u", 6),
    ("item_rows", "ij", num_items),
  ):
    for step, unique in enumerate(found[table]):
      real = unique[unique < rows]
      assert (np.diff(real) > 0).all()  # distinct
      assert (unique[len(real) :] == rows).all()  # past the end
      met = np.concatenate([ids[field][5 + step] for field in fields])
      assert set(real) == set(met)
      for field in fields:
        np.testing.assert_array_equal(
          unique[found[field][step]], ids[field][5 + step]
        )
  assert batches(3, 4)["item_rows"].shape[1] == found["item_rows"].shape[1]
