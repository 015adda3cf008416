"""BPR-MF and APR against plain numpy, and as configs on planted data."""

import jax
import numpy as np
import optax
import pytest

from adv_rec.attacks import gradients
from adv_rec.experiments import experiment, options, recommend
from adv_rec.games.recommend import matrix_factorization
from adv_rec.games.supervised import start_at
from adv_rec.models.recommenders import MatrixFactorization
from adv_rec.training import loop, parallel
from adv_rec.training.step import init_state, make_step

KEY = jax.random.key(0)
MODEL = MatrixFactorization(num_users=9, num_items=11, dim=4, scale=0.5)


def triples(steps, batch_size=16):
  """Triples with many repeated users and items."""
  rng = np.random.default_rng(0)
  return {
    "user": rng.integers(0, 5, (steps, batch_size)),
    "positive": rng.integers(0, 5, (steps, batch_size)),
    "negative": rng.integers(3, 11, (steps, batch_size)),
  }


def play(steps=5, *, rate=0.3, **kwargs):
  """Parameters after each step, and the metrics."""
  game = matrix_factorization(MODEL, optax.sgd(rate), **kwargs)
  step = jax.jit(make_step(game))
  state = init_state(game, KEY)
  states, metrics = [state.params["model"]], []
  batches = triples(steps)
  for s in range(steps):
    state, values = step(state, {name: x[s] for name, x in batches.items()})
    states.append(jax.device_get(state.params["model"]))
    metrics.append(jax.device_get(values["model"]))
  return states, metrics


def same(a, b):
  return all(np.array_equal(a[name], b[name]) for name in ("user", "item"))


# He et al. 2018 in numpy, triple by triple.


def bpr_gradients(tables, moved, batch):
  """Mean BPR over the triples at `moved` tables, and its gradient tables."""
  total = 0.0
  grads = {name: np.zeros_like(x) for name, x in tables.items()}
  size = len(batch["user"])
  for u, i, j in zip(*(batch[n] for n in batch), strict=True):
    p, qi, qj = moved["user"][u], moved["item"][i], moved["item"][j]
    x = p @ (qi - qj)
    total += np.log1p(np.exp(-x)) / size
    slope = -1 / (1 + np.exp(x)) / size  # d/dx -ln sigmoid(x)
    grads["user"][u] += slope * (qi - qj)
    grads["item"][i] += slope * p
    grads["item"][j] -= slope * p
  return total, grads


def numpy_apr(tables, batch, epsilon, weight, l2, rate):
  """One step of eq. 6-8; the perturbation is a constant of the gradient."""
  clean, gradient = bpr_gradients(tables, tables, batch)
  moved = {}
  for name, g in gradient.items():
    norm = np.linalg.norm(g, axis=1, keepdims=True)
    delta = epsilon * np.divide(g, norm, out=np.zeros_like(g), where=norm > 0)
    moved[name] = tables[name] + delta
  adversarial, hurt = bpr_gradients(tables, moved, batch)
  penalty = {name: np.zeros_like(x) for name, x in tables.items()}
  fields = (("user", "user"), ("item", "positive"), ("item", "negative"))
  for name, field in fields:
    for row in batch[field]:
      penalty[name][row] += 2 * l2 * tables[name][row] / len(batch["user"])
  new = {
    name: tables[name]
    - rate * (gradient[name] + weight * hurt[name] + penalty[name])
    for name in tables
  }
  return new, clean, adversarial


def test_apr_is_equations_6_to_8():
  settings = {"weight": 0.7, "l2": 0.05, "rate": 0.3}
  states, metrics = play(5, attack=gradients.fgm(0.4), **settings)
  tables = {n: np.asarray(x, np.float64) for n, x in states[0].items()}
  batches = triples(5)
  for s, (state, values) in enumerate(zip(states[1:], metrics, strict=True)):
    batch = {name: x[s] for name, x in batches.items()}
    tables, clean, adversarial = numpy_apr(
      tables, batch, epsilon=0.4, **settings
    )
    for name in tables:
      np.testing.assert_allclose(state[name], tables[name], atol=2e-6)
    np.testing.assert_allclose(values["loss"], clean, rtol=1e-5)
    np.testing.assert_allclose(
      values["adversarial_loss"], adversarial, rtol=1e-5
    )


def test_moving_occurrences_instead_of_rows_is_another_attack():
  """The same in a batch that repeats no row, different in one that does."""
  rows = play(attack=gradients.fgm(0.4))
  occurrences = play(attack=gradients.fgm(0.4), whole_rows=False)
  assert not same(rows[0][1], occurrences[0][1])

  batch = {"user": [0, 1, 2], "positive": [0, 1, 2], "negative": [3, 4, 5]}
  results = []
  for whole in (True, False):
    game = matrix_factorization(
      MODEL, optax.sgd(0.3), attack=gradients.fgm(0.4), whole_rows=whole
    )
    step = jax.jit(make_step(game))
    arrays = {name: np.array(x) for name, x in batch.items()}
    results.append(step(init_state(game, KEY), arrays)[0].params["model"])
  for name in ("user", "item"):
    np.testing.assert_allclose(results[0][name], results[1][name], atol=1e-6)


def test_the_attack_raises_the_loss_more_than_noise():
  rises = {}
  for name, attack in (
    ("fgm", gradients.fgm(0.4)),
    ("random", gradients.random(0.4)),
  ):
    _, metrics = play(12, attack=attack)
    rise = np.array([m["adversarial_loss"] - m["loss"] for m in metrics])
    rises[name] = rise
  assert (rises["fgm"] > 0).all()
  assert (rises["fgm"] > rises["random"]).all()


