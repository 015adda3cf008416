"""IRGAN against its equations, and as a config on planted data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.experiments import experiment, options
from adv_rec.experiments import irgan as experiments
from adv_rec.games import irgan as games
from adv_rec.games.recommend import full_softmax, initializer
from adv_rec.models.recommenders import MatrixFactorization, with_bias

USERS, ITEMS = 3, 5
MODEL = MatrixFactorization(USERS, ITEMS, dim=2, scale=1.0)
PAD = 128  # rows of the tables: past their end
BATCH = {
  "user": jnp.array([2, 0]),
  "items": jnp.array([[1, 4, PAD], [0, 2, 3]]),
  "step": jnp.array(0),
}
OBSERVED = [[1, 4], [0, 2, 3]]


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def game(form, **options):
  rate = optax.sgd(1.0)
  return games.irgan(MODEL, games.FORMS[form], rate, rate, 2.5, **options)


def params_of(seed):
  """Tables and biases of one player, all different."""
  tables = initializer(MODEL)(jax.random.key(seed))
  bias = jax.random.normal(jax.random.key(seed + 100), (PAD,))
  return {**tables, "bias": bias}


EVERYONE = {"discriminator": params_of(1), "generator": params_of(2)}


def scores(params):
  """<user row, item row> + bias of the batch's users, [2, ITEMS]."""
  users = params["user"][BATCH["user"]]
  return users @ params["item"][:ITEMS].T + params["bias"][:ITEMS]


def reward_table(form):
  """The expected reward of each item, from the discriminator's scores."""
  f = np.asarray(scores(EVERYONE["discriminator"]), np.float64)
  if form == "pointwise":
    return 2 * sigmoid(f) - 1
  return np.stack(
    [
      np.mean([2 * sigmoid(row - row[j]) - 1 for j in known], axis=0)
      for row, known in zip(f, OBSERVED, strict=True)
    ]
  )


def gradients(form, count, everyone=EVERYONE, **options):
  """Gradients of the generator's loss with `count` keys, flat [count, P]."""
  loss = game(form, **options)["generator"].loss
  keys = jax.random.split(jax.random.key(5), count)

  @jax.jit
  @jax.vmap
  def gradient(key):
    own = EVERYONE["generator"]
    found, _ = jax.grad(loss, has_aux=True)(own, everyone, BATCH, key)
    return jnp.concatenate([x.ravel() for x in jax.tree.leaves(cut(found))])

  return np.asarray(gradient(keys), np.float64)


def cut(params):
  """Without the padding."""
  return {
    "user": params["user"][:USERS],
    "item": params["item"][:ITEMS],
    "bias": params["bias"][:ITEMS],
  }


@pytest.mark.parametrize("form", games.FORMS)
@pytest.mark.parametrize("baseline", [False, True])
def test_reinforce_is_the_gradient_of_the_expected_reward(form, baseline):
  rewards = reward_table(form)

  def negative_expected_reward(params):
    p = jax.nn.softmax(scores(params) / 0.7)
    return -jnp.mean(jnp.sum(p * rewards, axis=1))

  exact = jax.grad(negative_expected_reward)(cut(EVERYONE["generator"]))
  exact = np.concatenate([x.ravel() for x in jax.tree.leaves(exact)])
  found = gradients(
    form, 10_000, samples=4, known_share=0.3, temperature=0.7, baseline=baseline
  )
  error = found.std(axis=0) / np.sqrt(len(found))
  assert np.abs(exact).max() > 15 * error.max()  # there is something to find
  assert np.all(np.abs(found.mean(axis=0) - exact) <= 5 * error + 1e-6)


def test_the_baseline_lowers_the_variance_where_all_rewards_are_high():
  judge = EVERYONE["discriminator"]
  kind = {**EVERYONE, "discriminator": {**judge, "bias": judge["bias"] + 5.0}}
  without, with_it = (
    gradients("pointwise", 500, kind, samples=8, baseline=b).var(axis=0).sum()
    for b in (False, True)
  )
  assert with_it < 0.5 * without


def test_draws_follow_the_proposal_and_weights_undo_it():
  p = jax.nn.softmax(scores(EVERYONE["generator"]))
  q = games.proposal(p, BATCH["items"], 0.3)
  for row, known, before in zip(q, OBSERVED, p, strict=True):
    uniform = np.isin(np.arange(ITEMS), known) / len(known)
    np.testing.assert_allclose(row, 0.7 * before + 0.3 * uniform, rtol=1e-5)
  count = 100_000
  picks = np.asarray(games.draw(jax.random.key(0), q, count))
  for user in range(2):
    share = np.bincount(picks[user], minlength=ITEMS) / count
    error = np.sqrt(q[user] * (1 - q[user]) / count)
    assert np.all(np.abs(share - q[user]) < 5 * error)
    weighted = share * p[user] / q[user]
    assert np.all(np.abs(weighted - p[user]) < 5 * error * p[user] / q[user])


