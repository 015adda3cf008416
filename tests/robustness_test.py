"""Robustness curves: the clean metric at zero, the right sizes beyond it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.attacks import gradients
from adv_rec.evaluation import robustness

KEY = jax.random.key(0)
ATTACKS = {"fgm": gradients.fgm, "random": gradients.random}


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=shape), jnp.float32)


TABLES = {"user": 3 * draw(0, 30, 4), "item": draw(1, 50, 4)}
BATCH = {
  "user": np.random.default_rng(2).integers(0, 30, 100),
  "item": np.random.default_rng(3).integers(0, 50, 100),
}


def mean_score(tables, batch):
  """Mean over pairs of a curved function of both rows."""
  products = jnp.sum(
    tables["user"][batch["user"]] * tables["item"][batch["item"]], -1
  )
  return jnp.mean(jax.nn.softplus(products))


def curve(fractions, score=lambda tables: {}, attacks=ATTACKS):
  return robustness.curve(
    attacks,
    gradients.relative,
    fractions,
    lambda tables: mean_score(tables, BATCH),
    TABLES,
    score,
    KEY,
  )


def test_size_zero_is_the_clean_metric():
  def score(tables):
    return {"sum": float(tables["user"].sum())}

  for fractions in ((0.5,), (0.0, 0.5), ()):
    rows = curve(fractions, score)
    zeros = [row for row in rows if row["relative_epsilon"] == 0]
    assert [row["attack"] for row in zeros] == ["fgm", "random"]
    for row in zeros:
      assert row["sum"] == float(TABLES["user"].sum())
      assert row["epsilon"] == {"user": 0.0, "item": 0.0}


def test_sizes_are_in_order_recorded_and_used():
  moved = []

  def score(tables):
    moved.append({name: tables[name] - TABLES[name] for name in TABLES})
    return {}

  rows = curve((1.0, 0.25, 1.0), score)
  assert [(row["attack"], row["relative_epsilon"]) for row in rows] == [
    (attack, size) for attack in ATTACKS for size in (0.0, 0.25, 1.0)
  ]
  attacked = [row for row in rows if row["relative_epsilon"]]
  for row, delta in zip(attacked, moved[1:], strict=True):
    for name, table in TABLES.items():
      median = np.median(np.linalg.norm(table, axis=1))
      radius = row["relative_epsilon"] * median
      np.testing.assert_allclose(row["epsilon"][name], radius, rtol=1e-5)
      met = np.unique(BATCH[name])  # rows without a gradient stay
      lengths = np.linalg.norm(delta[name][met], axis=1)
      np.testing.assert_allclose(lengths, radius, rtol=1e-4)


def test_a_gradient_hurts_more_than_noise_and_more_with_its_size():
  rows = curve(
    (0.1, 0.5, 1.0),
    lambda tables: {"loss": float(mean_score(tables, BATCH))},
  )
  loss = {(r["attack"], r["relative_epsilon"]): r["loss"] for r in rows}
  sizes = (0.0, 0.1, 0.5, 1.0)
  for small, large in itertools.pairwise(sizes):
    assert loss["fgm", large] > loss["fgm", small]
    assert loss["fgm", large] > loss["random", large]


@pytest.mark.parametrize("block", [7, 10, 100, 1000])
def test_mean_over_blocks_is_the_mean_and_its_gradient(block):
  rows = 100 // block * block or 100  # the rest of the last block is left out
  batch = {name: x[:rows] for name, x in BATCH.items()}
  direct = jax.value_and_grad(lambda tables: mean_score(tables, batch))
  blocked = robustness.mean_over(mean_score, BATCH, block)
  expected, found = direct(TABLES), jax.value_and_grad(blocked)(TABLES)

  def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)

  jax.tree.map(close, found, expected)
