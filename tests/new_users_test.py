"""New users: who they are, what is shown of them, and who answers it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pytest

from adv_rec.attacks.gradients import fgm, relative
from adv_rec.data import interactions, planted
from adv_rec.data.cut_histories import cut_histories
from adv_rec.data.dataset import Pairs
from adv_rec.data.protocol import Protocol
from adv_rec.games.user_generator import user_generator
from adv_rec.losses.gan import non_saturating
from adv_rec.models import closed_form
from adv_rec.models.gan import Discriminator
from adv_rec.models.svd import Spectrum
from adv_rec.models.user_generator import (
  UserGenerator,
  answers,
  item_factors,
  scorer,
)
from adv_rec.training.step import init_state, make_step

KEY = jax.random.key(0)
KNOWN = 3


def prepared(tmp_path, **changes):
  pairs = planted.tastes(groups=4, per_user=12)
  log = pa.table(
    {
      "user": pa.array(pairs.user),
      "item": pa.array(pairs.item),
      "time": pa.array(np.arange(len(pairs.user)) // 2),
    }
  )
  source = interactions.Source("tastes", {"log": log})
  protocol = dataclasses.replace(
    Protocol(k_core=0, split="new_users", known=KNOWN), **changes
  )
  return log, interactions.prepare(source, protocol, tmp_path / "data")


def test_of_new_users_the_first_few_are_train(tmp_path):
  log, data = prepared(tmp_path)
  ids = data.users["id"]
  tested, validated = (
    set(ids[np.unique(part.user)]) for part in (data.test, data.validation)
  )
  assert len(tested) == 96 // 5 and len(validated) == (96 - 96 // 5) // 10
  assert not tested & validated
  user, item = (log[name].to_numpy() for name in ("user", "item"))
  order = np.lexsort((item, log["time"].to_numpy(), user))
  for u in range(96):
    mine = item[order][user[order] == u]
    code = int(np.flatnonzero(ids == u)[0])
    shown = data.items["id"][data.train.item[data.train.user == code]]
    few = u in tested | validated
    assert set(shown) == set(mine[:KNOWN] if few else mine)
  # Another draw, other users; and the setting is part of the record.
  _, other = prepared(tmp_path / "other", seed=1)
  assert set(other.users["id"][np.unique(other.test.user)]) != tested
  assert data.protocol["known"] == KNOWN and "seed" in data.protocol
  assert "known" not in Protocol().in_effect()


def test_no_first_few():
  with pytest.raises(ValueError, match="known is 0; it must be at least 1"):
    Protocol(split="new_users", known=0)


def test_what_is_shown_is_drawn_from_the_history():
  indptr = np.array([0, 2, 9, 15])
  items = np.arange(15)
  rows = cut_histories(indptr, items, 99, 4, 0)
  sizes = set()
  for epoch in range(20):
    batch = rows(epoch)
    assert batch["known"].shape == (2, 4)  # the first user has too few
    for known, whole in zip(batch["known"], batch["items"], strict=True):
      shown = known[known < 99]
      assert 1 <= len(shown) == len(set(shown)) <= 4
      assert set(shown) <= set(whole)
      assert (known[len(shown) :] == 99).all()
      sizes.add(len(shown))
  assert sizes == {1, 2, 3, 4}
  assert (rows(3)["known"] == rows(3)["known"]).all()
  assert (rows(3)["known"] != rows(4)["known"]).any()


@pytest.fixture(scope="module")
def tastes():
  """Whole histories of four tastes, 64 items."""
  pairs = planted.tastes(groups=4, per_user=12)
  indptr = np.arange(97) * 12
  rows = cut_histories(indptr, pairs.item, 64, 4, 0)
  spectrum = Spectrum(0.25, 0.25, 5.0)
  user, item = pairs
  return item_factors(user, item, (96, 64), spectrum, dim=8, key=KEY), rows


def play(tastes, steps=100, **options):
  factors, rows = tastes
  model = UserGenerator(8, latent=2, hidden=(16,), dropout=0.0, most=4)
  game = user_generator(model, lambda: factors, optax.adam(0.01), **options)
  step = jax.jit(make_step(game))
  state = init_state(game, KEY)
  for i in range(steps):
    state, metrics = step(state, rows(i))
  return model, state, metrics


def hits(model, params, known):
  """Share of the ten best items, of one's own taste: 1 in 4 by chance."""
  made = scorer(model, params["base"], params["net"], jnp.asarray(known))
  items = jnp.broadcast_to(jnp.arange(64), (len(known), 64))
  scores = made.scores(jnp.arange(len(known)), items)
  best = np.argsort(-np.asarray(scores), axis=1)[:, :10]
  return np.mean(best % 4 == known[:, :1] % 4)


@pytest.mark.parametrize("critic", [0.0, 1.0])
def test_one_item_tells_a_taste(tastes, critic):
  more = {
    "critic": Discriminator((16,)),
    "critic_optimizer": optax.adam(0.01),
    "objective": non_saturating(),
    "critic_weight": critic,
  }
  model, state, metrics = play(tastes, **(more if critic else {}))
  params = state.params["generator"]
  assert ("discriminator" in metrics) == bool(critic)
  known = np.array([[5, 64, 64, 64], [10, 64, 64, 64], [3, 7, 64, 64]])
  assert hits(model, params, known) > 0.8
  for name, table in tastes[0].items():  # the basis is not learned
    assert (table == params["base"][name]).all()


def test_an_attack_counts_and_its_weight_takes_it_away(tastes):
  attack = fgm(relative(0.5))
  plain, off, on = (
    play(tastes, steps=2, **options)
    for options in (
      {},
      {"attack": attack, "attack_weight": 0.0},
      {"attack": attack},
    )
  )
  same = jax.tree.map(
    lambda x, y: bool((x == y).all()), plain[1].params, off[1].params
  )
  assert all(jax.tree.leaves(same))
  metrics = on[2]["generator"]
  assert metrics["adversarial_loss"] > metrics["loss"]


def test_an_answer_is_that_of_least_squares():
  rng = np.random.default_rng(0)
  factors = {
    "leave": jnp.asarray(rng.normal(size=(9, 3)), jnp.float32),
    "share": jnp.asarray(rng.random(9), jnp.float32),
  }
  rows = jnp.asarray(rng.random((4, 9)), jnp.float32)
  want = np.linalg.lstsq(
    factors["leave"], np.asarray(rows - factors["share"]).T, rcond=None
  )[0].T
  assert np.allclose(answers(factors, rows), want, atol=2e-3)


def test_a_segment_has_its_own_ranking():
  pairs = Pairs(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 2, 1, 3, 1]))
  segment = np.array([0, 1, -1, 0])
  params = closed_form.segment_popularity(*pairs, (4, 4), segment)
  scores = closed_form.segment_popularity_scorer(params).queries(jnp.arange(4))
  assert (scores[0] == scores[3]).all()  # of one segment
  assert scores[0, 0] > scores[0, 2]
  assert scores[1, 2] > scores[1, 0]
  # Unknown: everybody's, where item 1 is first.
  assert jnp.argmax(scores[2]) == 1
