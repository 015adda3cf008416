"""ItemKNN, PureSVD and iALS against what their definitions say."""

import dataclasses
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.data import planted
from adv_rec.evaluation import ranking, ranking_metrics
from adv_rec.experiments import experiment, options
from adv_rec.models import ials, item_knn, sparse, svd
from adv_rec.models.recommenders import MatrixFactorization

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEY = jax.random.key(0)
OBJECTIVES = [
  ials.Objective(0.3, 0.05, 1.0),
  ials.Objective(2.0, 3.0, 0.0),
  ials.Objective(0.05, 0.2, 0.5),
]


def random_pairs(shape=(37, 23), n=260, seed=0):
  """Pairs with repetitions, an empty row, an empty column and a long row."""
  rng = np.random.default_rng(seed)
  users = np.append(rng.integers(1, shape[0], n), np.full(shape[1], 3))
  items = np.append(rng.integers(1, shape[1], n), np.arange(shape[1]))
  keep = items != 0
  order = rng.permutation(keep.sum())
  return users[keep][order], items[keep][order]


def dense(users, items, shape):
  x = np.zeros(shape)
  x[users, items] = 1.0
  return x


def scores(scorer, n_users):
  return np.asarray(scorer.queries(jnp.arange(n_users)) @ scorer.keys.T)


def ndcg(scorer, data):
  """nDCG@10 on the test part."""
  ranked = ranking.top_k(
    scorer,
    np.arange(data.num_users),
    data.history("train", "validation"),
    data.history("test"),
    10,
  )
  per_user = ranking_metrics.per_user(ranked, (10,))
  return ranking_metrics.summarize(per_user)["ndcg@10"]


# Sparse rows


@pytest.mark.parametrize("floats", [1, 1 << 14, 1 << 18, 1 << 30])
def test_sparse_rows_hold_the_matrix_in_any_number_of_blocks(floats):
  shape = 90, 75  # rows of more than two pieces
  rng = np.random.default_rng(1)
  users, items = np.nonzero(rng.random(shape) < rng.random((90, 1)) ** 2)
  twice = np.tile(users, 2), np.tile(items, 2)
  matrix = sparse.sparse_rows(*twice, shape, floats)
  held = matrix.columns < shape[1]
  block, piece, _ = np.nonzero(held)
  rows = matrix.rows[block, matrix.owner[block, piece]]
  got = sorted(zip(rows, matrix.columns[held], strict=True))
  assert got == sorted(zip(users, items, strict=True))
  assert (np.diff(matrix.owner, axis=1) >= 0).all()
  table = jnp.asarray(rng.normal(size=(shape[1], 5)), jnp.float32)
  np.testing.assert_allclose(
    sparse.product(matrix, table, shape[0]),
    dense(users, items, shape) @ table,
    rtol=1e-5,
    atol=1e-5,
  )


# iALS


