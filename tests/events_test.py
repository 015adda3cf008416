"""Sequences of events: logs, codes, models, measures, the game."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pytest

from adv_rec.data import event_codes, events
from adv_rec.data.event_codes import AMOUNT, GAP, KIND
from adv_rec.evaluation import events as measures
from adv_rec.games import sequences as games
from adv_rec.losses import gan as losses
from adv_rec.models import event_chains
from adv_rec.models.events import (
  Chain,
  Critic,
  Recurrent,
  Sizes,
  log_likelihood,
  one_hot,
  rollout,
  to_codes,
)
from adv_rec.training.step import init_state, make_step

KEY = jax.random.key(5)
SMALL = Sizes(3, 2, 2)
NAMES = ["customer", "what", "aisle", "when", "paid"]


def table(users=40, seed=0):
  """View, then mostly buy, of one aisle at a moment; rare aisles; a gift."""
  rng = np.random.default_rng(seed)
  rows = []
  for user in range(users):
    time = np.datetime64("2024-03-01T08:00:00", "s")
    for _ in range(rng.integers(1, 9)):
      aisle = rng.choice(["tea", "milk", "soap", "rope", "nuts"], p=RARE)
      rows.append((f"u{user}", "view", aisle, time, 0.0))
      if rng.random() < 0.8:
        paid = round(float(rng.gamma(2, 9)), 2)
        rows.append((f"u{user}", "buy", aisle, time, paid))
      time = time + rng.integers(3_600, 900_000)
  columns = [pa.array(x) for x in zip(*rows, strict=True)]
  return pa.table(dict(zip(NAMES, columns, strict=True)))


RARE = [0.45, 0.35, 0.14, 0.04, 0.02]


@pytest.fixture(scope="module")
def log():
  return events.make(table())


@pytest.fixture(scope="module")
def coding(log):
  return event_codes.fit(log, max_categories=3, bins=4)


def rng():
  return np.random.default_rng(1)


def test_a_log_does_not_depend_on_the_order_of_its_source(log):
  rows = np.random.default_rng(3).permutation(log.table.num_rows)
  twice = pa.concat_tables([log.table, log.table])
  twice = twice.set_column(4, "paid", pa.array(np.arange(2.0 * len(rows))))
  once = events.make(twice)
  other = events.make(twice.take(np.append(rows, rows + len(rows))))
  assert once.table.equals(other.table)


def test_rare_categories_share_a_kind(coding):
  names = {(kind.type, kind.categories) for kind in coding.kinds}
  assert ("buy", ("soap", "rope", "nuts")) in names and len(names) == 6
  for kind in coding.kinds:
    assert kind.weights.sum() == pytest.approx(1)
    assert kind.low == 0 or kind.type == "buy"


def test_windows_are_events_in_a_row_and_say_where_they_end(log, coding):
  codes = event_codes.encode(log, coding, rng())
  counts = np.bincount(log.user)
  windows = codes.windows(8, coding.end, rng())
  assert windows.shape == (40, 8, 3) and (windows[:, 0, GAP] == -1).all()
  for own, window, begin in zip(counts, windows, codes.begin, strict=False):
    size = min(own, 8)
    whole = codes.codes[begin : begin + own]
    runs = [whole[i : i + size] for i in range(own - size + 1)]
    assert any((window[:size, KIND] == run[:, KIND]).all() for run in runs)
    assert (window[size:, 1:] == -1).all()
    if own < 8:
      assert window[own, KIND] == coding.end
      assert (window[own + 1 :] == -1).all()


def test_what_codes_stand_for_is_valid_and_has_the_codes(log, coding):
  codes = event_codes.encode(log, coding, rng())
  windows = codes.windows(8, coding.end, rng())
  ids = events.new_ids(log.column("user"), len(windows))
  made = event_codes.decode(windows, coding, log, ids, rng())
  assert made.table.schema == log.table.schema
  there = (windows[..., KIND] >= 0) & (windows[..., KIND] < coding.end)
  assert len(made.user) == there.sum()
  for role in ("type", "category"):
    known = set(log.column(role).to_pylist())
    assert set(made.column(role).to_pylist()) <= known
  assert not set(made.column("user").to_pylist()) & set(
    log.column("user").to_pylist()
  )
  assert log.time.min() <= made.time.min() and made.time.max() <= log.time.max()
  assert made.amount.min() >= 0 and made.amount.max() <= log.amount.max()
  views = np.array(made.column("type").to_pylist()) == "view"
  assert (made.amount[views] == 0).all()
  assert (np.diff(made.time)[np.diff(made.user) == 0] >= 0).all()
  assert (made.time % 1_000_000 == 0).all()  # whole seconds, as in the log
  again = event_codes.encode(made, coding, rng()).codes
  np.testing.assert_array_equal(again[:, KIND], windows[there][:, KIND])
  later = windows[there][:, GAP] > 0
  near = abs(again[later, GAP] - windows[there][later, GAP])
  assert near.max() <= 1
  near = abs(again[:, AMOUNT] - windows[there][:, AMOUNT])[~views]
  assert near.max() <= 1


def test_ids_are_new_whatever_their_type():
  made = events.new_ids(pa.chunked_array([[7, 46]]), 2)
  assert made.to_pylist() == [47, 48]
  made = events.new_ids(pa.chunked_array([["a", "generated0"]]), 1)
  assert made.to_pylist() == ["generated-0"]


def everything(sizes):
  """All sequences of at most two events."""
  first = itertools.product(range(sizes.kinds - 1), [-1], range(sizes.amounts))
  end = [(sizes.kinds - 1, -1, -1)]
  second = itertools.product(*map(range, (sizes.kinds - 1, *sizes[1:])))
  both = itertools.product(first, [*second, *end])
  return np.array(list(both), np.int32)


@pytest.fixture(scope="module")
def recurrent():
  model = Recurrent(SMALL, 8)
  params = jax.jit(model.init)(KEY, jnp.zeros((1, SMALL.width)))["params"]
  return model, jax.tree.map(lambda x: 2.0 * x, params)


@pytest.fixture(scope="module")
def logs(recurrent):
  """ln p of `everything`."""
  parts = likelihoods(*recurrent, everything(SMALL))
  return sum(parts.values())


@pytest.fixture(scope="module")
def drawn(recurrent):
  """40,000 sequences of at most six events."""
  return draw(*recurrent, 40_000, 6)


likelihoods = jax.jit(log_likelihood, static_argnums=0)
draw = jax.jit(
  lambda model, params, num, length: rollout(model, params, KEY, num, length),
  static_argnums=(0, 2, 3),
)


def test_the_likelihoods_of_all_sequences_sum_to_one(logs):
  np.testing.assert_allclose(np.exp(logs).sum(), 1.0, rtol=1e-5)


def test_what_is_drawn_has_its_likelihood(drawn, logs):
  flat = np.asarray(to_codes(drawn, SMALL))[:, :2].reshape(-1, 6)
  found = [(flat == x.ravel()).all(axis=1).mean() for x in everything(SMALL)]
  np.testing.assert_allclose(found, np.exp(logs), atol=0.012)
  assert sum(found) == pytest.approx(1)  # nothing else is drawn


def test_nothing_comes_after_the_end(drawn):
  codes = np.asarray(to_codes(drawn, SMALL))
  np.testing.assert_allclose(
    one_hot(jnp.asarray(codes), SMALL), drawn, atol=1e-5
  )
  ended = np.cumsum(codes[..., KIND] == 2, axis=1) > 0
  assert ended.any() and (codes[:, 1:][ended[:, :-1]] == -1).all()
  assert (codes[ended][:, 1:] == -1).all() and (codes[:, 0, KIND] < 2).all()


def test_a_gradient_reaches_what_was_drawn_before(recurrent):
  model, params = recurrent

  def last(params):  # the amount of the last event
    drawn = rollout(model, params, KEY, 64, 3)
    return jnp.mean(drawn[:, -1, -1])

  gradient = jax.jit(jax.grad(last))(params)
  for name in ("entry", "gates", "from_kind", "heads_0", "heads_1"):
    assert jnp.abs(gradient[name]["kernel"]).max() > 1e-6, name


def test_a_chain_is_found_again_in_what_it_draws():
  sizes = Sizes(4, 3, 3)
  shapes = {"kind": (4, 4), "gap": (4, 4, 3), "amount": (4, 3)}
  truth = {
    name: 1.5 * jax.random.normal(jax.random.fold_in(KEY, i), shape)
    for i, (name, shape) in enumerate(shapes.items())
  }
  truth["kind"] = truth["kind"].at[:, 3].add(-2.0)  # few ends
  model = Chain(sizes)
  codes = np.asarray(to_codes(draw(model, truth, 4000, 12), sizes))
  learnt = event_chains.markov(codes, sizes)
  for name in ("kind", "amount"):
    rows = slice(0, 3)
    p, q = (jax.nn.softmax(x[name])[rows] for x in (truth, learnt))
    np.testing.assert_allclose(p, q, atol=0.04)
  loose = event_chains.independent(codes, sizes)
  fit = {
    name: float(sum(x.sum() for x in likelihoods(model, p, codes).values()))
    for name, p in (("true", truth), ("chain", learnt), ("loose", loose))
  }
  assert fit["chain"] == pytest.approx(fit["true"], rel=0.01)
  assert fit["loose"] < 1.1 * fit["true"]


def sample(codes, generator=None):
  days = np.where(codes[..., GAP] > 0, 1.0 * codes[..., GAP], 0.0)
  return measures.Sample(codes, days, np.maximum(codes[..., AMOUNT], 0.0))


MEANING = measures.Meaning(np.array([0, 0, 1]), np.array([0, 1, 0]), (4, 3, 3))


def cycles(num, loose=False, length=12):
  """Kinds 0, 1, 2, 0, ... from a random one on; or in any order."""
  generator = np.random.default_rng(length + loose)
  start = generator.integers(0, 3, (num, 1))
  kind = (start + np.arange(length)) % 3
  if loose:
    kind = generator.permuted(kind, axis=1)
  rest = generator.integers(0, 3, (2, num, length))
  codes = np.stack([kind, *rest], axis=-1)
  codes[:, 0, GAP] = -1
  return codes


def test_measures_see_what_differs_and_only_that():
  real, same, loose = cycles(300), cycles(300, length=12), cycles(300, True)
  equal = measures.distances(sample(real), sample(same), MEANING)
  assert all(value == 0 for value in equal.values())
  found = measures.distances(sample(real), sample(loose), MEANING)
  assert found["type"] == 0 and found["category"] == 0
  assert found["transition"] > 0.6 and found["gap"] < 0.05
  told = measures.detection(sample(real), sample(loose), MEANING, 0)
  alike = measures.detection(sample(real[:150]), sample(real[150:]), MEANING, 0)
  assert told > 0.9 and abs(alike - 0.5) < 0.12


def test_statistics_count_baskets():
  codes = np.array([[[0, -1, 1], [1, 0, 1], [1, 0, 1], [2, 2, 0], [3, -1, -1]]])
  found = measures.statistics(sample(codes), MEANING)
  assert found["events"] == 4 and found["basket"] == 2
  assert found["per_day"] == 2 and found["distinct"] == 0.5
  assert found["again"] == 0.25 and found["amount"] == 0.75


def test_copies_are_found():
  train = cycles(50, length=20)
  made = cycles(30, length=30)[:, :12]
  made[:10] = train[:10, 4:16]
  made[:, 0, GAP] = -1
  found = measures.copies(train.reshape(-1, 3), made, MEANING)
  assert found["copies"] == pytest.approx(1 / 3)
  assert found["copied_runs"] == pytest.approx(1 / 3)


BATCH = {"codes": cycles(4, length=4)}


def adversarial(**given):
  settings = {"weight": 2.0, "start": 0, "mean_events": 4.0, "length": 4}
  return games.with_critic(
    Recurrent(Sizes(4, 3, 3), 4),
    Critic(4),
    losses.wasserstein(),
    optax.adam(1e-2),
    optax.adam(1e-2),
    **(settings | given),
  )


def test_before_the_critic_counts_it_is_maximum_likelihood():
  game = adversarial(start=3, lead=1)
  params = jax.jit(lambda: init_state(game, KEY).params)()

  @functools.partial(jax.jit, static_argnums=0)
  def play(name, step):
    batch = BATCH | {"step": step}
    return game[name].loss(params[name], params, batch, KEY)

  plain = adversarial(weight=0.0)["generator"]
  alone, _ = jax.jit(plain.loss)(params["generator"], params, BATCH, KEY)
  before, metrics = play("generator", 2)
  np.testing.assert_allclose(before, alone, rtol=1e-6)
  assert metrics["adversarial_loss"] == 0
  after, metrics = play("generator", 3)
  hurt = 2.0 * metrics["adversarial_loss"]
  assert hurt != 0
  np.testing.assert_allclose(after, alone + hurt, rtol=1e-6)
  assert play("discriminator", 1)[0] == 0 != play("discriminator", 2)[0]


def test_without_weight_the_game_is_maximum_likelihood():
  game = adversarial(weight=0.0)
  plain = games.likelihood(
    Recurrent(Sizes(4, 3, 3), 4), optax.adam(1e-2), mean_events=4.0
  )
  assert list(game) == list(plain)
  state = init_state(plain, KEY)
  programs = [
    str(jax.make_jaxpr(make_step(g))(state, BATCH)) for g in (game, plain)
  ]
  assert programs[0] == programs[1]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_short_logs_are_refused(rows):
  with pytest.raises(ValueError, match=f"the log has {rows} events of"):
    events.make(
      table().slice(0, rows).set_column(0, "customer", [["a"] * rows])
    )
