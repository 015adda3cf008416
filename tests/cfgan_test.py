"""CFGAN against its equations, and as a config on planted data."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adv_rec.data.dataset import Pairs
from adv_rec.experiments import cfgan as experiments
from adv_rec.experiments import experiment, options
from adv_rec.games.cfgan import cfgan
from adv_rec.losses import gan as losses

KEY = jax.random.key(3)
ITEMS = np.array([[0, 2, 7, 7], [1, 3, 4, 5]])  # 7 pads: rows of 7 cells
X = np.array([[1, 0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, 1, 0]], np.float32)


class Constant(nn.Module):
  """Answers a vector of its own, whatever it is given."""

  features: int = 7
  latent: int = 0

  @nn.compact
  def __call__(self, noise, condition):
    own = self.param("own", nn.initializers.zeros, (self.features,))
    return jnp.broadcast_to(own, condition.shape)


class Sum(nn.Module):
  """The logit is the sum of the examples."""

  @nn.compact
  def __call__(self, examples, condition, train=False):
    return self.param("slope", nn.initializers.ones, ()) * examples.sum(-1)


def generator_loss(own, key=KEY, **options):
  game = cfgan(
    Constant(),
    Sum(),
    losses.wasserstein(),
    optax.sgd(1.0),
    optax.sgd(1.0),
    **options,
  )
  params = {"generator": {"own": own}, "discriminator": {"slope": 1.0}}
  batch = {"items": jnp.asarray(ITEMS)}
  return game["generator"].loss(params["generator"], params, batch, key)


def test_without_masks_only_the_rows_cells_are_judged():
  own = np.arange(7.0, dtype=np.float32)
  loss, _ = generator_loss(own)
  np.testing.assert_allclose(loss, -np.mean((X * own).sum(1)))


def test_full_masks_show_everything_and_full_zeros_penalise_the_rest():
  own = np.arange(7.0, dtype=np.float32)
  loss, metrics = generator_loss(
    own, mask_share=1.0, zero_share=1.0, zero_weight=0.5
  )
  zeros = np.mean(((1 - X) * own**2).sum(1))
  np.testing.assert_allclose(metrics["guide"], 0.5 * zeros)
  np.testing.assert_allclose(loss, -own.sum() + 0.5 * zeros)


def test_shares_are_shares_of_the_empty_cells():
  zeros = jax.jit(
    lambda key: generator_loss(
      np.ones(7, np.float32), key, zero_weight=1.0, zero_share=0.3
    )[1]["guide"]
  )
  found = [zeros(jax.random.key(seed)) for seed in range(400)]
  # 5 and 3 empty cells: 4 on average.
  np.testing.assert_allclose(np.mean(found), 0.3 * 4, rtol=0.1)


def test_identity_is_one_for_the_condition_itself_and_chance_for_noise():
  rng = np.random.default_rng(0)
  known = rng.random((200, 50)) < 0.2
  item, user = np.nonzero(known)
  pairs = Pairs(user, item)
  assert experiments.identity(known.astype(float), pairs) == 1.0
  noise = experiments.identity(rng.random(known.shape), pairs)
  assert noise == pytest.approx(0.2, abs=0.03)
  assert experiments.identity(-known.astype(float), pairs) == 0.0


@pytest.mark.parametrize("by", ["item", "user"])
def test_it_learns_the_planted_tastes(by, prepared, tmp_path):
  config = options.override(
    experiments.cfgan_config(),
    {
      "dataset": "planted",
      "data.prepared": str(prepared),
      "by": by,
      "objective": "non_saturating",
      "model.generator": "(8,)",
      "model.discriminator": "(16,)",
      "learning_rate.generator": "0.01",
      "learning_rate.discriminator": "0.001",
      "zero.weight": "0.03",
      "mask": "0.1",
      "batch_size": "16",
      "epochs": "12",
      "evaluate_every": "0",
      "evaluation.ks": "(5,)",
    },
  )
  result = experiment.run(config, tmp_path / "run", progress=False)
  chance = 5 / 56
  assert result["metrics"]["test/recall@5"] > 2 * chance
  assert 0 < result["metrics"]["test/identity"] <= 1
  # Two passes of the one over all rows, then four of the other.
  game = experiment.build(config, tmp_path / "run").game
  assert list(game) == ["discriminator", "generator"]
  judged, made = (player.updates for player in game.values())
  assert made == 2 * judged >= 4 * 56 // 16


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"by": "basket"}, "by='basket': choose item or user"),
    ({"mask": "1.5"}, "mask=1.5: a share, at most 1"),
    ({"zero.weight": "-1.0"}, "zero.weight=-1.0: must be at least 0"),
  ],
)
def test_bad_options_are_refused(given, message, tmp_path):
  config = options.override(experiments.cfgan_config(), given)
  with pytest.raises(ValueError, match=message):
    experiment.run(config, tmp_path / "run", progress=False)
