"""MMR, penalties and the game of prices against what they are defined to be."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import linprog

from adv_rec.evaluation import ranking
from adv_rec.experiments import experiment, options
from adv_rec.games.item_prices import item_prices, within
from adv_rec.models import reranking
from adv_rec.training.step import init_state
from adv_rec.types import Scorer

ROOT = pathlib.Path(__file__).resolve().parents[1]


def candidates(users=12, items=30, size=8, seed=0):
  """Random candidates, best first, and their scores; popular ones in all."""
  rng = np.random.default_rng(seed)
  scores = rng.gumbel(size=(users, items)) + np.linspace(4, 0, items)
  order = jnp.argsort(-jnp.asarray(scores), axis=1)[:, :size]
  return order, jnp.take_along_axis(jnp.asarray(scores), order, axis=1)


# Maximal marginal relevance


def test_mmr_of_relevance_alone_is_the_order_of_the_scores():
  items, scores = candidates()
  vectors = np.random.default_rng(1).normal(size=(30, 5))
  lists = reranking.mmr(items, scores, vectors, 1.0, 6)
  np.testing.assert_array_equal(lists, items[:, :6])


def test_mmr_by_hand():
  # Items 0 and 1 are one and the same, 2 is a little like them, 3 is not.
  vectors = np.array([[1.0, 0], [2, 0], [0.6, 0.8], [0, 1]])
  items = np.array([[0, 1, 2, 3]])
  scores = np.array([[5.0, 4, 3, 1]])  # relevance 1, .75, .5, 0
  # Second place at weight 1/2: 1 is worth .375 - .5, 2 .25 - .3, 3 0. Third:
  # 1 .375 - .5, 2 .25 - .4.
  np.testing.assert_array_equal(
    reranking.mmr(items, scores, vectors, 0.5, 4), [[0, 3, 1, 2]]
  )
  # At .6: 1 is worth .45 - .4, 2 .3 - .24, 3 0; then 1 the same, 3 - .32.
  np.testing.assert_array_equal(
    reranking.mmr(items, scores, vectors, 0.6, 4), [[0, 2, 1, 3]]
  )


def test_mmr_agrees_with_the_plain_loop():
  items, scores = candidates(users=20)
  vectors = np.abs(np.random.default_rng(2).normal(size=(30, 7)))
  units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  lists = np.asarray(reranking.mmr(items, scores, vectors, 0.4, 5))
  pairs = np.asarray(items), np.asarray(scores)
  for row, mine, score in zip(lists, *pairs, strict=True):
    worth = (score - score.min()) / (score.max() - score.min())
    chosen: list[int] = []
    while len(chosen) < 5:
      likeness = [max([0, *(units[chosen] @ units[item])]) for item in mine]
      values = 0.4 * worth - 0.6 * np.array(likeness)
      values[np.isin(mine, chosen)] = -np.inf
      chosen.append(int(mine[values.argmax()]))
    assert row.tolist() == chosen


def test_places_without_a_candidate_stay_empty():
  items, scores = candidates()
  scores = scores.at[0, 2:].set(-jnp.inf)
  lists = np.asarray(reranking.mmr(items, scores, np.eye(30), 0.5, 4))
  assert sorted(lists[0, :2]) == sorted(items[0, :2])
  assert (lists[0, 2:] == 30).all() and (lists[1:] < 30).all()
  lists = np.asarray(reranking.biased(items, scores, jnp.zeros(30), 4))
  assert lists[0].tolist() == [*items[0, :2], 30, 30]


def test_a_bias_moves_an_item_with_everybody():
  items, scores = candidates()
  lists = reranking.biased(items, scores, jnp.zeros(30), 5)
  np.testing.assert_array_equal(lists, items[:, :5])
  bias = jnp.zeros(30).at[0].set(-100.0)
  lists = np.asarray(reranking.biased(items, scores, bias, 5))
  assert (items == 0).any() and not (lists == 0).any()


@pytest.mark.parametrize("with_keys", [False, True])
def test_lists_come_first_and_the_rest_as_before(with_keys):
  table = jnp.asarray(np.random.default_rng(3).normal(size=(4, 9)))
  base = Scorer(
    jax.tree_util.Partial(
      lambda table, users: table[users], jnp.asarray(table)
    ),
    jnp.eye(9) if with_keys else None,
  )
  lists = jnp.array([[8, 1], [0, 9], [3, 2], [5, 6]])  # 9: nothing there
  scorer = reranking.lists_first(base, lists)
  users = np.arange(4)
  got = ranking.top_k(scorer, users, None, None, 9).items
  before = ranking.top_k(base, users, None, None, 9).items
  for row, old, own in zip(got, before, np.asarray(lists), strict=True):
    first = [item for item in own if item < 9]
    assert row.tolist() == first + [n for n in old if n not in first]


# Prices


def play(game, batch, steps):
  """The adversary's prices after so many steps on one batch."""
  player = game["adversary"]
  params = player.init(jax.random.key(0))

  def step(state, _):
    params, opt_state = state
    grads, metrics = jax.grad(player.loss, has_aux=True)(
      params, {}, batch, None
    )
    updates, opt_state = player.optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), metrics

  start = params, player.optimizer.init(params)
  (params, _), metrics = jax.jit(
    lambda start: jax.lax.scan(step, start, length=steps)
  )(start)
  return params["price"], metrics


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_the_adversary_finds_the_value_of_the_game(strength):
  """Which is that of the problem of whom to show what, as a linear program."""
  items, scores = candidates(users=10, items=15, size=6)
  users, size = items.shape
  places, num_items = 3, 15
  # Variables: shares of each candidate, then which items are covered.
  gains = np.append(scores.ravel(), np.full(num_items, strength))
  covered = np.zeros((num_items, len(gains)))
  covered[np.asarray(items).ravel(), np.arange(items.size)] = -1.0
  covered[np.arange(num_items), items.size + np.arange(num_items)] = 1.0
  whole = np.zeros((users, len(gains)))
  whole[np.arange(items.size) // size, np.arange(items.size)] = 1.0
  exact = linprog(
    -gains,
    A_ub=covered,
    b_ub=np.zeros(num_items),
    A_eq=whole,
    b_eq=np.full(users, places),
    bounds=(0, 1),
  )
  game = item_prices(
    users,
    num_items,
    optax.adam(optax.cosine_decay_schedule(0.05, 800)),
    strength=strength,
    places=places,
  )
  # The loss leaves out what the items shown add, whatever the prices.
  batch = {"item": items, "score": scores}
  price, metrics = play(game, batch, 800)
  assert ((price >= 0) & (price <= 1)).all()
  left_out = strength * places
  value = users * (np.asarray(metrics["value"]) + left_out)
  best = -float(exact.fun)
  assert value[-1] == pytest.approx(best, rel=2e-3)
  assert (value >= best * (1 - 1e-5)).all()  # prices only promise more


def test_a_price_leaves_one_bestseller_to_one_user():
  """An item that all like best, and one for each user that is theirs alone."""
  users = 8
  items = jnp.stack([jnp.array([0, 1 + user]) for user in range(users)])
  own = 0.35 + 0.05 * jnp.arange(users)
  scores = jnp.stack([jnp.ones(users), own], axis=1)
  falling = optax.cosine_decay_schedule(0.05, 300)
  game = item_prices(
    users, 1 + users, optax.adam(falling), strength=0.7, places=1
  )
  price, metrics = play(game, {"item": items, "score": scores}, 300)
  assert metrics["coverage"][0] == 1
  lists = np.asarray(reranking.biased(items, scores, -0.7 * price, 1))
  # Whoever has least else gets it.
  np.testing.assert_array_equal(lists[:, 0], [0, *range(2, 1 + users)])


def test_places_without_a_candidate_cost_nothing():
  items, scores = candidates()
  scores = scores.at[0, 1:].set(-jnp.inf)
  game = item_prices(12, 30, optax.adam(0.05), strength=1.0, places=4)
  batch = {"item": items, "score": scores}
  price, metrics = play(game, batch, 3)
  assert np.isfinite(price).all() and np.isfinite(metrics["value"]).all()
  first = float(scores[0, 0] + scores[1:, :4].sum())
  assert metrics["value"][0] == pytest.approx(first / 12, rel=1e-5)


def test_updates_end_on_the_border():
  optimizer = optax.chain(optax.sgd(1.0), within(0.0, 1.0))
  params = jnp.array([0.5, 0.5, 0.5])
  state = optimizer.init(params)
  gradient = jnp.array([-9.0, 9.0, 0.25])
  updates, _ = optimizer.update(gradient, state, params)
  moved = np.asarray(optax.apply_updates(params, updates))
  np.testing.assert_allclose(moved, [1, 0, 0.25])


# Experiments


def load(name, prepared, arg=""):
  return options.load(
    ROOT / f"configs/{name}.py",
    f"dataset=,data.prepared={prepared},evaluation.ks=(10,),{arg}",
  )


def test_nothing_to_do_is_the_base(prepared, tmp_path):
  """In validation, where the history is what the base was fitted on."""
  metrics = {}
  for name, arg in (
    ("recommend/ease", ""),
    ("diversity/mmr", "weight=1.0"),
    ("diversity/popularity_penalty", "penalty=0.0"),
    ("diversity/item_prices", ""),  # all are 0 at first
  ):
    if name != "recommend/ease":
      arg = f"base=ease,candidates=32,{arg}"
    built = experiment.build(load(name, prepared, arg), tmp_path)
    state = init_state(built.game, jax.random.key(0))
    assert built.evaluate
    metrics[name] = built.evaluate(state)
  base = metrics.pop("recommend/ease")
  for name, values in metrics.items():
    assert values == pytest.approx(base), name


def test_a_run_of_prices_is_read_back(prepared, tmp_path):
  config = load(
    "diversity/item_prices",
    prepared,
    "base=ease,candidates=32,strength=2.0,epochs=50",
  )
  experiment.run(config, tmp_path, progress=False)
  found, state = experiment.restore(tmp_path)
  assert state.params["adversary"]["price"].max() > 0
  assert found.scorer and found.scorer(state).num_items == 64


@pytest.mark.parametrize(
  ("name", "arg", "message"),
  [
    ("mmr", "weight=1.5", "weight=1.5: a share"),
    ("mmr", "candidates=3", "candidates=3: must be at least 10"),
    ("popularity_penalty", "penalty=-1.0", "penalty=-1.0"),
    ("item_prices", "places=50", "places=50"),
    ("item_prices", "base=bpr", "no recommender in closed form"),
    ("item_prices", "base=nothing", "base=nothing: there is no"),
  ],
)
def test_bad_options_are_refused(name, arg, message, prepared, tmp_path):
  with pytest.raises(ValueError, match=message):
    config = load(f"diversity/{name}", prepared, f"candidates=32,{arg}")
    experiment.build(config, tmp_path)