def loss(w, h, x, objective):
  """L of the module's docstring, term by term."""
  weight, l2, exponent = objective
  s = w @ h.T
  ridge = [
    l2 * (x.sum(1 - axis) + weight * x.shape[1 - axis]) ** exponent
    for axis in (0, 1)
  ]
  return (
    (x * (s - 1) ** 2).sum()
    + weight * (s**2).sum()
    + (ridge[0] @ (w**2)).sum()
    + (ridge[1] @ (h**2)).sum()
  )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_solved_row_is_the_weighted_least_squares_solution(objective):
  shape, dim = (37, 23), 6
  users, items = random_pairs(shape)
  x = dense(users, items, shape)
  h = np.random.default_rng(2).normal(size=(shape[1], dim))
  observed = sparse.sparse_rows(users, items, shape, 1 << 15)
  assert len(observed.rows) > 1  # several blocks
  w = ials.solve(jnp.asarray(h, jnp.float32), observed, shape[0], objective)
  weight, l2, exponent = objective
  for u in range(shape[0]):
    # Rows: sqrt(1)(h w - 1) where observed, sqrt(alpha0) h w, sqrt(ridge) w.
    ridge = l2 * (x[u].sum() + weight * shape[1]) ** exponent
    design = np.concatenate(
      [h[x[u] > 0], weight**0.5 * h, ridge**0.5 * np.eye(dim)]
    )
    target = np.zeros(len(design))
    target[: int(x[u].sum())] = 1.0
    expected = np.linalg.lstsq(design, target, rcond=None)[0]
    np.testing.assert_allclose(w[u], expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_half_step_lowers_the_objective(objective):
  shape, dim = (37, 23), 5
  users, items = random_pairs(shape)
  x = dense(users, items, shape)
  by_user = sparse.sparse_rows(users, items, shape, 1)
  by_item = sparse.sparse_rows(items, users, (23, 37), 1)
  rng = np.random.default_rng(3)
  w, h = (rng.normal(size=(n, dim)).astype(np.float32) for n in shape)
  losses = [loss(w, h, x, objective)]
  for _ in range(4):
    w = np.asarray(ials.solve(h, by_user, shape[0], objective))
    losses.append(loss(w, h, x, objective))
    h = np.asarray(ials.solve(w, by_item, shape[1], objective))
    losses.append(loss(w, h, x, objective))
  assert (np.diff(losses) < 1e-5 * losses[-1]).all()
  assert losses[-1] < 0.8 * losses[0]


def test_ials_is_its_half_steps_and_repeats_itself():
  shape, objective = (37, 23), OBJECTIVES[0]
  users, items = random_pairs(shape)

  def fit(key):
    return ials.ials(users, items, shape, objective, dim=5, epochs=3, key=key)

  got, again, other = fit(KEY), fit(KEY), fit(jax.random.key(1))
  item = 0.1 / 5**0.5 * jax.random.normal(KEY, (shape[1], 5))
  user = jnp.zeros(())
  for _ in range(3):
    by_user = sparse.sparse_rows(users, items, shape, 1)
    user = ials.solve(item, by_user, shape[0], objective)
    by_item = sparse.sparse_rows(items, users, (23, 37), 1)
    item = ials.solve(user, by_item, shape[1], objective)
  for name, expected in (("user", user), ("item", item)):
    np.testing.assert_allclose(got[name], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(got[name], again[name])
    assert np.abs(got[name] - other[name]).max() > 1e-3
  assert not np.any(got["user"][0])  # no interactions
  assert not np.any(got["item"][0])


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"objective": ials.Objective(0.0, 1.0)}, "unobserved_weight > 0, got 0"),
    ({"objective": ials.Objective(1.0, -1.0)}, "l2 > 0, got -1"),
    ({"dim": 0}, "dim >= 1, got 0"),
    ({"epochs": 0}, "epochs >= 1, got 0"),
  ],
)
def test_ials_refuses(changes, message):
  given = {"objective": OBJECTIVES[0], "dim": 2, "epochs": 1, "key": KEY}
  with pytest.raises(ValueError, match=message):
    ials.ials(*random_pairs(), shape=(37, 23), **(given | changes))


# PureSVD


@pytest.mark.parametrize("shape", [(37, 23), (20, 70)])
@pytest.mark.parametrize("dim", [1, 18])
def test_pure_svd_is_the_truncated_svd(shape, dim):
  users, items = random_pairs(shape)
  x = dense(users, items, shape)
  params = svd.svd(users, items, shape, dim=dim, key=KEY)
  u, s, vt = np.linalg.svd(x)
  best = (u[:, :dim] * s[:dim]) @ vt[:dim]  # = X V V'
  got = params["user"] @ params["item"].T
  np.testing.assert_allclose(got, best, atol=2e-4)
  np.testing.assert_allclose(
    np.linalg.norm(params["user"], axis=0), s[:dim], rtol=1e-4, atol=1e-5
  )
  gram = params["item"].T @ params["item"]
  np.testing.assert_allclose(gram, np.eye(dim), atol=1e-5)


