"""Attributes hidden from whoever reads representations: LEACE and the game."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.data import batching
from adv_rec.evaluation import attributes
from adv_rec.experiments import experiment, options
from adv_rec.games import removal as games
from adv_rec.models import erasure
from adv_rec.training import loop, parallel

USERS, DIM = 600, 8


def planted(seed=0):
  """Column 0 says the attribute linearly, column 1 by its size only."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(USERS, DIM)).astype(np.float32)
  label = rng.integers(0, 2, USERS)
  x[:, 0] += 1.2 * label
  x[:, 1] = rng.choice([-1, 1], USERS) * (0.4 + label) + 0.4 * x[:, 1]
  return x, label


def told(x, label, name="boosting"):
  chance = attributes.cross_validated(name, x, label, 2, 1)
  return attributes.scores(label, chance)["auc"]


def test_after_leace_nothing_is_correlated_and_no_more_is_changed():
  x, label = planted()
  one_hot = np.eye(2)[label]
  params = erasure.leace(jnp.asarray(x), one_hot)
  erased = np.asarray(erasure.erase(params, x))
  centered = one_hot - one_hot.mean(axis=0)
  np.testing.assert_allclose(erased.T @ centered / USERS, 0, atol=1e-4)
  # A projection of rank 1, oblique: it acts once, and on one direction.
  np.testing.assert_allclose(erasure.erase(params, erased), erased, atol=1e-4)
  assert np.linalg.matrix_rank(x - erased, tol=1e-2) == 1
  assert told(x, label, "logistic") > 0.75
  assert told(erased, label, "logistic") < 0.55
  assert told(erased, label) > 0.8  # what is not linear stays


@pytest.mark.slow
def test_the_game_hides_what_is_not_linear_as_well(tmp_path):
  x, label = planted()
  keys = np.random.default_rng(1).normal(size=(30, DIM)).astype(np.float32)
  filtering = erasure.Filter(32)
  game = games.removal(
    x,
    keys,
    label,
    filtering,
    optax.adam(1e-2),
    optax.adamw(1e-2, weight_decay=0.01),
    hidden=((), (16,)),
    noise=0.5,
  )
  users = np.arange(USERS, dtype=np.int32)
  state = loop.train(
    game,
    batching.stream(lambda epoch: {"user": users}, USERS, USERS),
    loop.Schedule(steps=500, dispatch=100, checkpoint=500),
    tmp_path,
    0,
    mesh=parallel.make_mesh(1, jax.devices()[:1]),
    progress=False,
  )
  apply = games.filtered(filtering, jnp.asarray(x))
  hidden = np.asarray(apply(state.params["recommender"], users))
  assert told(x, label) > 0.85
  for name in ("logistic", "boosting"):
    assert told(hidden, label, name) < 0.7, name
  # Six columns of eight say nothing of it, and are hardly touched.
  change = ((hidden - x) ** 2).mean(axis=0)
  assert change[2:].max() < 0.2 < change[:2].max()


def test_nothing_is_changed_before_the_first_step():
  x, _ = planted()
  filtering = erasure.Filter(4)
  params = filtering.init(jax.random.key(0), jnp.zeros((1, DIM)))["params"]
  apply = games.filtered(filtering, jnp.asarray(x))
  np.testing.assert_allclose(apply(params, jnp.arange(5)), x[:5], atol=1e-5)


def test_one_class_is_refused():
  x, _ = planted()
  with pytest.raises(ValueError, match="one class only"):
    games.removal(
      x,
      x,
      np.zeros(USERS, int),
      erasure.Filter(4),
      optax.sgd(0.1),
      optax.sgd(0.1),
    )


def config_of(prepared, **changes):
  changes = {
    "dataset": "",
    "data.prepared": prepared,
    "attribute": "kind",
    "base.model.dim": 4,
    **changes,
  }
  arg = ",".join(f"{name}={value}" for name, value in changes.items())
  return options.load("configs/portraits/removal.py", arg)


def test_a_run_says_what_attackers_can_tell(prepared, tmp_path):
  config = config_of(prepared, method="leace")
  result = experiment.run(config, tmp_path / "run", progress=False)
  found = result["metrics"]
  assert found["test/majority"] == 0.5
  best = max(found[f"test/{name}_accuracy"] for name in attributes.CLASSIFIERS)
  assert found["test/attack_accuracy"] == best
  assert found["test/above_majority"] == pytest.approx(best - 0.5)
  assert "test/ndcg@10" in found
  assert result["dataset"]["attribute"]["known"] == 64


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"attribute": "shoe"}, "no such column; there are: kind"),
    ({"value": "tall"}, "kind is one of high, low"),
    ({"method": "magic"}, "choose none, leace or adversary"),
    ({"told": 1.5}, "a share, at most 1"),
  ],
)
def test_wrong_options_are_named(changes, message, prepared, tmp_path):
  with pytest.raises(ValueError, match=message):
    experiment.build(config_of(prepared, **changes), tmp_path)
