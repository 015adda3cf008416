"""Models against their textbook formulas, in float64 numpy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.data import planted
from adv_rec.evaluation.ranking import top_k
from adv_rec.games.recommend import full_softmax
from adv_rec.losses import ranking
from adv_rec.models import closed_form
from adv_rec.models.recommenders import (
  MatrixFactorization,
  batch_rows,
  inner,
  padded,
  whole_tables,
)
from adv_rec.models.sparse import sparse_rows


def scores(scorer, users):
  items = np.tile(np.arange(scorer.num_items), (len(users), 1))
  return np.asarray(scorer.scores(jnp.asarray(users), items))


def textbook_ease(history, l2):
  """Steck 2019, eq. 8: B = -P / diag(P) off the diagonal; scores X B."""
  x = history.astype(np.float64)
  p = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
  b = -p / np.diag(p)
  np.fill_diagonal(b, 0.0)
  return x @ b


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40)])
@pytest.mark.parametrize("l2", [0.5, 20.0])
def test_ease_is_the_textbook_formula_by_either_system(shape, l2):
  rng = np.random.default_rng(0)
  history = rng.random(shape) < 0.2
  history[:, 3] = False  # an item nobody has
  history[5] = False  # a user without history
  users, items = np.nonzero(history)
  repeated = np.r_[users, users[:9]], np.r_[items, items[:9]]
  params = closed_form.ease(*repeated, shape, l2)
  found = scores(closed_form.fitted_scorer(params), np.arange(shape[0]))
  # All scores, those of history items included.
  np.testing.assert_allclose(found, textbook_ease(history, l2), atol=1e-4)


@pytest.mark.parametrize("solve", ["_ease_by_users", "_ease_by_items"])
def test_both_ease_systems_solve_any_shape(solve):
  rng = np.random.default_rng(1)
  for shape in ((12, 20), (20, 12)):
    history = rng.random(shape) < 0.3
    users, items = np.nonzero(history)
    found = getattr(closed_form, solve)(
      sparse_rows(users, items, shape, 8),
      sparse_rows(items, users, shape[::-1], 8),
      shape,
      3.0,
    )
    np.testing.assert_allclose(found.T, textbook_ease(history, 3.0), atol=1e-4)


def test_ease_needs_a_penalty():
  pairs = planted.tastes(num_users=8, num_items=16, per_user=4)
  for l2 in (0.0, -1.0):
    with pytest.raises(ValueError, match="l2 > 0"):
      closed_form.ease(*pairs, (8, 16), l2)


def test_popularity_counts():
  items = np.array([2, 0, 2, 5, 2])
  params = closed_form.popularity(items, 7)
  np.testing.assert_array_equal(params["counts"], [1, 0, 3, 0, 0, 1, 0])
  found = scores(closed_form.popularity_scorer(params), [4, 0])
  np.testing.assert_array_equal(found, [[1, 0, 3, 0, 0, 1, 0]] * 2)


def made(num_users=5, num_items=130, **kwargs):
  model = MatrixFactorization(num_users, num_items, dim=3, **kwargs)
  empty = jnp.zeros(1, int)
  variables: Any = model.init(jax.random.key(0), empty, empty)
  return model, variables["params"]


def test_matrix_factorization_scores_pairs_and_rankings_alike():
  model, params = made(scale=1.0)
  users, items = np.divmod(np.arange(5 * 130), 130)
  pairs = model.apply({"params": params}, users, items).reshape(5, 130)
  ranked = scores(model.scorer(params), np.arange(5))
  assert ranked.shape == (5, 130)
  np.testing.assert_allclose(pairs, ranked, rtol=1e-5)
  expected = (
    np.asarray(params["user"], np.float64)[:5]
    @ np.asarray(params["item"], np.float64)[:130].T
  )
  np.testing.assert_allclose(ranked, expected, rtol=1e-4, atol=1e-5)


def test_rows_of_padding_are_zero_and_never_recommended():
  model, params = made(scale=0.5)
  assert params["user"].shape == (128, 3) and params["item"].shape == (256, 3)
  for table, rows in (("user", 5), ("item", 130)):
    assert (np.linalg.norm(params[table][:rows], axis=1) > 0).all()
    assert not params[table][rows:].any()
  assert 0.4 < np.std(params["item"][:130]) < 0.6
  # Even where they would win, and lists are longer than the catalogue.
  params = {**params, "item": params["item"].at[130:].set(1e6)}
  lists = top_k(model.scorer(params), np.arange(5), None, None, 200).items
  assert np.sort(lists[:, :130], axis=1).tolist() == [list(range(130))] * 5
  assert (lists[:, 130:] == -1).all()


def test_padding_divides_among_devices():
  assert [padded(n) for n in (1, 127, 128, 129)] == [128, 128, 128, 256]


def test_lookups_give_the_rows_of_the_batch():
  _, params = made(scale=1.0)
  batch = {
    "user": np.array([4, 0]),
    "positive": np.array([129, 2]),
    "negative": np.array([2, 2]),
  }
  rows = batch_rows(whole_tables(params, batch), batch)
  for name, table in (
    ("user", "user"),
    ("positive", "item"),
    ("negative", "item"),
  ):
    np.testing.assert_array_equal(rows[name], params[table][batch[name]])
  np.testing.assert_allclose(
    inner(rows["user"], rows["positive"]),
    (rows["user"] * rows["positive"]).sum(1),
    rtol=1e-6,
  )


# Losses.


def test_bpr_is_minus_log_sigmoid_far_out_as_well():
  difference = np.array([-200.0, -3.0, 0.0, 0.5, 200.0])
  expected = np.logaddexp(0.0, -difference)
  found = ranking.bpr(jnp.asarray(difference) + 1.0, jnp.ones(5))
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-30)
  slopes = jax.vmap(jax.grad(ranking.bpr))(
    jnp.asarray(difference), jnp.zeros(5)
  )
  np.testing.assert_allclose(
    slopes, -1 / (1 + np.exp(difference)), rtol=1e-5, atol=1e-30
  )


def test_multinomial_sums_the_log_likelihoods_of_the_items():
  logits = np.random.default_rng(0).normal(size=(3, 6)) * 4
  items = np.array([[0, 5, 2], [1, 6, 6], [9, 7, 6]])  # 6 and more: padding
  softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  expected = [
    -sum(np.log(softmax[u, i]) for i in row if i < 6)
    for u, row in enumerate(items)
  ]
  found = ranking.multinomial(jnp.asarray(logits), jnp.asarray(items))
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_full_softmax_is_the_loss_per_interaction_of_real_items():
  model, params = made(scale=1.0)
  batch = {
    "user": np.array([3, 1]),
    "items": np.array([[0, 129, 256], [7, 256, 256]]),
    "step": 0,
  }
  game = full_softmax(model, optax.identity(), 1.5, temperature=2.0, l2=0.1)
  total, metrics = game["model"].loss(params, {}, batch, jax.random.key(0))
  user, item = (np.asarray(params[n], np.float64) for n in ("user", "item"))
  logits = user[[3, 1]] @ item[:130].T / 2.0
  log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
  loss = -(log_p[0, 0] + log_p[0, 129] + log_p[1, 7]) / 3
  np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
  penalty = (user[[3, 1]] ** 2).sum() / 2 + (item[[0, 129, 7]] ** 2).sum() / 3
  np.testing.assert_allclose(total, loss + 0.1 * penalty, rtol=1e-5)


def test_personal_popularity_is_the_own_count_then_that_of_all():
  users, items = np.array([0, 0, 0, 1, 1, 2]), np.array([3, 3, 1, 2, 1, 1])
  params = closed_form.personal_popularity(users, items, (4, 5))
  found = scores(closed_form.fitted_scorer(params), np.arange(4))
  counts = np.zeros((4, 5))
  np.add.at(counts, (users, items), 1)
  np.testing.assert_allclose(found, counts + counts.sum(axis=0) / 4, rtol=1e-6)