def test_pure_svd_finds_the_largest_of_many_singular_values():
  # The sketch is much smaller than the matrix here.
  shape, dim = (150, 130), 6
  pairs = planted.tastes(*shape, groups=5, per_user=15)
  params = svd.svd(*pairs, shape, dim=dim, key=KEY)
  s = np.linalg.svd(dense(*pairs, shape), compute_uv=False)
  got = np.linalg.norm(params["user"], axis=0)
  np.testing.assert_allclose(got, s[:dim], rtol=2e-3)
  again = svd.svd(*pairs, shape, dim=dim, key=KEY)
  np.testing.assert_array_equal(params["item"], again["item"])


@pytest.mark.parametrize("dim", [0, 24])
def test_pure_svd_refuses_more_factors_than_there_are(dim):
  with pytest.raises(ValueError, match=f"between 1 and 23, .* got {dim}"):
    svd.svd(*random_pairs(), (37, 23), dim=dim, key=KEY)


@pytest.mark.parametrize("shape", [(37, 23), (20, 70)])
@pytest.mark.parametrize(
  "spectrum", [(0.25, 0.5, 0.0), (0.5, 0.5, 0.3), (0.0, 0.0, 9.0)]
)
def test_svd_equals_its_formula(shape, spectrum):
  users, items = random_pairs(shape)
  x = dense(users, items, shape)
  a, b, l2 = spectrum
  n_user = np.maximum(x.sum(1, keepdims=True), 1) ** a
  n_item = np.maximum(x.sum(0, keepdims=True), 1) ** b
  u, s, vt = np.linalg.svd(x / n_user / n_item, full_matrices=False)
  u, s, vt = u[:, :9], s[:9], vt[:9]
  want = n_user * (u * s**3 / (s**2 + l2)) @ vt * n_item
  params = svd.svd(users, items, shape, svd.Spectrum(*spectrum), dim=9, key=KEY)
  np.testing.assert_allclose(
    params["user"] @ params["item"].T, want, atol=1e-3 * np.abs(want).max()
  )


def test_svd_with_all_factors_is_ridge_regression():
  # Jin et al. 2021: min_W |X - X W|^2 + l2 |W|^2 has W = (X'X + l2)^-1 X'X.
  shape, l2 = (37, 23), 4.0
  x = dense(*random_pairs(shape), shape)
  want = x @ np.linalg.solve(x.T @ x + l2 * np.eye(23), x.T @ x)
  params = svd.svd(
    *random_pairs(shape), shape, svd.Spectrum(l2=l2), dim=23, key=KEY
  )
  np.testing.assert_allclose(params["user"] @ params["item"].T, want, atol=1e-4)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"spectrum": svd.Spectrum(l2=-1.0)}, "l2 >= 0, got -1"),
    ({"sketch": 0.5}, "sketch >= 1, got 0.5"),
    ({"passes": 0}, "passes >= 1, got 0"),
  ],
)
def test_svd_refuses(changes, message):
  with pytest.raises(ValueError, match=message):
    svd.svd(*random_pairs(), (37, 23), dim=2, key=KEY, **changes)


# ItemKNN


def knn_by_hand(x, k, shrink):
  """[U, I] scores by two loops over items."""
  n_items = x.shape[1]
  kept = np.zeros((n_items, n_items))
  for i in range(n_items):
    s = np.zeros(n_items)
    for j in range(n_items):
      both = (x[:, i] * x[:, j]).sum()
      if i != j and both:
        s[j] = both / ((x[:, i].sum() * x[:, j].sum()) ** 0.5 + shrink)
    # The k-th may tie; the lower id wins, as in the model.
    nearest = np.argsort(-s.astype(np.float32), kind="stable")[:k]
    kept[i, nearest] = s[nearest]
  return x @ kept.T


