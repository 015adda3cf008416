"""Repeat purchases: what was bought before may be recommended again."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.data import planted
from adv_rec.data.dataset import Pairs
from adv_rec.experiments import interactions, ranking, recommend
from adv_rec.types import Scorer


def bought_before(data, mask):
  """nDCG@10 of each user's train items first, where test repeats them."""
  data = dataclasses.replace(
    data, test=Pairs(*data.train), protocol={"mask": mask}
  )
  history = np.zeros((data.num_users, data.num_items), np.float32)
  history[data.train.user, data.train.item] = 1
  table = jnp.asarray(history)
  scorer = Scorer(
    jax.tree_util.Partial(lambda table, users: table[users], table),
    jnp.eye(data.num_items),
  )
  config = recommend.default_config().evaluation
  evaluator = ranking.Evaluator(data, config, "test", "train")
  return evaluator.accuracy(scorer)["ndcg@10"]


def test_a_sample_of_users_is_measured_as_they_are_among_all():
  data = planted.dataset()
  scorer = Scorer(
    jax.tree_util.Partial(lambda users: jnp.ones((len(users), 1))),
    jnp.arange(data.num_items, dtype=jnp.float32)[:, None],
  )
  config = recommend.default_config().evaluation

  def measure(users):
    config.users = users
    return ranking.Evaluator(data, config, "test", "train").all(scorer)[1]

  every, some = measure(0), measure(30)
  assert len(every["user"]) == data.num_users and len(some["user"]) == 30
  assert (np.diff(some["user"]) > 0).all()
  for name, values in some.items():
    assert (values == every[name][some["user"]]).all()
  assert (measure(30)["user"] == some["user"]).all()
  assert (measure(1000)["user"] == every["user"]).all()


def test_mask_none_lets_the_history_be_hit():
  data = planted.dataset()
  assert bought_before(data, "none") == 1.0
  assert bought_before(data, "history") == 0.0
  described = interactions.description(
    dataclasses.replace(data, protocol={"mask": "none"}), "train"
  )
  assert described["protocol"]["mask"] == "none"
  assert described["protocol"]["candidates"] == "all items"
