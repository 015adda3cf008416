import itertools

import numpy as np
import pytest

from adv_rec.evaluation import diversity


def test_all_users_are_shown_one_item():
  lists = np.full((5, 1), 2)
  counts = np.array([1, 4, 2, 1])
  got = diversity.evaluate(lists, 1, counts, train_users=8)
  assert got == {
    "coverage@1": 1,
    "item_coverage@1": 1 / 4,
    "gini@1": 3 / 4,  # (I - 1) / I
    "novelty@1": 2,  # -log2(2 / 8)
    "aplt@1": 0,  # items 1 and 2 and one of the others hold 80 %
  }


def test_all_items_are_shown_alike():
  lists = np.arange(12).reshape(4, 3)
  got = diversity.evaluate(lists, 3, np.ones(12, int), train_users=4)
  assert got["gini@3"] == 0
  assert got["coverage@3"] == 12
  assert got["item_coverage@3"] == 1
  assert got["novelty@3"] == 2


def test_gini_equals_the_mean_absolute_difference():
  # The other definition: sum_ij |x_i - x_j| / (2 I^2 mean(x)).
  shown = np.random.default_rng(0).integers(0, 50, 30)
  differences = np.abs(shown[:, None] - shown).sum()
  np.testing.assert_allclose(
    diversity.gini(shown), differences / (2 * 30**2 * shown.mean())
  )


def test_only_the_first_k_places_count_and_empty_places_do_not():
  lists = np.array([[0, 1, 2], [0, -1, -1], [-1, -1, -1]])
  counts = np.array([4, 2, 1])
  got = diversity.evaluate(lists, 2, counts, np.array([7, 8, 9]), train_users=4)
  assert got["coverage@2"] == 2
  # Lists {0, 1} and {0}: bits (0 + 1) / 2 and 0; one pair in all.
  assert got["novelty@2"] == 1 / 4
  assert got["ild@2"] == 1
  np.testing.assert_array_equal(diversity.exposure(lists, 3), [2, 1, 1])


def test_an_item_never_seen_is_as_novel_as_one_seen_once():
  lists = np.array([[0, 1]])
  assert diversity.novelty(lists, np.array([0, 1]), 16) == 4


def test_long_tail():
  # 50 + 30 are exactly 80 % of 100; then just less.
  tail = diversity.long_tail(np.array([5, 50, 30, 15]))
  assert tail.tolist() == [True, False, False, True]
  tail = diversity.long_tail(np.array([6, 49, 30, 15]))
  assert tail.tolist() == [True, False, False, False]
  # Equal items: the lower id is the more popular.
  tail = diversity.long_tail(np.full(5, 3))
  assert tail.tolist() == [False] * 4 + [True]


def test_aplt_averages_over_users():
  counts = np.array([90, 5, 5])
  lists = np.array([[0, 1], [1, 2], [2, -1], [0, -1]])
  got = diversity.evaluate(lists, 2, counts, train_users=90)
  assert got["aplt@2"] == (1 / 2 + 1 + 1 + 0) / 4


def test_intra_list_diversity_equals_going_through_the_pairs():
  rng = np.random.default_rng(0)
  categories = rng.integers(-1, 4, 40)
  lists = np.array([rng.permutation(40)[:6] for _ in range(25)])
  lists[::3, 4:] = -1
  shares = []
  for row in lists:
    known = [c for c in categories[row[row >= 0]] if c >= 0]
    pairs = [a != b for a, b in itertools.combinations(known, 2)]
    shares += [np.mean(pairs)] if pairs else []
  np.testing.assert_allclose(
    diversity.intra_list_diversity(lists, categories), np.mean(shares)
  )


def test_without_a_pair_of_known_category_there_is_no_diversity():
  lists = np.array([[0, 1], [2, -1]])
  counts = np.ones(3, int)
  for categories in (np.array([0, -1, 1]), np.full(3, -1)):
    got = diversity.evaluate(lists, 2, counts, categories, train_users=3)
    assert "ild@2" not in got
  same = diversity.evaluate(lists, 2, counts, np.zeros(3, int), train_users=3)
  assert same["ild@2"] == 0


@pytest.mark.parametrize(
  "change, message",
  [
    ({"k": 0}, "k is 0: .* places 1 to 2"),
    ({"k": 3}, "k is 3"),
    ({"lists": np.full((3, 2), -1)}, "hold no item"),
    ({"lists": np.array([[0, 4]])}, "item 4 is recommended, .* 4 items"),
    ({"train_counts": np.array([1, 2, 3, 9])}, "from 1 to 9, .* 0 to .* .8."),
    ({"train_counts": np.zeros(4, int)}, "all 0"),
    ({"categories": np.zeros(5, int)}, "5 categories for 4 items"),
  ],
)
def test_wrong_arguments_are_named(change, message):
  arguments = {
    "lists": np.array([[0, 1]]),
    "k": 2,
    "train_counts": np.array([1, 2, 3, 4]),
    "train_users": 8,
  }
  with pytest.raises(ValueError, match=message):
    diversity.evaluate(**arguments | change)
