"""Predictors: losses in closed form, games, attacks per example, whole runs."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.attacks import gradients
from adv_rec.experiments import answers, attacks, classify, experiment
from adv_rec.experiments.classify import Task
from adv_rec.games import classify as games
from adv_rec.losses import pointwise
from adv_rec.types import Predictor

DIM = 6


def linear(dim=DIM):
  """Log-odds w . x + b of the numbers themselves."""
  return Predictor(
    init=lambda key: {"w": jnp.zeros(dim), "b": jnp.zeros(())},
    lookup=lambda params, batch: {"x": batch["x"]},
    logits=lambda params, batch, inputs, key: (
      inputs["x"] @ params["w"] + params["b"]
    ),
  )


def examples(rows, seed=0):
  """The first number says the label; the others say nothing."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(rows, DIM)).astype(np.float32)
  label = (x[:, 0] + 0.3 * rng.normal(size=rows) > 0).astype(np.float32)
  return {"x": x, "label": label}


def measures(logits, rows):
  return {"accuracy": float(np.mean((logits > 0) == rows["label"]))}


def planted(config, workdir: pathlib.Path):
  """A builder, as configs name it."""
  del workdir
  parts = {"train": 600, "validation": 200, "test": 300}
  task = Task(
    {name: examples(n, seed) for seed, (name, n) in enumerate(parts.items())},
    linear(),
    ("no", "yes"),
    measures,
    "accuracy",
    {"name": "planted", "counts": parts, "fingerprint": "planted"},
    encode=lambda rows: {"x": np.asarray(rows, np.float32)},
    names=lambda rows: [["numbers"]] * len(rows["x"]),
  )
  return classify.classify_experiment(config, task)


def config(**changes):
  made = classify.classify_config()
  made.experiment = "tests.classify_test.planted"
  made.name = made.title = "planted"
  made.update({"batch_size": 40, "epochs": 5, "learning_rate": 0.05})
  made.update_from_flattened_dict(changes)
  return made


@pytest.mark.parametrize("x", [-3.0, -0.2, 0.0, 1.5])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_losses_of_two_classes_are_the_usual_ones(x, y):
  logits, labels = jnp.array([x]), jnp.array([y])
  sign, p = 2 * y - 1, 1 / (1 + np.exp(-x))
  for loss, expected in (
    (pointwise.cross_entropy, np.log1p(np.exp(-sign * x))),
    (pointwise.hinge, max(0.0, 1 - sign * x)),
    (pointwise.squares, 2 * (p - y) ** 2),
  ):
    np.testing.assert_allclose(loss(logits, labels)[0], expected, rtol=1e-5)


def test_losses_of_many_classes():
  logits, labels = jnp.array([[1.0, 2.0, 4.0]]), jnp.array([1])
  p = np.exp([1.0, 2.0, 4.0]) / np.exp([1.0, 2.0, 4.0]).sum()
  one = pointwise.cross_entropy(logits, labels)[0]
  np.testing.assert_allclose(one, -np.log(p[1]), rtol=1e-5)
  assert pointwise.hinge(logits, labels)[0] == 3.0
  squares = ((p - [0, 1, 0]) ** 2).sum()
  np.testing.assert_allclose(
    pointwise.squares(logits, labels)[0], squares, rtol=1e-5
  )


def _loss(**options):
  game = games.classify(
    linear(), pointwise.cross_entropy, optax.sgd(0.1), **options
  )
  params = {"w": jnp.arange(1.0, 1.0 + DIM), "b": jnp.array(0.5)}

  def value(batch):
    batch = {name: jnp.asarray(x) for name, x in batch.items()} | {"step": 0}
    return game["model"].loss(params, {}, batch, jax.random.key(0))[0]

  return value


def test_the_adversarial_loss_of_a_linear_model_is_known():
  rows, epsilon = examples(20), 0.3
  w, b = np.arange(1.0, 1.0 + DIM), 0.5
  margin = (2 * rows["label"] - 1) * (rows["x"] @ w + b)
  for attack, drop in (
    (gradients.fgm(epsilon), np.linalg.norm(w)),
    (gradients.fgsm(epsilon), np.abs(w).sum()),
  ):
    clean = np.log1p(np.exp(-margin)).mean()
    hurt = np.log1p(np.exp(-(margin - epsilon * drop))).mean()
    loss = _loss(attack=attack, weight=0.5)(rows)
    np.testing.assert_allclose(loss, clean + 0.5 * hurt, rtol=1e-5)