def test_items_without_probability_are_never_drawn():
  p = jnp.array([[0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
  picks = np.asarray(games.draw(jax.random.key(0), p, 10_000))
  assert set(picks[0]) == {1, 3}
  assert set(picks[1]) == {2}


def test_observed_items_are_chosen_alike():
  found = np.asarray(
    games.choose(jax.random.key(0), BATCH["items"], ITEMS, 60_000)
  )
  for row, known in zip(found, OBSERVED, strict=True):
    ids, counts = np.unique(row, return_counts=True)
    np.testing.assert_array_equal(ids, known)
    np.testing.assert_allclose(counts / len(row), 1 / len(known), rtol=0.03)


@pytest.mark.parametrize("form", games.FORMS)
def test_the_discriminator_loss_by_hand(form):
  # A generator that picks item 3 only.
  sure = {**EVERYONE["generator"], "bias": jnp.zeros(PAD).at[3].set(1e4)}
  own = EVERYONE["discriminator"]
  loss, metrics = game(form, discriminator_l2=0.1)["discriminator"].loss(
    own, {**EVERYONE, "generator": sure}, BATCH, jax.random.key(0)
  )
  f = np.asarray(scores(own), np.float64)
  losses, squares = [], []
  for row, (user, known) in enumerate(zip((2, 0), OBSERVED, strict=True)):
    for i in known:
      real, fake = f[row, i], f[row, 3]
      if form == "pointwise":
        losses.append(-np.log(sigmoid(real)) - np.log(1 - sigmoid(fake)))
      else:
        losses.append(-np.log(sigmoid(real - fake)))
      squares.append(
        sum(
          np.sum(own["user"][user] ** 2)
          + np.sum(own["item"][j] ** 2)
          + own["bias"][j] ** 2
          for j in (i, 3)
        )
      )
  np.testing.assert_allclose(metrics["loss"], np.mean(losses), rtol=1e-5)
  expected = np.mean(losses) + 0.1 * np.mean(squares)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_before_the_start_it_is_the_full_softmax():
  own = EVERYONE["generator"]
  both = [
    game("pointwise", start=3, likelihood_l2=0.2)["generator"].loss,
    full_softmax(MODEL, optax.sgd(1.0), 2.5, l2=0.2)["model"].loss,
  ]
  key = jax.random.key(0)
  early, _ = both[0](own, EVERYONE, {**BATCH, "step": 2}, key)
  plain, _ = both[1](with_bias(own), EVERYONE, BATCH, key)
  np.testing.assert_allclose(early, plain, rtol=1e-6)
  late, _ = both[0](own, EVERYONE, {**BATCH, "step": 3}, key)
  never, _ = game("pointwise")["generator"].loss(own, EVERYONE, BATCH, key)
  np.testing.assert_allclose(late, never, rtol=1e-6)


@pytest.mark.parametrize("form", games.FORMS)
def test_rewards_alone_teach_the_planted_tastes(form, prepared, tmp_path):
  config = options.override(
    experiments.irgan_config(),
    {
      "dataset": "",
      "data.prepared": str(prepared),
      "form": form,
      "model.dim": "8",
      "start": "0",
      "learning_rate.generator": "0.02",
      "learning_rate.discriminator": "0.02",
      "batch_size": "32",
      "epochs": "20",
      "evaluate_every": "0",
      "checkpoint_every": "20",
      "evaluation.ks": "(5,)",
    },
  )
  result = experiment.run(config, tmp_path / "run", progress=False)
  chance = 5 / 56
  assert result["metrics"]["test/recall@5"] > 2 * chance


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"form": "listwise"}, "form='listwise': choose pointwise or pairwise"),
    ({"known_share": "1.0"}, "known_share=1.0: a share, below 1"),
    ({"start": "1.5"}, "start=1.5: a share, at most 1"),
    ({"samples": "1"}, "samples=1: must be at least 2"),
    ({"temperature": "0"}, "temperature=0.0: must be above 0"),
  ],
)
def test_bad_options_are_refused(given, message, tmp_path):
  config = options.override(experiments.irgan_config(), given)
  with pytest.raises(ValueError, match=message):
    experiment.run(config, tmp_path / "run", progress=False)
  assert not (tmp_path / "run").exists()
