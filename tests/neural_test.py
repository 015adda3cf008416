"""LightGCN, Mult-VAE and SASRec against formulas, and on planted data."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pytest

from adv_rec.attacks import gradients
from adv_rec.data import batching, writer
from adv_rec.experiments import experiment, neural, options
from adv_rec.games.lightgcn import lightgcn
from adv_rec.games.mult_vae import anneal, mult_vae
from adv_rec.games.recommend import initializer, matrix_factorization
from adv_rec.games.sasrec import sasrec
from adv_rec.losses import divergence
from adv_rec.losses.ranking import next_item
from adv_rec.models.lightgcn import graph, propagate
from adv_rec.models.mult_vae import MultVAE, rows_of
from adv_rec.models.recommenders import MatrixFactorization
from adv_rec.models.sasrec import SASRec, embed

KEY = jax.random.key(0)
USERS, ITEMS = 7, 9
TABLES = MatrixFactorization(USERS, ITEMS, dim=4, scale=0.5)
VAE = MultVAE(ITEMS, hidden=6, latent=3, dropout=0.0)
TRANSFORMER = SASRec(ITEMS, length=5, dim=8, heads=2, scale=0.5)
SGD = optax.sgd(0.1)


def edges():
  """Interactions, one of them twice, that leave user 6 and item 8 out."""
  rng = np.random.default_rng(0)
  users, items = rng.integers(0, 6, 14), rng.integers(0, 8, 14)
  return np.append(users, users[:1]), np.append(items, items[:1])


def first_step(game, batch):
  """The loss as a function of the parameters, and the first parameters."""
  (player,) = game.values()
  batch = {**batch, "step": jnp.int32(0)}
  params = jax.jit(player.init)(KEY)
  return lambda params: player.loss(params, {}, batch, KEY), params


def play(game, batch):
  """Gradients and metrics of the first step."""
  loss, params = first_step(game, batch)
  return jax.jit(jax.grad(loss, has_aux=True))(params)


@functools.cache
def vae_params():
  (player,) = mult_vae(VAE, SGD).values()
  return jax.jit(player.init)(KEY)


@jax.jit
def run_vae(params, items):
  rows = rows_of(jnp.asarray(items), ITEMS)
  outputs: Any = VAE.apply({"params": params}, rows)
  return outputs


# LightGCN.


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_propagation_is_the_mean_of_powers_of_the_adjacency(layers):
  users, items = edges()
  adjacency = np.zeros((USERS + ITEMS, USERS + ITEMS))
  adjacency[users, USERS + items] = adjacency[USERS + items, users] = 1
  degree = np.maximum(adjacency.sum(1), 1)
  normal = adjacency / np.sqrt(degree[:, None] * degree)
  params = initializer(TABLES)(KEY)
  base = np.concatenate([params["user"][:USERS], params["item"][:ITEMS]])
  powers = [np.linalg.matrix_power(normal, k) @ base for k in range(layers + 1)]
  expected = np.mean(powers, axis=0)
  found = propagate(graph(users, items), params, layers)
  np.testing.assert_allclose(found["user"][:USERS], expected[:USERS], atol=1e-6)
  np.testing.assert_allclose(found["item"][:ITEMS], expected[USERS:], atol=1e-6)
  assert not found["user"][USERS:].any() and not found["item"][ITEMS:].any()


def test_gradients_reach_as_far_as_the_layers():
  """A path of users and items; the triple stands at one end of it."""
  users, items = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2])
  batch = {"user": [0], "positive": [0], "negative": [8]}
  batch = {name: np.array(x) for name, x in batch.items()}
  for layers, reached in ((0, 1), (1, 2), (3, 3)):
    smooth = functools.partial(propagate, graph(users, items), layers=layers)
    slopes, _ = play(lightgcn(TABLES, smooth, SGD), batch)
    moved = np.flatnonzero(np.abs(slopes["user"]).sum(1))
    assert moved.tolist() == list(range(reached))


def test_without_layers_it_is_matrix_factorisation():
  users, items = edges()
  batch = {"user": users, "positive": items, "negative": (items + 3) % ITEMS}
  settings = {"l2": 0.1, "attack": gradients.fgm(0.3), "weight": 0.5}
  smooth = functools.partial(propagate, graph(users, items), layers=0)
  found = play(lightgcn(TABLES, smooth, SGD, **settings), batch)
  expected = play(matrix_factorization(TABLES, SGD, **settings), batch)
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, atol=1e-6), found, expected
  )


# Mult-VAE.


def test_kl_to_the_standard_normal_is_the_integral():
  x, step = np.linspace(-30, 30, 200_001, retstep=True)
  means, log_variances = np.array([0.0, 1.5, -2.0]), np.array([0.0, 1.0, -3.0])
  total = 0.0
  for mean, log_variance in zip(means, log_variances, strict=True):
    log_p = -0.5 * ((x - mean) ** 2 / np.exp(log_variance) + log_variance)
    log_q = -0.5 * x**2
    density = np.exp(log_p) / np.sqrt(2 * np.pi)
    total += np.sum(density * (log_p - log_q)) * step
  found = divergence.standard_normal(
    jnp.asarray(means), jnp.asarray(log_variances)
  )
  np.testing.assert_allclose(found, total, rtol=1e-5)


def histories():
  """Rows of one, three and no items, padded by an id past the table."""
  return np.array([[4, 128, 128], [0, 3, 8], [128, 128, 128]])


def test_rows_have_norm_one():
  rows = np.asarray(rows_of(jnp.asarray(histories()), ITEMS))
  np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 0])
  assert np.flatnonzero(rows[1]).tolist() == [0, 3, 8]


def test_the_objective_is_the_elbo_with_a_weighted_kl():
  """Likelihood at the drawn latent factors; beta times the closed form."""
  params = vae_params()
  items = histories()
  _, mean, log_variance = run_vae(params, items)
  kl = np.mean(divergence.standard_normal(mean, log_variance))
  losses = {}
  for beta in (0.0, 0.7):
    (player,) = mult_vae(VAE, SGD, beta=beta).values()
    batch = {"items": items, "step": 0}
    losses[beta] = jax.jit(player.loss)(params, {}, batch, KEY)[0]
  np.testing.assert_allclose(losses[0.7] - losses[0.0], 0.7 * kl, rtol=1e-4)

  # With a posterior of next to no variance the likelihood needs no draw.
  flat = jax.tree.map(jnp.copy, params)
  flat["posterior"]["bias"] = flat["posterior"]["bias"].at[3:].set(-60.0)
  logits, *_ = run_vae(flat, items)
  log_p = np.asarray(jax.nn.log_softmax(logits))
  expected = -(log_p[0, 4] + log_p[1, [0, 3, 8]].sum()) / 3
  (player,) = mult_vae(VAE, SGD, beta=0.0).values()
  found, _ = jax.jit(player.loss)(flat, {}, batch, KEY)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_annealing_is_a_line_and_then_constant():
  beta = anneal(0.2, 4)
  found = [float(beta(jnp.int32(step))) for step in range(6)]
  np.testing.assert_allclose(found, [0.05, 0.1, 0.15, 0.2, 0.2, 0.2], rtol=1e-6)
  assert float(anneal(0.2, 0)(jnp.int32(0))) == pytest.approx(0.2)


def test_the_scorer_of_the_vae_gives_its_logits():
  params = vae_params()
  params = {**params, "bias": jnp.arange(ITEMS, dtype=jnp.float32)}
  scorer = VAE.scorer(params, histories())
  users = jnp.array([1, 0, 1])
  logits, *_ = run_vae(params, histories()[np.array(users)])
  np.testing.assert_allclose(
    scorer.queries(users) @ scorer.keys.T, logits, atol=1e-5
  )


# SASRec.


@pytest.fixture(scope="module")
def hidden():
  """The hidden states at parameters far from symmetric, and these."""
  (player,) = sasrec(TRANSFORMER, SGD, 1.0).values()
  leaves, tree = jax.tree.flatten(jax.jit(player.init)(KEY))
  rng = np.random.default_rng(0)
  params = tree.unflatten(
    [x + 0.3 * rng.normal(size=x.shape).astype(np.float32) for x in leaves]
  )

  @jax.jit
  def run(embedded, there):
    states: Any = TRANSFORMER.apply({"params": params}, embedded, there)
    return states

  return run, params


def run_items(hidden, items):
  run, params = hidden
  return run(embed(params["item"], jnp.asarray(items)), items < ITEMS)


def test_sasrec_is_causal(hidden):
  items = np.array([[3, 1, 4, 1, 5]])
  before = run_items(hidden, items)
  for place in range(5):
    changed = items.copy()
    changed[0, place] = 7
    differs = np.abs(run_items(hidden, changed) - before).max(axis=-1)[0] > 1e-5
    assert not differs[:place].any() and differs[place:].all()


def test_what_stands_in_the_padding_does_not_matter(hidden):
  """A place without an item reaches no other place, whatever is there."""
  run, _ = hidden
  there = np.array([[False, False, True, True, True]])
  base = jax.random.normal(KEY, (1, 5, TRANSFORMER.dim))
  outputs = []
  for padding in (0.0, 5.0):
    embedded = base.at[:, :2].set(padding)
    outputs.append(np.asarray(run(embedded, there))[:, 2:])
  np.testing.assert_array_equal(*outputs)
  assert np.isfinite(outputs[0]).all()


def test_the_scorer_of_sasrec_is_the_last_state_times_the_table(hidden):
  _, params = hidden
  rows = np.array([[9, 9, 2, 0, 8], [128, 128, 128, 128, 128], [1, 2, 3, 4, 5]])
  scorer = TRANSFORMER.scorer(params, rows)
  queries = jax.jit(scorer.queries)(jnp.array([2, 1, 0]))
  expected = run_items(hidden, rows[2:])[0, -1]
  np.testing.assert_allclose(queries[0], expected, atol=1e-5)
  np.testing.assert_array_equal(queries[1], 0.0)  # nothing is known
  np.testing.assert_array_equal(scorer.keys, params["item"][:ITEMS])


def test_next_item_is_minus_the_log_softmax_and_padding_is_free():
  logits = jax.random.normal(KEY, (2, 3, ITEMS))
  items = np.array([[0, 8, 9], [128, 4, 4]])
  found = next_item(logits, jnp.asarray(items))
  p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  for row, place in np.ndindex(2, 3):
    item = items[row, place]
    expected = -np.log(p[row, place, item]) if item < ITEMS else 0.0
    np.testing.assert_allclose(found[row, place], expected, rtol=1e-5)


def test_newest_keeps_the_order_and_the_end():
  rng = np.random.default_rng(0)
  users, items = rng.integers(0, 6, 40), rng.integers(0, 100, 40)
  rows = batching.newest(users, items, num_users=8, length=5, pad=128)
  for user in range(8):
    mine = items[users == user][-5:].tolist()
    assert rows[user].tolist() == [128] * (5 - len(mine)) + mine
  rows = np.array([[9, 9, 9], [9, 9, 1], [9, 1, 2]])
  epoch = batching.sequences(rows, pad=9, seed=0)(3)
  assert epoch["items"].tolist() == [[9, 1, 2]]


# Attacks compose with each of them.


def games(**settings):
  users, items = edges()
  smooth = functools.partial(propagate, graph(users, items), layers=2)
  triples = {"user": users, "positive": items, "negative": (items + 3) % ITEMS}
  sequences = np.array([[128, 1, 2, 3, 4, 5], [8, 7, 6, 5, 4, 3]])
  return {
    "lightgcn": (lightgcn(TABLES, smooth, SGD, **settings), triples),
    "mult_vae": (
      mult_vae(MultVAE(ITEMS, 6, 3, 0.5), SGD, **settings),
      {"items": histories()[:2]},
    ),
    "sasrec": (
      sasrec(SASRec(ITEMS, 5, 8, 1, dropout=0.0), SGD, 4.5, **settings),
      {"items": sequences},
    ),
  }


@pytest.mark.parametrize("name", ["lightgcn", "mult_vae", "sasrec"])
def test_an_attack_raises_its_loss_and_weight_zero_is_plain(name):
  fgm = gradients.fgm(gradients.relative(0.1))
  vat = gradients.vat(gradients.relative(0.1))
  programs = {}
  for form, settings in {
    "loss": {"attack": fgm},
    "consistency": {"attack": vat, "consistency": True},
    "none": {"attack": vat, "consistency": True, "weight": 0},
    "plain": {},
  }.items():
    loss, params = first_step(*games(**settings)[name])
    if form in ("none", "plain"):
      programs[form] = str(jax.make_jaxpr(loss)(params))
      continue
    _, metrics = jax.jit(loss)(params)
    if form == "loss":
      assert metrics["adversarial_loss"] > metrics["loss"]
    else:
      assert 0 < metrics["divergence"] < 1
  assert programs["none"] == programs["plain"]


# As configs, on planted data.


def train(made, prepared, workdir, **changes):
  made.update({"name": "test", "dataset": "", "batch_size": 96})
  made.data.prepared = str(prepared)
  made.evaluation.ks = (1, 5)
  options.override(made, {k: str(v) for k, v in changes.items()})
  made.evaluate_every = made.checkpoint_every = made.epochs
  return experiment.run(made, workdir, progress=False)


@pytest.mark.parametrize("name", ["lightgcn", "mult_vae"])
def test_planted_tastes_are_found(name, prepared, tmp_path):
  """Popularity stays below .2, see tests/recommend_game_test.py."""
  if name == "lightgcn":
    made, changes = neural.lightgcn_config(), {"model.dim": 8, "epochs": 15}
    changes |= {"evaluation.robustness": "(0.5,)"}
  else:
    made, changes = neural.mult_vae_config(), {"epochs": 30}
    changes |= {"model.hidden": 32, "model.latent": 8, "learning_rate": 0.01}
  result = train(made, prepared, tmp_path / "run", **changes)
  assert result["metrics"]["test/recall@5"] > 0.45
  if name == "lightgcn":
    assert {row["attack"] for row in result["robustness"]} >= {"fgm", "random"}


def test_sasrec_finds_a_planted_order(tmp_path):
  """Walks around a ring: the next item follows from the newest one alone."""
  start = np.arange(64)[:, None] * 5
  walks = (start + np.arange(9)) % 24
  users = np.repeat(np.arange(64), 9).reshape(walks.shape)

  def part(*columns):
    at = slice(*columns)
    table = {"user": users[:, at].ravel(), "item": walks[:, at].ravel()}
    return pa.table({**table, "time": np.tile(np.arange(9)[at], 64)})

  writer.write(
    tmp_path / "data",
    "walks",
    {"train": part(0, 8), "test": part(8, 9)},
    pa.table({"id": np.arange(64)}),
    pa.table({"id": np.arange(24)}),
    {"split": "planted"},
  )
  made = neural.sasrec_config()
  changes = {"model.dim": 16, "model.blocks": 1, "model.length": 6}
  changes |= {"epochs": 60, "learning_rate": 0.01, "batch_size": 64}
  result = train(made, tmp_path / "data", tmp_path / "run", **changes)
  assert result["metrics"]["test/recall@1"] > 0.9


@pytest.mark.parametrize(
  "made, changes, message",
  [
    (neural.sasrec_config, {"model.heads": "3"}, r"model\.heads=3.*divide"),
    (neural.sasrec_config, {"model.dropout": "1"}, r"model\.dropout=1\.0"),
    (neural.mult_vae_config, {"kl.weight": "-1"}, r"kl\.weight=-1"),
    (neural.lightgcn_config, {"model.layers": "-1"}, r"model\.layers=-1"),
  ],
)
def test_bad_options_are_named(made, changes, message, tmp_path):
  config = options.override(made(), changes)
  with pytest.raises(ValueError, match=message):
    experiment.build(config, tmp_path)
