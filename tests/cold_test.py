"""Recommenders of cold items: closed forms, generators, and new items."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pytest

from adv_rec.data import cold, planted, writer
from adv_rec.data.dataset import PARTS
from adv_rec.experiments import cold as shared
from adv_rec.experiments import cold_generators as generators
from adv_rec.experiments import experiment, options, serve
from adv_rec.games.ensemble import ensemble
from adv_rec.models import content as models
from adv_rec.models import item_generator
from adv_rec.training.step import init_state, make_step
from adv_rec.types import Player

CONTENT = np.array([[0, 2], [0, 3], [1, 2], [1, 3], [0, 4]])  # 4 fills up
FEATURES = 4
KEY = jax.random.key(3)
CHANCE = 10 / 26  # recall@10 among the 26 cold items


def dense(content, size=FEATURES):
  f = np.zeros((len(content), size + 1))
  np.put_along_axis(f, content, 1.0, axis=1)
  return f[:, :size]


@pytest.mark.parametrize("extra", [0, 6])  # fewer features than items, or more
def test_ridge_and_what_it_says_of_an_item_left_out(extra):
  size = FEATURES + extra
  content = np.where(CONTENT == FEATURES, size, CONTENT)
  f = dense(content, size)
  t = np.random.default_rng(0).normal(size=(5, 3))

  def fit(f, t):
    return np.linalg.solve(f.T @ f + 0.7 * np.eye(size), f.T @ t)

  targets = jnp.asarray(t, jnp.float32)
  weights, left_out = models.ridge_left_out(content, size, targets, 0.7)
  np.testing.assert_allclose(weights, fit(f, t), atol=1e-5)
  np.testing.assert_allclose(
    models.ridge(content, size, targets, 0.7), weights, atol=1e-6
  )
  for item in range(5):
    others = np.arange(5) != item
    alone = f[item] @ fit(f[others], t[others])
    np.testing.assert_allclose(left_out[item], alone, atol=1e-5)
  with pytest.raises(ValueError, match="l2 > 0"):
    models.ridge(content, size, targets, 0.0)


def test_segments_are_ranked_by_the_share_of_their_items_that_users_have():
  chosen = jnp.asarray([[1, 0], [1, 0], [0, 0], [0, 1.0]])
  segments = jnp.asarray([[0], [0], [1], [2]])
  everybody = models.segment_popularity(chosen, segments, 3, False)
  own = models.segment_popularity(chosen, segments, 3, True)
  new = jnp.asarray([[0], [1], [2], [3]])  # 3: a segment nobody knows

  def scores(params):
    scorer = models.linear.scorer(params, new)
    return np.asarray(scorer.queries(jnp.arange(2)) @ scorer.keys.T)

  np.testing.assert_allclose(scores(everybody)[0], [0.5, 0, 0.5, 0])
  found = scores(own)
  assert found[0].argmax() == 0 and found[1].argmax() == 2
  assert found[0, 2] > found[0, 1] == 0  # then what everybody has


def test_knn_is_the_sum_of_powers_of_cosines():
  chosen = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [0, 1.0]])
  params = models.neighbours(jnp.asarray(chosen), CONTENT, FEATURES)
  scorer = models.content_knn(3.0).scorer(params, jnp.asarray(CONTENT[:3]))
  f = dense(CONTENT) * np.log(5 / dense(CONTENT).sum(0))
  f /= np.linalg.norm(f, axis=1, keepdims=True)
  expected = (f[:3] @ f.T) ** 3 @ chosen
  np.testing.assert_allclose(scorer.keys, expected, rtol=1e-5)


def test_blocks_of_items_do_not_show():
  table = jnp.arange(FEATURES * 3.0).reshape(FEATURES, 3)
  many = np.tile(CONTENT, (9, 1))
  made = models._in_blocks(lambda x: models.bag(table, x), many, 1 << 20)
  np.testing.assert_allclose(made, models.bag(table, many))


def test_copies_of_a_game_do_not_know_of_each_other():
  def loss(own, everyone, batch, key):
    noise = jax.random.normal(key)
    value = (own - everyone["other"] - batch["x"].mean() + noise) ** 2
    return value, {"loss": value}

  def player():
    return Player(jax.random.normal, loss, optax.adam(0.1))

  game = ensemble({"one": player(), "other": player()}, 3)
  step = jax.jit(make_step(game))
  state = init_state(game, KEY)
  changed = {name: x.at[2].add(7.0) for name, x in state.params.items()}
  batch = {"x": jnp.ones(4)}
  here, _ = step(state, batch)
  there, _ = step(state.replace(params=changed), batch)
  for name in game:
    before, one, other = (s.params[name] for s in (state, here, there))
    assert len(set(before.tolist())) == 3  # not the same game three times
    np.testing.assert_array_equal(one[:2], other[:2])
    assert one[2] != other[2]


def test_a_share_leads_from_the_closed_form_to_all_that_was_learned():
  network = item_generator.ItemGenerator(FEATURES, 3, hidden=8)
  init = jax.jit(jax.vmap(lambda key: network.init(key, CONTENT[:1])["params"]))
  nets = init(jax.random.split(KEY, 2))
  params = {"net": nets, "user": jnp.ones((2, 5, 2)), "scale": jnp.ones(2) * 3}
  weights = jax.random.normal(KEY, (FEATURES, 5))

  def scores(share, closed_form=lambda: weights):
    model = item_generator.generated_items(network, 1, closed_form, share)
    scorer = model.scorer(params, jnp.asarray(CONTENT))
    return scorer.queries(jnp.arange(5)) @ scorer.keys.T

  ridge = 3 * (jnp.asarray(dense(CONTENT)) @ weights).T
  np.testing.assert_allclose(scores(0.0), ridge, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(
    scores(0.5), ridge + 0.5 * scores(1.0, None), rtol=1e-4, atol=1e-5
  )


def test_a_key_depends_on_the_items_own_content_alone():
  network = item_generator.ItemGenerator(FEATURES, 3, latent=2, hidden=8)
  params = jax.jit(network.init)(KEY, CONTENT[:1], jnp.zeros((1, 2)))
  keys = item_generator.averaged(network, params["params"], CONTENT, 4)
  alone = item_generator.averaged(network, params["params"], CONTENT[3:4], 4)
  np.testing.assert_allclose(keys[3:4], alone, rtol=1e-5)
  assert np.ptp(np.asarray(keys), axis=0).min() > 0


# On planted data: the taste of an item is all there is, and content says it.


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
  """128 items of four tastes, which a column tells and another does not."""
  folder = tmp_path_factory.mktemp("shop")
  data = planted.dataset(128, 128, groups=4, per_user=20)
  writer.write(
    folder / "data",
    data.name,
    {p: pa.table(getattr(data, p)._asdict()) for p in PARTS},
    pa.table({"id": data.users["id"]}),
    pa.table({"id": data.items["id"]}),
    data.protocol,
  )
  noise = np.random.default_rng(0).integers(0, 9, 128)
  rows = [f"{i},k{i % 4},n{n}" for i, n in enumerate(noise)]
  (folder / "items.csv").write_text("\n".join(["id,kind,noise", *rows]))
  return folder


SMALL = {
  "model.hidden": "16",
  "model.dim": "8",
  "base.dim": "8",
  "base.epochs": "4",
  "batch_size": "40",
  "epochs": "30",
  "evaluate_every": "0",
  "checkpoint_every": "30",
  "model.dropout": "0.0",
  "members": "2",
}


def configured(shop, path, **given):
  config = options.load(f"configs/cold/{path}.py", "dataset=")
  present = dict(options._leaves(config))
  given = {
    "data.prepared": str(shop / "data"),
    "data.items": str(shop / "items.csv"),
    **{name: value for name, value in SMALL.items() if name in present},
    **{name: str(value) for name, value in given.items()},
  }
  return options.override(config, given)


def played(built, steps):
  """The state after some steps, in one program that is quick to compile."""

  def compiled(f):
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})

  state = compiled(lambda: init_state(built.game, KEY))()
  if not built.schedule.steps:
    return state
  step = make_step(built.game)
  play = compiled(lambda state, b: jax.lax.scan(step, state, b)[0])
  return play(state, built.batches(0, steps))


def share_of_taste(shop, workdir, path, steps=60, **given):
  """Users' own taste among their best 5 cold test items, of what there is."""
  config = configured(shop, path, **given)
  built = experiment.build(config, workdir)
  items = np.flatnonzero(shared.prepare(config, workdir).cold.kind == cold.TEST)
  scorer = built.scorer(played(built, steps))
  users = np.arange(128)
  scores = scorer.queries(jnp.asarray(users)) @ scorer.keys[items].T
  order = np.argsort(-np.asarray(scores), axis=1)[:, :5]
  there = np.minimum(np.bincount(items % 4, minlength=4), 5)[users % 4]
  return np.sum(items[order] % 4 == users[:, None] % 4) / np.sum(there)


