"""PATE-GAN: a row moves one vote, votes are noisy, the rest is made of them."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow.parquet as pq
import pytest

from adv_rec.data import declared, tabular
from adv_rec.data.conditions import Conditions
from adv_rec.data.encoding import Encoded
from adv_rec.data.tabular import Column
from adv_rec.experiments import experiment, options, pate
from adv_rec.games.pate import pate_gan
from adv_rec.models.gan import Discriminator, Generator
from adv_rec.models.random_features import random_features
from adv_rec.models.tabular import Layout, one_hot
from adv_rec.privacy import accounting, probes, votes
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release.rehearsal import rehearse
from adv_rec.training import loop, parallel
from adv_rec.training.step import init_state, make_step

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEY = jax.random.key(3)
LAYOUT = Layout((3, 2, 4), 0)
CHANCES = np.array([0.5, 0.3, 0.2, 0.6, 0.4, 0.1, 0.2, 0.3, 0.4])
TEACHERS, ROWS, FAKES, QUERIES = 5, 2, 12, 6


def game(tally):
  return pate_gan(
    LAYOUT,
    Generator(LAYOUT.width, 3, (8,)),
    Discriminator((8,)),
    random_features(LAYOUT, CHANCES, 16, 1.0),
    tally,
    {
      "teachers": optax.sgd(0.3),
      "student": optax.adam(0.05),
      "generator": optax.adam(0.05),
    },
    jnp.asarray(CHANCES, jnp.float32),
    teachers=TEACHERS,
    queries=QUERIES,
    memory=2,
    updates=2,
  )


def batch(changed=False):
  rng = np.random.default_rng(0)
  rows = 2 * TEACHERS * ROWS  # of two updates
  codes = np.stack([rng.integers(0, n, rows) for n in LAYOUT.sizes], axis=1)
  if changed:  # a row of teacher 2
    at = 2 * ROWS * 2
    codes[at : at + 2] = (codes[at : at + 2] + 1) % np.array(LAYOUT.sizes)
  return {
    "codes": codes.astype(np.int32),
    "condition": rng.integers(0, 9, 2 * FAKES).astype(np.int32),
    "noise": np.full((2 * FAKES, 2), 7, np.uint32),
  }


def deaf(cast, words):
  """Counts that no vote changes: what is left is all that rows can do."""
  del words
  return jnp.arange(cast.shape[1], dtype=jnp.float32)


def play(tally, given, steps=3):
  players = game(tally)
  step, state = jax.jit(make_step(players)), init_state(players, KEY)
  for _ in range(steps):
    state, _ = step(state, given)
  return state.params


def test_a_row_moves_one_vote_and_nothing_else():
  one, other = (play(deaf, batch(changed)) for changed in (False, True))
  for name in ("votes", "student", "generator"):
    jax.tree.map(np.testing.assert_array_equal, one[name], other[name])
  for name, mine in one["teachers"].items():
    moved = mine != other["teachers"][name]
    which = np.flatnonzero(moved.reshape(TEACHERS, -1).any(axis=1))
    assert set(which.tolist()) <= {2}
  assert np.any(one["teachers"]["kernel"] != other["teachers"]["kernel"])

  cast = []

  def listening(votes, words):
    cast.append(np.asarray(votes))
    return deaf(votes, words)

  given, loss = batch() | {"step": 3}, game(listening)["votes"].loss
  for params in (one, other):
    loss(params["votes"], params, given, KEY)
  assert cast[0].shape == (TEACHERS, QUERIES)
  assert 0 < cast[0].mean() < 1  # teachers have opinions
  moved = cast[0].sum(axis=0) - cast[1].sum(axis=0)
  assert np.abs(moved).max() <= 1


def test_without_noise_the_student_hears_how_many_say_yes():
  cast = []

  def listening(one, words):
    jax.debug.callback(lambda x: cast.append(np.array(x)), one)
    return votes.noisy(one, 0.0, words)

  found = play(listening, batch())["votes"]
  jax.effects_barrier()
  assert len(cast) == 3  # once a step, although all others move twice
  heard = []
  for x in (cast[2], cast[1]):  # the last vote first, two remembered
    yes = x.sum(axis=0)
    heard.append((yes - yes.mean()) / max(yes.std(), 1e-6))
  np.testing.assert_allclose(found["labels"], np.concatenate(heard), atol=1e-4)
  for block in LAYOUT.blocks(found["rows"]):
    np.testing.assert_allclose(block.sum(axis=1), 1, rtol=1e-5)


def test_features_show_how_columns_go_together():
  features = random_features(LAYOUT, CHANCES, 16, 1.5)
  rng = np.random.default_rng(1)
  blocks = np.split(CHANCES, np.cumsum(LAYOUT.sizes)[:-1])
  alone = np.stack([rng.choice(len(p), 4000, p=p) for p in blocks], axis=1)
  found = features(jnp.asarray(alone))
  np.testing.assert_allclose(
    found[:9],
    features(one_hot(alone[:9], jnp.zeros((9, 0)), LAYOUT)),
    atol=1e-4,
  )
  assert np.linalg.norm(np.mean(found, axis=0)) < 0.2
  assert np.linalg.eigvalsh(np.cov(found.T)).max() < 1.1
  together = alone.copy()
  together[:, 1] = together[:, 0] > 0
  found = features(jnp.asarray(together))
  assert np.linalg.norm(np.mean(found, axis=0)) > 0.5
  with pytest.raises(ValueError, match="rows have numbers"):
    random_features(Layout((3, 2), 1), CHANCES, 16, 1.5)


def test_votes_have_the_noise_that_is_accounted_for():
  nobody = jnp.zeros((3, 40_000), bool)
  a, b, c = (
    np.asarray(votes.noisy(nobody, 1.5, jnp.full(2, words, jnp.uint32)))
    for words in (1, 2, 1)
  )
  assert np.std(a) == pytest.approx(1.5 * 200, rel=0.02) and np.all(a == c)
  assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
  everybody = votes.noisy(~nobody, 1.5, jnp.full(2, 1, jnp.uint32))
  np.testing.assert_allclose(everybody - a, 3, atol=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  place = tmp_path_factory.mktemp("pate")
  schema = (
    Column("kind", "category", "string", categories=("a", "b", "c")),
    Column("size", "integer", "int64", low=0, high=100, nulls=True),
    Column("bought", "category", "string", categories=("no", "yes")),
  )
  tabular.save(place / "schema.json", schema)
  rows = declared.made_up(schema, 100, 0, narrow=False)
  pq.write_table(rows, place / "own.parquet")
  return place


def config(folder, **given):
  small = {
    "data.path": str(folder / "own.parquet"),
    "data.schema": str(folder / "schema.json"),
    "data.bins": "5",
    "target": "",
    "steps": "6",
    "teachers.number": "10",
    "teachers.features": "8",
    "memory": "3",
    "batch_size": "16",
    "queries": "8",
    "privacy.accountant": "rdp",
    "model.generator": "(8,)",
    "model.discriminator": "(8,)",
  }
  loaded = options.load(ROOT / "configs/private/pate_gan.py")
  return options.override(loaded, small | given)


def trained(built, workdir, steps):
  return loop.train(
    built.game,
    built.batches,
    loop.Schedule(steps, 2, 0, 2),
    workdir,
    0,
    mesh=parallel.make_mesh(1, jax.devices()[:1]),
    progress=False,
  )


def test_a_run_that_goes_on_is_the_same_and_spends_nothing_twice(
  folder, tmp_path
):
  one, two = tmp_path / "one", tmp_path / "two"
  built = experiment.build(config(folder), one)
  assert built.schedule.steps == 6
  shutil.copytree(one, two)  # the same secret, which is drawn but once
  secret = (one / "privacy/secret").read_bytes()
  whole = trained(built, one, 6)
  trained(experiment.build(config(folder), two), two, 2)
  again = trained(experiment.build(config(folder), two), two, 6)
  jax.tree.map(np.testing.assert_array_equal, whole.params, again.params)

  result = built.finish(whole)
  ledger = (one / "privacy/ledger.jsonl").read_text()
  assert ledger == (two / "privacy/ledger.jsonl").read_text()
  lines = [json.loads(line) for line in ledger.splitlines()]
  assert [line.get("name") for line in lines] == [None, "counts", "votes"]
  spends = [Gaussian(**line["gaussian"]) for line in lines[1:]]
  assert spends[1] == Gaussian(spends[1].noise_multiplier, 6)
  spent = accounting.epsilon(spends, 1e-5, "rdp")
  assert result["privacy"]["spent"] == spent and 2.9 < spent <= 3.0
  for path in one.rglob("*"):
    assert path.is_dir() or secret not in path.read_bytes(), path
  assert "teachers/" not in (one / "metrics.jsonl").read_text()
  ended = experiment.build(config(folder), one)
  assert ended.sample(whole, 80, 0).num_rows == 80
  with pytest.raises(ValueError, match="secret is gone"):
    ended.batches(0, 1)


def test_a_probe_finds_the_noise_or_that_a_row_moves_several_teachers(
  folder, tmp_path
):
  given = config(folder)
  built = experiment.build(given, tmp_path)
  ledger = (tmp_path / "privacy/ledger.jsonl").read_text().splitlines()
  claimed = json.loads(ledger[-1])["gaussian"]["noise_multiplier"]
  bound = probes.noise_bound(*built.probes["votes"](200), 0.99)
  assert claimed < bound < 1.4 * claimed

  def shared(loss):
    gradient = jax.grad(loss, has_aux=True)

    def mixed(*given):
      found, metrics = gradient(*given)
      return jax.tree.map(lambda x: x - jnp.mean(x, axis=0), found), metrics

    return mixed

  def tally(cast, words):
    return votes.noisy(cast, claimed, words)

  teachers = built.game["teachers"]._replace(gradient=shared)
  broken = {**built.game, "teachers": teachers}
  layout = Layout((3, 6, 2), 0)
  probe = pate._probe(given, broken, layout, tally)
  assert probes.noise_bound(*probe(200), 0.99) < 0.2 * claimed


def test_a_rehearsal_of_its_release_finds_nothing_wrong(folder, tmp_path):
  schema = tabular.load(folder / "schema.json")
  claim, probed = rehearse(config(folder), schema, 100, tmp_path, 0.999)
  assert claim.spends.keys() == probed.keys() == {"counts", "votes"}
  assert probed["votes"]["at_most"] < 1.5 * probed["votes"]["claimed"]


def test_parts_are_disjoint_and_all_rows_are_learnt_from(folder):
  rows = Encoded(np.arange(43)[:, None], np.zeros((43, 0)))
  asked = Conditions(rows, (43,))
  given = config(folder, updates="3")
  seen = [set() for _ in range(10)]
  for step in range(20):
    made = pate._batch(given, rows, asked, bytes(32), step)
    for k, own in enumerate(made["codes"].reshape(10, -1)):
      seen[k] |= set(own.tolist())
  assert sorted(x for part in seen for x in part) == list(range(43))
  assert {len(part) for part in seen} == {4, 5}
  other = pate._batch(given, rows, asked, bytes(32), 20)
  assert np.all(other["noise"] == other["noise"][0])
  assert np.any(other["noise"] != made["noise"])


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"teachers.number": "81"}, "needs rows of its own, and there are 80"),
    ({"queries": "17"}, "must be at most batch_size"),
    ({"updates": "0"}, "updates=0"),
    ({"privacy.epsilon": "0.01"}, "what is spent beside it is too much"),
  ],
)
def test_bad_options_are_refused_before_anything_is_spent(
  given, message, folder, tmp_path
):
  with pytest.raises(ValueError, match=message):
    experiment.build(config(folder, **given), tmp_path)
  ledger = tmp_path / "privacy" / "ledger.jsonl"
  assert not ledger.exists() or len(ledger.read_text().splitlines()) == 1
