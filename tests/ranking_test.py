import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from adv_rec.evaluation import ranking_metrics
from adv_rec.evaluation.ranking import Ranking, top_k
from adv_rec.types import Scorer


def rows_of(table, users):
  return table[users]


def factors(queries, keys):
  """Scores are the inner products of the rows."""
  table = jnp.asarray(queries, jnp.float32)
  return Scorer(
    jax.tree_util.Partial(rows_of, table), jnp.asarray(keys, jnp.float32)
  )


def given(scores):
  """The scores are exactly these, [U, I], +0 instead of -0."""
  return factors(scores, np.eye(np.shape(scores)[1]))


def csr(rows):
  indptr = np.cumsum([0] + [len(row) for row in rows])
  return indptr, np.array([i for row in rows for i in row], np.int32)


def draw(rng, n_users, n_items, most):
  """Distinct items for each user, 0 to `most` of them, in any order.

  The lengths are the same in each draw, so that shapes are, too.
  """
  return [
    rng.permutation(n_items)[: 7 * u % (most + 1)] for u in range(n_users)
  ]


def oracle(scores, users, mask, relevant, k):
  """Sorts each row in plain Python by the rule in the docstring of top_k."""
  items, hits = np.full((len(users), k), -1), np.zeros((len(users), k), bool)
  for row, u in enumerate(users):
    wanted = set(relevant[u].tolist())
    rankable = [
      i
      for i in set(range(scores.shape[1])) - set(mask[u].tolist())
      if scores[u, i] > -np.inf
    ]
    rankable.sort(key=lambda i: (-scores[u, i], i in wanted, i))
    rankable = rankable[:k]
    items[row, : len(rankable)] = rankable
    hits[row, : len(rankable)] = [i in wanted for i in rankable]
  return Ranking(items, hits, np.array([len(relevant[u]) for u in users]))


def assert_same(one, other):
  for a, b in zip(one, other, strict=True):
    np.testing.assert_array_equal(a, b)


KINDS = {
  "floats": lambda rng, shape: rng.normal(size=shape),
  "negative": lambda rng, shape: -rng.exponential(size=shape),
  "ties": lambda rng, shape: rng.integers(-2, 3, shape),
  "tiny": lambda rng, shape: rng.integers(-2, 3, shape) * 1e-37,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
  "n_items, k, item_block",
  # One block; k past a chunk of items; several blocks and k past one of them;
  # k past all items.
  [(300, 5, None), (300, 40, None), (300, 90, 64), (70, 100, 64)],
)
def test_top_k_equals_sorting_every_row(kind, n_items, k, item_block):
  n_users = 41
  users = np.arange(n_users)[:2:-1]
  for seed in range(3):
    rng = np.random.default_rng(seed)
    scores = KINDS[kind](rng, (n_users, n_items)).astype(np.float32)
    mask = draw(rng, n_users, n_items, n_items - 3)
    relevant = draw(rng, n_users, n_items, 20)
    got = top_k(
      given(scores),
      users,
      csr(mask),
      csr(relevant),
      k,
      user_block=16,
      item_block=item_block,
    )
    assert_same(got, oracle(scores, users, mask, relevant, k))
    assert (got.items[:, -1] == -1).any() or k < 90


def test_blocks_do_not_change_a_bit():
  # Items come in groups of almost equal scores, so a last bit would show.
  rng = np.random.default_rng(0)
  n_users, n_items = 150, 1001
  groups = rng.normal(size=(20, 64))[rng.integers(20, size=n_items)]
  scorer = factors(
    rng.normal(size=(n_users, 64)),
    groups * rng.uniform(1, 1 + 1e-6, groups.shape),
  )
  lists = csr(draw(rng, n_users, n_items, 90)), csr(draw(rng, n_users, 900, 30))
  users = np.arange(n_users)
  whole = top_k(scorer, users, *lists, 60)
  for user_block, item_block in [(16, 1), (40, 333), (150, 640)]:
    got = top_k(
      scorer,
      users,
      *lists,
      60,
      user_block=user_block,
      item_block=item_block,
    )
    assert_same(whole, got)
  alone = top_k(scorer, users[77:78], *lists, 60)
  assert_same(alone, [value[77:78] for value in whole])