@pytest.mark.parametrize(
  ("path", "given"),
  [
    ("segment", {"segment": "kind"}),
    ("content_knn", {}),
    ("content_ridge", {"l2": 3.0}),
    ("content_ridge", {"l2": 3.0, "targets": "embeddings"}),
    (
      "generator",
      {
        "critic.weight": 0.1,
        "model.latent": 2,
        "draws": 2,
        "members": 1,
        "attack.name": "fgm",
        "learning_rate": 0.02,
      },
    ),
    ("dropoutnet", {"learning_rate": 0.02}),
    ("gar", {"learning_rate.generator": 0.02}),
    ("lara", {"learning_rate.generator": 0.01, "steps": 80}),
  ],
  ids=lambda x: x if isinstance(x, str) else ",".join(x),
)
def test_content_that_determines_taste_is_recovered(
  path, given, shop, tmp_path
):
  assert share_of_taste(shop, tmp_path, path, **given) > 0.8


def test_chance_is_chance(shop, tmp_path):
  assert share_of_taste(shop, tmp_path, "random") < 0.4


def test_a_cold_item_is_in_no_batch(shop, tmp_path):
  given = {"ridge.scale": 0.0, "critic.weight": 0.1}
  config = configured(shop, "generator", **given)
  setting = shared.prepare(config, tmp_path)
  built = generators.generator(config, tmp_path)
  batch = built.batches(0, 20)  # many epochs
  have = batch["chosen"].reshape(-1, batch["chosen"].shape[-1])
  warm = np.unique(setting.chosen(), axis=0)
  assert len(np.unique(np.vstack([warm, have]), axis=0)) == len(warm)
  assert (batch["base"] != 0).any(axis=-1).all()  # the zero rows are cold
  assert have.any(axis=1).all()