def test_no_attack_no_weight_and_free_training_of_no_size_are_plain():
  rows = examples(20)
  plain = _loss()(rows)
  assert _loss(attack=gradients.fgm(1.0), weight=0.0)(rows) == plain
  free = _loss(climb=(gradients.climb(0.0, 3), 3))(rows)
  np.testing.assert_allclose(free, plain, rtol=1e-6)
  # On its way up it is above the plain loss.
  assert _loss(climb=(gradients.climb(0.5, 3), 3))(rows) > plain


def test_examples_without_a_label_count_in_the_divergence_only():
  rows = examples(20)
  half = {**rows, "label": np.where(np.arange(20) < 10, rows["label"], -1)}
  first = {name: x[:10] for name, x in rows.items()}
  np.testing.assert_allclose(_loss()(half), _loss()(first), rtol=1e-6)
  value = _loss(attack=gradients.vat(0.5), consistency=True)
  assert value(half) != value(first)


def test_what_is_not_trainable_stays():
  fixed = linear()._replace(trainable=lambda params: {"w": True, "b": False})
  game = games.classify(fixed, pointwise.cross_entropy, optax.adam(0.1))
  player = game["model"]
  params = player.init(jax.random.key(0))
  state = player.optimizer.init(params)
  grads = {"w": jnp.ones(DIM), "b": jnp.ones(())}
  updates, _ = player.optimizer.update(grads, state, params)
  assert updates["b"] == 0 and np.all(updates["w"] != 0)


def test_whole_puts_all_rows_of_an_example_in_one_ball():
  x = {"x": jnp.ones((3, 4, 5))}
  attack = gradients.whole(gradients.fgm(2.0))
  g = jax.random.normal(jax.random.key(1), (3, 4, 5))
  delta = attack(lambda y: jnp.sum(g * y["x"]), x, jax.random.key(0))["x"]
  norms = np.linalg.norm(np.asarray(delta).reshape(3, -1), axis=1)
  np.testing.assert_allclose(norms, 2.0, rtol=1e-5)


def test_each_example_is_attacked_by_itself():
  """Of a search, each takes the best draw of its own."""
  w = jnp.array([3.0, -1.0])
  x = jnp.zeros((50, 2))
  keys = jax.random.split(jax.random.key(0), 50)
  alone = gradients.each(
    gradients.search(1.0, 64), lambda v, i: (v @ w)[0], x, keys
  )
  reached = np.asarray(alone @ w) / np.linalg.norm(w)
  assert reached.min() > 0.9


def test_a_run_learns_measures_and_is_attacked(tmp_path):
  result = experiment.run(
    config(**{"evaluation.robustness": (0.3,)}), tmp_path, progress=False
  )
  assert result["metrics"]["test/accuracy"] > 0.85
  assert result["dataset"]["protocol"]["fit"] == "train"
  found, state = experiment.restore(tmp_path)
  kinds = {n: attacks.by_name(n) for n in ("fgm", "pgd", "random", "search")}
  rows = found.attack(state, kinds, (0.3, 0.6), "test")
  at = {(r["attack"], r["relative_epsilon"]): r["accuracy"] for r in rows}
  clean = result["metrics"]["test/accuracy"]
  assert all(at[name, 0.0] == clean for name in kinds)
  assert at["fgm", 0.6] < at["fgm", 0.3] < at["random", 0.3]
  # Of a linear model the one step is the best there is.
  assert at["fgm", 0.3] <= min(at["pgd", 0.3], at["search", 0.3])
  assert [r for r in result["robustness"] if r["attack"] == "fgm"]


def test_the_size_of_a_block_changes_nothing():
  rows, params = examples(37), {"w": jnp.arange(1.0, 1 + DIM), "b": 0.1}
  small, large = (
    answers.Apply(linear(), config(**{"evaluation.block": block}))
    for block in (8, 64)
  )
  one, other = small.logits(params, rows), large.logits(params, rows)
  np.testing.assert_allclose(one, other, rtol=1e-6)
  assert one.shape == (37,)


def test_labels_of_one_class_are_refused():
  rows = {**examples(10), "label": np.ones(10, np.float32)}
  task = Task(
    {"train": rows}, linear(), ("no", "yes"), measures, "accuracy", {},
    encode=dict, names=list,
  )  # fmt: skip
  with pytest.raises(ValueError, match=r"one class .only 'yes'"):
    classify.classify_experiment(config(), task)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"loss": "log"}, "loss='log': choose"),
    ({"average": 1.0}, "average=1.0: must be below 1"),
    ({"weight_decay": 0.1, "optimizer": "sgd"}, "goes with optimizer=adam"),
    ({"attack.form": "free"}, "set attack.name=pgd"),
  ],
)
def test_bad_options_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    classify.check(config(**changes))