@pytest.mark.parametrize("score", [-1.5, 0.0, 2.0])
def test_constant_scores_have_no_hit(score):
  scorer = factors(np.ones((2, 1)), np.full((100, 1), score))
  relevant = csr([[0, 1, 2], [50, 99]])
  mask = csr([[3, 4], []])
  got = top_k(scorer, np.arange(2), mask, relevant, 95)
  assert not got.hits.any()
  np.testing.assert_array_equal(got.items[0], np.arange(5, 100))
  values = ranking_metrics.per_user(got, [1, 10, 95])
  assert all((v == 0).all() for v in values.values())
  # One place more, and the first relevant item has to come.
  got = top_k(scorer, np.arange(2), mask, relevant, 96)
  assert got.hits[0].tolist() == [False] * 95 + [True]
  assert got.items[0, -1] == 0


def test_the_sign_of_zero_is_ignored():
  # Item 0 is relevant and +0, the rest are -0: an equal score, so they win.
  keys = np.full((4, 1), -0.0)
  keys[0] = 0.0
  got = top_k(factors(np.ones((1, 1)), keys), [0], None, csr([[0]]), 4)
  assert got.items.tolist() == [[1, 2, 3, 0]]
  # And lower ids first among items that are not relevant.
  got = top_k(factors(-np.ones((1, 1)), keys), [0], None, csr([[]]), 4)
  assert got.items.tolist() == [[0, 1, 2, 3]]


def test_masked_items_are_neither_listed_nor_hit():
  scores = np.array([[5.0, 4.0, 3.0]])
  got = top_k(given(scores), [0], csr([[0, 2]]), csr([[0, 1]]), 3)
  assert_same(
    got,
    Ranking(
      np.array([[1, -1, -1]]), np.array([[1, 0, 0]], bool), np.array([2])
    ),
  )


def test_lists_are_sets():
  scores = np.array([[5.0, 4.0, 3.0]])
  got = top_k(given(scores), [0], csr([[2, 2]]), csr([[1, 0, 1, 1]]), 3)
  assert_same(
    got,
    Ranking(np.array([[0, 1, -1]]), np.array([[1, 1, 0]], bool), np.array([2])),
  )


def test_infinite_scores():
  keys = np.array([[np.inf], [1.0], [-np.inf], [2.0]])
  got = top_k(factors(np.ones((1, 1)), keys), [0], None, csr([[2]]), 4)
  assert got.items.tolist() == [[0, 3, 1, -1]]
  assert not got.hits.any()


def test_a_user_may_be_asked_for_twice_or_none_at_all():
  scores = np.random.default_rng(0).normal(size=(3, 9))
  got = top_k(given(scores), [2, 0, 2], None, csr([[1], [], [4, 5]]), 3)
  np.testing.assert_array_equal(got.items[0], got.items[2])
  assert got.relevant.tolist() == [2, 1, 2]
  assert top_k(given(scores), [], None, None, 3).items.shape == (0, 3)


@pytest.mark.parametrize("masked", [False, True])
def test_nan_names_the_user(masked):
  # The only NaN is inf * 0, of user 33 and item 66.
  queries, keys = np.ones((40, 1)), np.ones((70, 1))
  queries[33], keys[66] = np.inf, 0
  scorer = factors(queries, keys)
  mask = csr([[66] * masked] * 40)
  users = np.arange(40)
  with pytest.raises(ValueError, match=r"1 of 40 users .* user 33"):
    top_k(scorer, users, mask, None, 5, user_block=16, item_block=64)
  others = np.delete(users, 33)
  top_k(scorer, others, mask, None, 5, user_block=16, item_block=64)


def test_the_filling_of_the_last_block_makes_no_nan():
  scorer = factors(np.full((1, 1), np.inf), np.ones((3, 1)))
  assert top_k(scorer, [0], None, None, 4).items.tolist() == [[0, 1, 2, -1]]


@pytest.mark.parametrize(
  "change, message",
  [
    ({"k": 0}, "k is 0"),
    ({"user_block": 0}, "user_block is 0"),
    ({"item_block": -1}, "item_block is -1"),
    ({"users": np.array([0, 3])}, "mask: has 3 users, user 3 is asked for"),
    ({"users": np.array([-1])}, "-1 is no user id"),
    ({"mask": csr([[0], [4], []])}, "item 4 at position 1 .* the 4 items"),
    ({"relevant": csr([[], [-1], []])}, "relevant: item -1 at position 0"),
    ({"scorer": factors(np.ones((3, 1)), np.ones((0, 1)))}, "items is 0"),
  ],
)
def test_wrong_arguments_are_named(change, message):
  arguments = {
    "scorer": factors(np.ones((3, 1)), np.ones((4, 1))),
    "users": np.arange(3),
    "mask": csr([[], [], []]),
    "relevant": None,
    "k": 2,
  }
  with pytest.raises(ValueError, match=message):
    top_k(**arguments | change)