def test_without_a_weight_adversaries_change_nothing(shop, tmp_path):
  plain = {"ridge.scale": 0.0}
  idle = {"attack.name": "fgm", "attack.weight": 0.0}
  programs = []
  for given in (plain, plain | idle, plain | {"attack.name": "fgm"}):
    config = configured(shop, "generator", **given)
    built = generators.generator(config, tmp_path)
    assert list(built.game) == ["generator"]
    state = jax.eval_shape(
      lambda g=built.game: init_state(g, jax.random.key(3))
    )
    batch = jax.tree.map(lambda x: x[0], built.batches(0, 1))
    programs.append(str(jax.make_jaxpr(make_step(built.game))(state, batch)))
  assert programs[0] == programs[1] != programs[2]


def test_the_same_seed_makes_the_same_generator(shop, tmp_path):
  found = []
  for seed in (0, 0, 1):
    config = configured(shop, "generator", seed=seed, members=1)
    built = generators.generator(config, tmp_path)
    batch = built.batches(3, 4)
    assert batch["offset"].shape == batch["chosen"].shape
    found.append((batch["content"], batch["offset"]))
  for one, same, other in zip(*found, strict=True):
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_users_are_found_for_new_items_from_the_workdir_alone(shop, tmp_path):
  workdir = tmp_path / "run"
  config = configured(shop, "content_ridge", l2=3.0)
  found = experiment.run(config, workdir, progress=False)["metrics"]
  assert found["test/recall@10"] > 1.6 * CHANCE
  assert found["validation/recall@10"] > 0.5
  assert 0 < found["test/all_recall@10"] < 1
  assert 0 < found["test/cold_share@10"] < 1
  new = tmp_path / "new.csv"
  new.write_text("id,noise,kind\nfresh,n0,k2\nother,,k1\n")
  rows = serve.new_items(workdir, new, 5)
  assert [(row["item"], row["rank"]) for row in rows] == [
    (item, rank) for item in ("fresh", "other") for rank in range(1, 6)
  ]
  tastes = [row["user"] % 4 for row in rows]
  assert tastes == [2] * 5 + [1] * 5
  assert rows[0]["score"] >= rows[1]["score"]
  new.write_text("id,kind\nfresh,k2\n")
  with pytest.raises(ValueError, match="no column 'noise'; the run was"):
    serve.new_items(workdir, new)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"cold.test_share": 0.95}, "more than there are"),
    ({"content.columns": "taste"}, "no column 'taste'; they have kind, noise"),
    ({"content.pairs": "kind"}, "two columns a pair"),
    ({"data.items": ""}, "have no content; give a table"),
    ({"model.dropout": 1.0}, "model.dropout=1.0: a share"),
    ({"draws": 0}, "draws=0: must be at least 1"),
  ],
)
def test_bad_options_are_refused(given, message, shop, tmp_path):
  with pytest.raises(ValueError, match=message):
    experiment.build(configured(shop, "generator", **given), tmp_path)