@pytest.mark.parametrize("at_once", [1, 23 * 4, 1 << 24])
@pytest.mark.parametrize(("k", "shrink"), [(3, 0.0), (5, 10.0), (999, 20.0)])
def test_item_knn_equals_the_definition(monkeypatch, at_once, k, shrink):
  monkeypatch.setattr(item_knn, "_FLOATS_AT_ONCE", at_once)
  item_knn._nearest.clear_cache()
  shape = 37, 23
  users, items = random_pairs(shape)
  params = item_knn.item_knn(users, items, shape, neighbours=k, shrink=shrink)
  assert params["neighbours"].shape == (23, min(k, 22))
  np.testing.assert_allclose(
    scores(item_knn.item_knn_scorer(params), shape[0]),
    knn_by_hand(dense(users, items, shape), k, shrink),
    rtol=1e-5,
    atol=1e-6,
  )


@pytest.mark.parametrize(("k", "shrink"), [(0, 1.0), (5, -1.0)])
def test_item_knn_refuses(k, shrink):
  with pytest.raises(ValueError, match=f"got neighbours={k}, shrink={shrink}"):
    item_knn.item_knn(*random_pairs(), (37, 23), neighbours=k, shrink=shrink)


# All of them


def fit_all(data):
  users, items = data.train
  shape = data.num_users, data.num_items
  factors = MatrixFactorization(*shape).scorer
  objective = ials.Objective(0.3, 0.05)
  knn = item_knn.item_knn(users, items, shape, neighbours=20, shrink=5.0)
  factored = svd.svd(users, items, shape, dim=4, key=KEY)
  als = ials.ials(users, items, shape, objective, dim=4, epochs=8, key=KEY)
  return {
    "item_knn": item_knn.item_knn_scorer(knn),
    "pure_svd": factors(factored),
    "ials": factors(als),
  }


def test_planted_tastes_are_found(planted_data):
  # What knowing the taste of everybody gives: equal scores within a group.
  own = (
    np.arange(planted_data.num_users)[:, None] % 4
    == np.arange(planted_data.num_items) % 4
  )
  for name, scorer in fit_all(planted_data).items():
    s = scores(scorer, planted_data.num_users)
    assert s[own].mean() > 2 * np.abs(s[~own]).mean(), name
    # Every item of the group before every other, but for noise.
    better = (s[own].reshape(96, -1).min(axis=1)[:, None] > s) | own
    assert better.mean() > 0.95, name


def test_shuffled_tastes_are_not_found(planted_data):
  # The control: the same counts with items drawn anew find nothing.
  rng = np.random.default_rng(0)
  items = rng.permutation(planted_data.train.item)
  train = planted_data.train._replace(item=items)
  shuffled = dataclasses.replace(planted_data, train=train)
  fitted, control = fit_all(planted_data), fit_all(shuffled)
  for name in fitted:
    real = ndcg(fitted[name], planted_data)
    assert real > 1.5 * ndcg(control[name], shuffled), name


# On public data


def run(name, arg, tmp_path):
  if "ADV_REC_DATA" not in os.environ:
    pytest.skip("needs ADV_REC_DATA, the folder with the published splits")
  config = options.load(ROOT / f"configs/recommend/{name}.py", arg)
  return experiment.run(config, tmp_path, progress=False)["metrics"]


@pytest.mark.parametrize(
  ("name", "arg", "target"),
  [
    ("item_knn", "neighbours=200,shrink=20", [0.393, 0.134, 0.423, 0.619]),
    ("pure_svd", "model.dim=25", [0.416, 0.145, 0.449, 0.647]),
  ],
)
def test_numbers_on_the_split_of_cfgan(name, arg, target, tmp_path):
  metrics = run(name, f"dataset=cfgan_ml100k,{arg}", tmp_path)
  names = ("precision@5", "recall@5", "ndcg@5", "mrr@5")
  got = [metrics[f"test/{name}"] for name in names]
  np.testing.assert_allclose(got, target, atol=0.003)


def test_ials_is_as_good_as_elsewhere(tmp_path):
  metrics = run("ials", "dataset=ml100k_random", tmp_path)
  assert metrics["test/ndcg@10"] > 0.335  # implicit: .324
