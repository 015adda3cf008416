"""Explanations against models whose explanation is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.attacks import gradients
from adv_rec.evaluation import explanations

FIELDS, WORDS, DIM = 2, 4, 3
P = FIELDS + WORDS


def inputs(seed, num=1):
  """Two kinds of positions: [N, 2, 3] and [N, 4, 3]."""
  rng = np.random.default_rng(seed)
  return {
    "fields": jnp.asarray(rng.normal(size=(num, FIELDS, DIM)), jnp.float32),
    "words": jnp.asarray(rng.normal(size=(num, WORDS, DIM)), jnp.float32),
  }


WEIGHTS = inputs(7)


def linear(x):
  products = jax.tree.map(lambda x, w: jnp.sum(x * w, (1, 2)), x, WEIGHTS)
  return products["fields"] + products["words"] + 0.3


def curved(x):
  """With interactions between positions of both kinds."""
  both = jnp.sum(x["fields"], (1, 2)) * jnp.sum(x["words"][:, :2], (1, 2))
  return jnp.tanh(linear(x)) + 0.5 * both


def of_linear(x, references):
  """Its one explanation: w . (x - mean of the references), by position."""
  shift = jax.tree.map(lambda x, r: x - jnp.mean(r, 0), x, references)
  parts = jax.tree.map(lambda d, w: jnp.sum(d * w, -1)[0], shift, WEIGHTS)
  return np.concatenate([parts["fields"], parts["words"]])


X, REFERENCES = inputs(0), inputs(1, 5)


@pytest.mark.parametrize("score", [linear, curved])
def test_integrated_gradients_are_complete(score):
  found = explanations.integrated_gradients(score, X, REFERENCES)
  gain = jnp.mean(score(X)) - jnp.mean(score(REFERENCES))
  assert found.gap < 1e-3
  np.testing.assert_allclose(found.values.sum(), gain, atol=1e-3)
  assert explanations.positions(X) == len(found.values) == P


def test_integrated_gradients_of_too_few_steps_say_so():
  def steep(x):
    return jax.nn.sigmoid(40 * linear(x))

  few = explanations.integrated_gradients(steep, X, REFERENCES, steps=2)
  assert few.gap > 0.01


def test_explanations_of_a_linear_model_are_its_terms():
  value = explanations.subsets(linear, X, REFERENCES)
  terms = of_linear(X, REFERENCES)
  gradient = explanations.integrated_gradients(linear, X, REFERENCES)
  np.testing.assert_allclose(gradient.values, terms, atol=1e-4)
  lime = explanations.local_surrogate(value, P, 400, l2=1e-6)
  np.testing.assert_allclose(lime.values, terms, atol=1e-2)


def test_shapley_values_are_exact_of_terms_and_pairs():
  pytest.importorskip("shap", reason="the extra explain is not installed")
  value = explanations.subsets(linear, X, REFERENCES)
  found = explanations.shapley(value, P, 200)
  np.testing.assert_allclose(found.values, of_linear(X, REFERENCES), atol=1e-4)
  assert found.gap < 1e-5

  def pair(kept):  # of positions 0 and 3, which share it
    return 2.0 * kept[:, 0] * kept[:, 3] + 1.0 * kept[:, 5]

  shared = explanations.shapley(pair, P, 200)
  np.testing.assert_allclose(shared.values, [1, 0, 0, 1, 0, 1], atol=1e-9)


def test_the_closest_turn_of_a_linear_model_is_its_distance():
  flat = jnp.asarray([[0.5, -1.0, 2.0]])
  w = jnp.asarray([3.0, 0.0, 4.0])

  def score(x):
    return x @ w

  key, distance = jax.random.key(0), float(score(flat)[0]) / 5.0
  found = explanations.closest(score, flat, gradients.fgm, 10.0, key)
  assert found is not None and found.score <= 0
  np.testing.assert_allclose(found.epsilon, distance, rtol=1e-4)
  np.testing.assert_allclose(found.shift, [distance], rtol=1e-4)
  signs = explanations.closest(score, flat, gradients.fgsm, 10.0, key)
  assert signs is not None
  np.testing.assert_allclose(signs.epsilon, 9.5 / 7, rtol=1e-4)
  assert (
    explanations.closest(score, flat, gradients.fgm, 0.9 * distance, key)
    is None
  )


def test_the_fewest_positions_are_a_smallest_set():
  terms = np.array([3.0, -1.0, 2.0, 2.0, 0.1])

  def value(kept):
    return kept @ terms - 2.5

  # All is 3.6; without 3 it is .6, and then one 2 turns it.
  assert explanations.fewest(value, terms).tolist() == [0, 2]
  # An explanation in a bad order: what proves superfluous is put back.
  bad = explanations.fewest(value, np.array([1.0, 0.0, 2.0, 3.0, 9.0]))
  assert sorted(bad) == [2, 3]
  assert explanations.fewest(lambda kept: kept @ terms + 5.0, terms) is None


def test_a_planted_explanation_is_more_faithful_than_random_orders():
  planted = np.r_[np.full(3, 4.0), np.full(17, 0.1)]

  def value(kept):
    return np.tanh(kept @ planted)

  ours = explanations.faithfulness(value, planted)
  chance = explanations.random_orders(value, 20, seed=0)
  assert ours.deletion_area < chance.deletion_area - 0.1
  assert ours.insertion_area > chance.insertion_area + 0.02
  assert ours.deletion[0] == ours.insertion[-1] == value(np.ones((1, 20)))[0]
  assert ours.deletion[-1] == ours.insertion[0] == 0.0
  worst = explanations.faithfulness(value, -planted)
  assert worst.deletion_area > chance.deletion_area


def test_a_history_explains_a_query_that_is_the_sum_of_its_keys():
  rng = np.random.default_rng(3)
  keys, key = rng.normal(size=(5, 12)), rng.normal(size=12)
  found = explanations.by_history(keys.sum(axis=0), keys, key)
  np.testing.assert_allclose(found.values, keys @ key, atol=1e-2)
  assert found.gap < 1e-2
  other = explanations.by_history(rng.normal(size=12), keys, key)
  assert other.gap > 1e-2, "what the history does not explain is said"