def ranking(hits, relevant):
  hits = np.array(hits, bool)
  return Ranking(np.zeros(hits.shape, np.int32), hits, np.array(relevant))


def test_metrics_by_hand():
  # Hits at ranks 2 and 3 of 4; three relevant items.
  got = ranking_metrics.per_user(ranking([[0, 1, 1, 0]], [3]), [1, 2, 4])
  log3 = 1 / np.log2(3)
  expected = {
    "hr": [0, 1, 1],
    "precision": [0, 1 / 2, 2 / 4],
    "recall": [0, 1 / 3, 2 / 3],
    "ndcg": [0, log3 / (1 + log3), (log3 + 1 / 2) / (1 + log3 + 1 / 2)],
    "mrr": [0, 1 / 2, 1 / 2],
    "map": [0, (1 / 2) / 2, (1 / 2 + 2 / 3) / 3],
  }
  for name, values in expected.items():
    for k, value in zip([1, 2, 4], values, strict=True):
      np.testing.assert_allclose(got[f"{name}@{k}"], [value], err_msg=name)
  assert len(got) == 18


def test_a_perfect_list_scores_one():
  # Fewer relevant items than places, and more.
  got = ranking_metrics.per_user(ranking([[1, 1, 0], [1, 1, 1]], [2, 9]), [3])
  for name in ("hr", "ndcg", "mrr", "map"):
    np.testing.assert_allclose(got[f"{name}@3"], 1)
  np.testing.assert_allclose(got["precision@3"], [2 / 3, 1])
  np.testing.assert_allclose(got["recall@3"], [1, 1 / 3])


def test_ndcg_agrees_with_scikit_learn():
  rng = np.random.default_rng(0)
  scores = rng.normal(size=(30, 50)).astype(np.float32)
  gains = rng.random((30, 50)) < 0.2
  relevant = csr([np.nonzero(row)[0] for row in gains])
  got = top_k(given(scores), np.arange(30), None, relevant, 20)
  got = ranking_metrics.summarize(ranking_metrics.per_user(got, [5, 10, 20]))
  assert got["users"] == gains.any(axis=1).sum() == 30
  for k in (5, 10, 20):
    np.testing.assert_allclose(got[f"ndcg@{k}"], ndcg_score(gains, scores, k=k))


def test_users_without_relevant_items_are_not_counted():
  both = ranking([[1, 0], [0, 0], [0, 1]], [1, 0, 2])
  values = ranking_metrics.per_user(both, [2])
  assert np.isnan([v[1] for v in values.values()]).all()
  got = ranking_metrics.summarize(values)
  assert got["users"] == 2
  assert got["mrr@2"] == (1 + 1 / 2) / 2
  assert got["precision@2"] == (1 / 2 + 1 / 2) / 2
  with pytest.raises(ValueError, match="no user has a relevant item"):
    ranking_metrics.summarize(
      ranking_metrics.per_user(ranking([[0, 0]], [0]), [1])
    )


def test_sums_of_parts_add_up():
  rng = np.random.default_rng(0)
  whole = ranking(rng.random((40, 6)) < 0.3, rng.integers(0, 20, 40))
  whole = whole._replace(hits=whole.hits & (whole.relevant[:, None] > 6))
  parts = [Ranking(*(v[s] for v in whole)) for s in (slice(9), slice(9, 40))]
  first, second, both = (
    ranking_metrics.sums(ranking_metrics.per_user(r, [2, 6]))
    for r in (*parts, whole)
  )
  for name, total in both.items():
    np.testing.assert_allclose(first[name] + second[name], total)


@pytest.mark.parametrize("k", [0, 3])
def test_a_cut_off_outside_the_ranking_is_named(k):
  with pytest.raises(ValueError, match=f"cut-off {k}: .* ranks 1 to 2"):
    ranking_metrics.per_user(ranking([[1, 0]], [1]), [1, k])


@pytest.mark.parametrize("item_block", [64, 256])
def test_queries_that_are_the_scores_rank_as_queries_times_keys(item_block):
  rng = np.random.default_rng(7)
  scores = rng.integers(0, 20, (50, 150)).astype(np.float32)  # with ties
  mask, relevant = (csr(draw(rng, 50, 150, 30)) for _ in range(2))
  whole = Scorer(jax.tree_util.Partial(rows_of, jnp.asarray(scores)), None)
  found, expected = (
    top_k(
      scorer,
      np.arange(50),
      mask,
      relevant,
      10,
      user_block=16,
      item_block=item_block,
    )
    for scorer in (whole, given(scores))
  )
  for mine, theirs in zip(found, expected, strict=True):
    np.testing.assert_array_equal(mine, theirs)
