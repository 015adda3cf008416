"""Networks of texts: words only count, padding never does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.models import text

COUNTS = np.array([0, 5, 40, 30, 20, 10, 3, 2])
NETWORKS = {
  "cnn": text.CNN((2, 3), 5),
  "bigru": text.BiGRU(4),
  "transformer": text.Transformer(12, 1, 2),
}


def tokens(lengths, width, seed=0):
  rng = np.random.default_rng(seed)
  rows = np.zeros((len(lengths), width), np.int32)
  for row, length in zip(rows, lengths, strict=True):
    row[:length] = rng.integers(1, len(COUNTS), length)
  return rows


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_nothing(name):
  predictor = text.predictor(NETWORKS[name], COUNTS, 4, 1.0, normalized=True)
  params = predictor.init(jax.random.key(0))
  # Of a bias alone, padded places would have a say.
  params = jax.tree.map(lambda x: x + 0.1, params)
  rows = tokens([0, 1, 2, 5, 7], 7)

  @jax.jit
  def answers(tokens, noise):
    batch = {"tokens": tokens}
    inputs = predictor.lookup(params, batch)
    there = (tokens != 0)[..., None]
    moved = inputs + jnp.where(there, 0.0, noise)
    return predictor.logits(params, batch, moved, None)

  short = answers(rows, 0.0)
  assert short.shape == (5,) and np.isfinite(short).all()
  wide = np.pad(rows, ((0, 0), (0, 5)))
  np.testing.assert_allclose(answers(wide, 7.0), short, atol=1e-6)
  # Alone in a batch, and as long as it is.
  for row, expected in zip(rows[1:], short[1:], strict=True):
    alone = answers(row[None, row != 0], 0.0)
    np.testing.assert_allclose(alone[0], expected, atol=1e-6)


def dense(x, there, *kernels):
  """The same as `text.largest`, window by window."""
  return np.concatenate([dense_one(x, there, k) for k in kernels], axis=1)


def dense_one(x, there, kernel):
  width = len(kernel) // x.shape[-1]
  best = []
  for sentence, length in zip(x, there.sum(1), strict=True):
    padded = np.pad(sentence[:length], ((width - 1, width - 1), (0, 0)))
    windows = [
      padded[t : t + width].ravel() @ kernel for t in range(length + width - 1)
    ]
    best.append(
      np.max(windows, axis=0) if length else np.zeros(kernel.shape[1])
    )
  return np.array(best)


def test_the_largest_value_and_its_gradient_are_those_of_a_convolution():
  rng = np.random.default_rng(1)
  there = np.arange(6) < np.array([[6], [1], [0], [4]])
  x = np.where(there[..., None], rng.normal(size=(4, 6, 3)), 0.0)
  # Of three widths, in no order, and with as many filters as they like.
  shapes = (9, 5), (3, 2), (12, 4)
  kernels = [jnp.asarray(rng.normal(size=shape)) for shape in shapes]
  x, there = jnp.asarray(x), jnp.asarray(there)
  found = text.largest(x, there, tuple(kernels))
  np.testing.assert_allclose(found, dense(x, there, *kernels), atol=1e-5)
  weight = rng.normal(size=found.shape).astype(np.float32)

  def value(x, *kernels):
    return jnp.sum(weight * text.largest(x, there, kernels))

  gradients = jax.jit(jax.grad(value, (0, 1, 2, 3)))(x, *kernels)
  for argument, gradient in enumerate(gradients):
    way = rng.normal(size=gradient.shape)
    if argument == 0:
      way = np.where(there[..., None], way, 0.0)
    ends = []
    for step in (1e-6, -1e-6):  # so short that no maximum moves elsewhere
      moved = [np.asarray(a, np.float64) for a in (x, *kernels)]
      moved[argument] = moved[argument] + step * way
      ends.append(np.sum(weight * dense(moved[0], there, *moved[1:])))
    slope = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(np.sum(gradient * way), slope, rtol=1e-3)


def test_normalized_words_have_mean_0_and_variance_1_by_frequency():
  predictor = text.predictor(
    NETWORKS["cnn"], COUNTS, 4, scale=3.0, normalized=True
  )
  params = predictor.init(jax.random.key(2))
  rows = np.arange(1, len(COUNTS))[None]
  words = predictor.lookup(params, {"tokens": rows})[0]
  weight = (COUNTS / COUNTS.sum())[1:, None]
  np.testing.assert_allclose((weight * words).sum(0), np.zeros(4), atol=1e-5)
  np.testing.assert_allclose((weight * words**2).sum(0), np.ones(4), atol=1e-4)
  # However large the table grows, the network sees the same.
  grown = {**params, "word": 50 * params["word"] + 1}
  again = predictor.lookup(grown, {"tokens": rows})[0]
  np.testing.assert_allclose(again, words, atol=1e-3)


def test_more_classes_have_a_logit_each_and_dropout_is_of_training_only():
  network = text.CNN((2,), 3, classes=4)
  predictor = text.predictor(network, COUNTS, 4, 1.0, word_dropout=0.5)
  params = predictor.init(jax.random.key(0))
  batch = {"tokens": tokens([5] * 8, 5)}
  inputs = predictor.lookup(params, batch)
  calm = predictor.logits(params, batch, inputs, None)
  assert calm.shape == (8, 4)
  one, other = (
    predictor.logits(params, batch, inputs, jax.random.key(k)) for k in (0, 1)
  )
  assert not np.allclose(one, other)
  np.testing.assert_array_equal(
    calm, predictor.logits(params, batch, inputs, None)
  )


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_which_word_decides(name):
  predictor = text.predictor(NETWORKS[name], COUNTS, 8, 1.0)
  rows = tokens(np.random.default_rng(3).integers(2, 7, 64), 7)
  label = (rows == 4).any(axis=1).astype(np.float32)
  batch = {"tokens": rows}
  optimizer = optax.adam(0.02)

  def loss(params, key):
    inputs = predictor.lookup(params, batch)
    logits = predictor.logits(params, batch, inputs, key)
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, label))

  @jax.jit
  def train(params):
    def step(carry, key):
      params, state = carry
      gradient = jax.grad(loss)(params, key)
      updates, state = optimizer.update(gradient, state)
      return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(1), 120)
    start = params, optimizer.init(params)
    return jax.lax.scan(step, start, keys)[0][0]

  params = train(predictor.init(jax.random.key(0)))
  logits = predictor.logits(
    params, batch, predictor.lookup(params, batch), None
  )
  assert np.mean((logits > 0) == label) > 0.95