@pytest.mark.parametrize(
  "nothing",
  [
    {"attack": None},
    {"attack": gradients.fgm(0.5), "weight": 0.0},
    {"attack": gradients.pgd(0.5, 2), "weight": 0.0, "whole_rows": False},
    {"attack": gradients.fgm(0.5), "weight": start_at(99, 1.0)},
  ],
)
def test_without_an_adversary_it_is_bpr_bit_for_bit(nothing):
  plain, _ = play()
  states, _ = play(**nothing)
  assert all(same(a, b) for a, b in zip(plain, states, strict=True))
  assert not same(plain[-1], play(attack=gradients.fgm(0.5))[0][-1])


def test_before_its_start_apr_is_bpr_bit_for_bit():
  plain, _ = play(6)
  states, metrics = play(6, attack=gradients.fgm(0.5), weight=start_at(3, 1.0))
  equal = [same(a, b) for a, b in zip(plain, states, strict=True)]
  assert equal == [True] * 4 + [False] * 3
  started = [m["adversarial_loss"] > 0 for m in metrics]
  assert started == [False] * 3 + [True] * 3


@pytest.mark.parametrize("whole_rows", [True, False])
def test_row_sparse_apr_equals_dense_apr(whole_rows):
  arguments = {
    "attack": gradients.fgm(0.4),
    "whole_rows": whole_rows,
    "l2": 0.01,
  }
  batches = triples(4)
  dense = play(4, **arguments)[0][-1]
  game = matrix_factorization(
    MODEL, optax.sgd(0.3), row_sparse=True, **arguments
  )
  step, state = jax.jit(make_step(game)), init_state(game, KEY)
  for s in range(4):
    batch, fields = {}, {"user": ["user"], "item": ["positive", "negative"]}
    for table, names in fields.items():
      ids = np.stack([batches[name][s] for name in names])
      unique, local = np.unique(ids, return_inverse=True)
      batch |= dict(zip(names, local.reshape(ids.shape), strict=True))
      padding = np.full(20 - len(unique), 128)
      batch[f"{table}_rows"] = np.concatenate([unique, padding])
    state, _ = step(state, batch)
  for name in ("user", "item"):
    np.testing.assert_allclose(
      state.params["model"][name], dense[name], atol=1e-6
    )


# As configs, on planted data.


def config(prepared, **changes):
  made = recommend.matrix_factorization_config()
  made.update({"name": "test", "dataset": "", "batch_size": 64})
  made.update({"epochs": 3, "evaluate_every": 0, "checkpoint_every": 3})
  made.data.prepared = str(prepared)
  made.model.dim = 8
  made.evaluation.ks = (5, 10)
  return options.override(made, changes)


def train(made, workdir):
  """Parameters as the config path trains them, without checks on the disk."""
  built = experiment.build(made, workdir)
  state = loop.train(
    built.game,
    built.batches,
    built.schedule,
    workdir,
    made.seed,
    mesh=parallel.make_mesh(),
    progress=False,
  )
  return jax.device_get(state.params["model"])


@pytest.fixture(scope="module")
def plain(prepared, tmp_path_factory):
  return train(config(prepared), tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
  "changes",
  [
    {"attack.name": "fgm", "attack.epsilon": "0"},
    {"attack.name": "fgm", "attack.weight": "0"},
    {"attack.name": "fgm", "attack.weight": "0", "attack.start": "0.5"},
    {"attack.name": "none", "attack.start": "0.5"},
  ],
)
def test_a_config_without_an_adversary_is_bpr(
  changes, prepared, plain, tmp_path
):
  assert same(train(config(prepared, **changes), tmp_path), plain)


@pytest.mark.parametrize("name", ["fgm", "fgsm", "pgd", "random"])
def test_a_config_with_an_adversary_is_not(name, prepared, plain, tmp_path):
  changes = {"attack.name": name, "attack.relative": "true"}
  assert not same(train(config(prepared, **changes), tmp_path), plain)


def test_bad_settings_are_named(prepared, tmp_path):
  with pytest.raises(ValueError, match=r"attack\.name='fgmm'"):
    experiment.build(config(prepared, **{"attack.name": "fgmm"}), tmp_path)
  with pytest.raises(ValueError, match="optimizer='lion'"):
    experiment.build(config(prepared, optimizer="lion"), tmp_path)
  with pytest.raises(ValueError, match="fit='all'"):
    experiment.build(config(prepared, fit="all"), tmp_path)


@pytest.mark.parametrize("attack", ["none", "fgm"])
def test_planted_tastes_are_found(attack, prepared, tmp_path):
  """Nearly as good as knowing each user's group; popularity is far below."""
  made = config(prepared, epochs="40", checkpoint_every="40")
  options.override(made, {"attack.name": attack, "attack.start": "0.5"})
  made.learning_rate = 0.1
  found = experiment.run(made, tmp_path / "mf", progress=False)["metrics"]

  floor = recommend.default_config()
  floor.update({"dataset": "", "name": "popularity"})
  floor.experiment = "adv_rec.experiments.baselines.popularity"
  floor.data.prepared = str(prepared)
  low = experiment.run(floor, tmp_path / "popularity")["metrics"]
  name = "test/recall@5"
  # Of 64 items a user's group has 16, of which 8 or so are in the history:
  # 5 places among the other 8 hold over half of the two test items.
  assert found[name] > 0.45
  assert low[name] < 0.2
