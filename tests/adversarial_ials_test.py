"""Adversarial iALS: the objective of iALS, from its optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.attacks.gradients import fgm, random, relative
from adv_rec.data.batching import padded_lists
from adv_rec.games.ials import adversarial_ials
from adv_rec.models.ials import Objective, ials
from adv_rec.models.recommenders import MatrixFactorization

OBJECTIVE = Objective(unobserved_weight=0.2, l2=0.3, exponent=0.5)


@pytest.fixture(scope="module")
def fitted(planted_data):
  """The data, the tables of a converged iALS, and all users as one batch."""
  shape = planted_data.num_users, planted_data.num_items
  indptr, items = planted_data.history("train")
  users = np.repeat(np.arange(shape[0]), np.diff(indptr))
  tables = ials(
    users, items, shape, OBJECTIVE, dim=4, epochs=200, key=jax.random.key(0)
  )
  batch = {
    "user": jnp.arange(shape[0]),
    "items": padded_lists(indptr, items, shape[1]),
    "step": 0,
  }
  return shape, (users, items), tables, batch


def game(fitted, **options):
  shape, (_, items), tables, _ = fitted
  return adversarial_ials(
    MatrixFactorization(shape[0], shape[1], 4),
    optax.sgd(0.1),
    OBJECTIVE,
    lambda key: tables,
    jnp.asarray(np.bincount(items, minlength=shape[1])),
    len(items),
    **options,
  )["model"]


def loss(player, params, batch):
  total, metrics = player.loss(params, {}, batch, jax.random.key(1))
  return float(total), {n: float(v) for n, v in metrics.items()}


def test_the_loss_is_that_of_ials(fitted):
  shape, (users, items), tables, batch = fitted
  w, h = np.asarray(tables["user"]), np.asarray(tables["item"])
  x = np.zeros(shape)
  x[users, items] = 1
  scores = w @ h.T
  a, l2, nu = OBJECTIVE
  squares = (x * (scores - 1) ** 2).sum() + a * (scores**2).sum()
  ridge = l2 * (
    ((x.sum(1) + a * shape[1]) ** nu * (w**2).sum(1)).sum()
    + ((x.sum(0) + a * shape[0]) ** nu * (h**2).sum(1)).sum()
  )
  player = game(fitted)
  total, metrics = loss(player, player.init(jax.random.key(0)), batch)
  assert total == pytest.approx((squares + ridge) / len(items), rel=1e-5)
  assert metrics["loss"] == pytest.approx(squares / len(items), rel=1e-5)


def test_without_attack_it_starts_at_an_optimum(fitted):
  player = game(fitted)
  params = player.init(jax.random.key(0))
  gradient = jax.grad(
    lambda p: player.loss(p, {}, fitted[-1], jax.random.key(1))[0]
  )
  away = jax.tree.map(lambda x: 1.1 * x, params)
  at, off = (optax.global_norm(gradient(p)) for p in (params, away))
  assert at < 0.01 * off


@pytest.mark.parametrize("consistency", [False, True])
def test_the_attack_counts_and_its_weight_takes_it_away(fitted, consistency):
  size = relative(0.3)
  batch = fitted[-1]
  plain = game(fitted)
  params = plain.init(jax.random.key(0))
  clean, _ = loss(plain, params, batch)
  # A divergence is flat where it is zero: no gradient to follow.
  attack = random(size) if consistency else fgm(size)
  off = game(fitted, attack=attack, weight=0.0, consistency=consistency)
  assert loss(off, params, batch)[0] == clean
  on = game(fitted, attack=attack, weight=1.0, consistency=consistency)
  total, metrics = loss(on, params, batch)
  if consistency:
    assert total == pytest.approx(clean + metrics["divergence"], rel=1e-5)
    assert metrics["divergence"] > 0
  else:
    ridge = clean - metrics["loss"]
    assert metrics["adversarial_loss"] > 1.05 * metrics["loss"]
    assert total == pytest.approx(
      clean + metrics["adversarial_loss"] + ridge, rel=1e-5
    )
