"""Comparing, attacking and recommending with trained runs, from workdirs."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pyarrow as pa
import pytest

from adv_rec.attacks import gradients
from adv_rec.data import dataset, planted, writer
from adv_rec.experiments import attacks, experiment, options, serve

CONFIGS = programs.ROOT / "configs" / "recommend"
KS = "evaluation.ks=(5,10),evaluation.user_block=32"
TRAIN = f"{KS},epochs=8,batch_size=64,model.dim=8,learning_rate=0.1"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
  """Four tastes; users 100, 101, ..., items i0, i1, ... in that order."""
  path = tmp_path_factory.mktemp("log") / "log.csv"
  pairs = planted.tastes(groups=4, per_user=15)
  rows = [
    f"{100 + user},i{item},{time}"
    for time, (user, item) in enumerate(zip(*pairs, strict=True))
  ]
  path.write_text("\n".join(["user,item,time", *rows]) + "\n")
  return path


@pytest.fixture(scope="module")
def runs(log, tmp_path_factory):
  """Workdirs: BPR-MF, popularity, and a result on other data."""
  folder = tmp_path_factory.mktemp("runs")
  jobs = {
    "bpr": ("bpr", f"{TRAIN},seed=1"),
    "popularity": ("popularity", KS),
  }
  for name, (config, given) in jobs.items():
    given += f",dataset=,data.k_core=0,data.path={log}"
    made = options.load(CONFIGS / f"{config}.py", given)
    experiment.run(made, folder / name, progress=False)
  result = json.loads((folder / "popularity/result.json").read_text())
  result["dataset"]["fingerprint"] = "another"
  (folder / "other").mkdir()
  (folder / "other/result.json").write_text(json.dumps(result))
  return folder


# Comparison.


def test_the_metrics_of_users_have_the_means_of_the_result(runs):
  metrics = json.loads((runs / "bpr/result.json").read_text())["metrics"]
  arrays = dict(np.load(runs / "bpr/per_user.npz"))
  assert len(np.unique(arrays["user"])) == len(arrays["user"]) == 96
  assert {"ndcg@10", "recall@5", "map@5"} <= set(arrays)
  for name in set(arrays) - {"user"}:
    assert arrays[name].mean() == pytest.approx(metrics[f"test/{name}"], 1e-5)


def test_runs_are_compared_also_without_the_metrics_of_users(runs, tmp_path):
  found = []
  for changed in ([], ["--ks=10"]):  # other ks: measured again
    done = programs.run(
      "evaluate",
      f"--compare={runs / 'bpr'},{runs / 'popularity'}",
      f"--out={tmp_path / 'out.json'}",
      *changed,
      cwd=tmp_path,
    )
    assert done.status == 0, done.stderr
    differences = json.loads((tmp_path / "out.json").read_text())["differences"]
    found.append(differences["ndcg@10"])
  assert "ndcg@10" in done.stdout and "ndcg@5 " not in done.stdout
  assert found[0] == pytest.approx(found[1], rel=1e-5)
  assert found[0]["low"] > 0  # tastes are found, popularity knows nothing
  assert found[0]["p_value"] < 0.001


@pytest.mark.parametrize(
  ("script", "arguments", "message"),
  [
    ("evaluate", ["--compare={}/bpr,{}/other"], "cannot be compared"),
    ("evaluate", ["--compare={}/bpr"], "give two workdirs"),
    ("evaluate", ["--compare={}/bpr,{}/none"], "no such file"),
    ("evaluate", [], "say which run"),
    ("attack", ["--workdir={}/popularity"], "no embeddings"),
    ("attack", ["--workdir={}/bpr", "--attacks=fgn"], "attack 'fgn'"),
    ("attack", ["--workdir={}/bpr", "--sizes=0.1,x"], "--sizes=0.1,x"),
    ("attack", ["--workdir={}/none"], "is this a workdir?"),
    ("recommend", ["--workdir={}/bpr"], "say for whom"),
    ("recommend", ["--workdir={}/bpr", "--users=100,x1"], "user 'x1'"),
    ("recommend", ["--workdir={}/none", "--users=1"], "is this a workdir?"),
    ("recommend", ["--users=1"], "--workdir=DIR is missing"),
    ("reproduce", ["--table=nothing"], "choose apr_amazon"),
  ],
)
def test_what_cannot_be_done_ends_in_one_line(
  script, arguments, message, runs, tmp_path
):
  arguments = [a.replace("{}", str(runs)) for a in arguments]
  done = programs.run(script, *arguments, cwd=tmp_path)
  assert done.status == 1
  assert done.stdout == ""
  assert done.stderr.count("\n") == 1, done.stderr
  assert done.stderr.startswith("error: ") and message in done.stderr
  assert not list(tmp_path.iterdir())


# Attacks.


def test_attacks_hurt_more_than_noise_and_zero_not_at_all(runs, tmp_path):
  out = tmp_path / "curve.json"
  done = programs.run(
    "attack",
    f"--workdir={runs / 'bpr'}",
    "--attacks=fgm,pgd,random,search",
    "--sizes=0,1",
    "--pgd_steps=3",
    "--tries=4",
    f"--out={out}",
    cwd=tmp_path,
  )
  assert done.status == 0, done.stderr
  rows = json.loads(out.read_text())["robustness"]
  clean = json.loads((runs / "bpr/result.json").read_text())["metrics"]
  ndcg = {(r["attack"], r["relative_epsilon"]): r["ndcg@10"] for r in rows}
  assert len(ndcg) == len(rows) == 8
  for name in ("fgm", "pgd", "random", "search"):
    assert ndcg[name, 0.0] == pytest.approx(clean["test/ndcg@10"], rel=1e-6)
  assert ndcg["fgm", 1.0] < 0.8 * ndcg["random", 1.0]
  assert ndcg["pgd", 1.0] < 0.8 * ndcg["random", 1.0]
  assert len(done.stdout.splitlines()) == 1 + 8
  assert "<svg" in out.with_suffix(".svg").read_text()


def test_the_attacker_climbs_the_loss_of_the_scores(runs):
  """On a scorer in closed form: rows move along the gradient of its BPR."""
  found, state = experiment.restore(runs / "bpr")
  seen = []

  def spy(size):
    def attack(objective, inputs, key):
      delta = gradients.fgm(size)(objective, inputs, key)
      moved = jax.tree.map(jnp.add, inputs, delta)
      seen.append((float(objective(inputs)), float(objective(moved))))
      return delta

    return attack

  found.attack(state, {"spy": spy}, (0.1, 0.5), "test")
  (clean, little), (same, much) = seen
  assert clean == same < little < much


def test_search_is_the_best_of_its_draws():
  inputs = {"a": jnp.ones((5, 4)), "b": jnp.ones((3, 4))}
  target = {"a": jnp.arange(4.0), "b": jnp.full(4, -1.0)}
  key = jax.random.key(3)

  def objective(x):
    return sum(jnp.sum(jnp.sin(x[n] * target[n])) for n in x)

  def value(tries):
    attack = jax.jit(gradients.search(0.5, tries), static_argnums=0)
    delta = attack(objective, inputs, key)
    for rows in delta.values():
      np.testing.assert_allclose(gradients.row_norm(rows), 0.5, rtol=1e-5)
    return float(objective(jax.tree.map(jnp.add, inputs, delta)))

  values = [value(tries) for tries in (1, 4, 16)]
  assert values == sorted(values) and values[0] < values[-1]
  fgm = gradients.fgm(0.5)(objective, inputs, key)
  assert values[-1] < float(objective(jax.tree.map(jnp.add, inputs, fgm)))
  with pytest.raises(ValueError, match="tries"):
    gradients.search(0.5, 0)
  with pytest.raises(ValueError, match="choose fgm"):
    attacks.by_name("none")


def test_a_curve_of_what_has_no_embeddings_is_refused(log, tmp_path):
  given = f"dataset=,data.path={log},evaluation.robustness=(0.5,)"
  made = options.load(CONFIGS / "popularity.py", given)
  with pytest.raises(ValueError, match="Popularity has no embeddings"):
    experiment.run(made, tmp_path / "run", progress=False)


# Recommendations.


def brute_force(workdir, user, n, keep_history=False):
  """Items of a user by the scores of all items, sorted in numpy."""
  found, state = experiment.restore(workdir)
  data = dataset.load(workdir / "data")
  code = list(data.users["id"]).index(user)
  query, keys = found.scorer(state).queries(jnp.array([code])), None
  keys = np.asarray(found.scorer(state).keys, np.float64)
  scores = keys @ np.asarray(query[0], np.float64)
  if not keep_history:
    for part in dataset.PARTS:
      pairs = getattr(data, part)
      scores[pairs.item[pairs.user == code]] = -np.inf
  best = np.argsort(-scores)[:n]
  return list(data.items["id"][best]), scores[best]


@pytest.mark.parametrize("keep_history", [False, True])
def test_lists_are_the_best_scores_in_the_order_asked(runs, keep_history):
  users = ["117", "100", "0117", "164"]
  rows = serve.recommend(runs / "bpr", users, 6, keep_history)
  assert [row["user"] for row in rows[::6]] == [117, 100, 117, 164]
  assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 6] * 4
  assert {row["source"] for row in rows} == {"model"}
  for start, user in zip(range(0, 24, 6), (117, 100, 117, 164), strict=True):
    mine = rows[start : start + 6]
    items, scores = brute_force(runs / "bpr", user, 6, keep_history)
    assert [row["item"] for row in mine] == items
    np.testing.assert_allclose([r["score"] for r in mine], scores, atol=1e-5)


def test_unknown_users_get_what_most_have(runs):
  data = dataset.load(runs / "bpr/data")
  counts = np.bincount(data.train.item, minlength=data.num_items)
  best = np.argsort(-counts, kind="stable")[:5]
  rows = serve.recommend(runs / "bpr", ["7", "100"], 5)
  assert [row["source"] for row in rows] == ["popularity"] * 5 + ["model"] * 5
  assert [row["item"] for row in rows[:5]] == list(data.items["id"][best])
  assert [row["score"] for row in rows[:5]] == list(counts[best])


def test_a_list_ends_where_nothing_is_left(runs):
  rows = serve.recommend(runs / "bpr", ["100"], 1000)
  assert len(rows) == 64 - 15
  assert len(serve.recommend(runs / "bpr", ["7"], 1000)) == 64


def test_the_program_writes_csv_and_json_alike(runs, tmp_path):
  (tmp_path / "ids.txt").write_text("103\n\n  5\n")
  for form, users in (
    ("csv", "--users_file=ids.txt"),
    ("json", "--users=103,5"),
  ):
    done = programs.run(
      "recommend",
      f"--workdir={runs / 'bpr'}",
      users,
      "--n=4",
      f"--format={form}",
      f"--out=out.{form}",
      cwd=tmp_path,
    )
    assert (done.status, done.stdout) == (0, ""), done.stderr
  lists = json.loads((tmp_path / "out.json").read_text())
  with (tmp_path / "out.csv").open() as file:
    table = list(csv.DictReader(file))
  assert table == [{k: str(v) for k, v in row.items()} for row in lists]
  assert len(table) == 8 and table[4]["source"] == "popularity"


def test_text_ids_and_categories_are_shown(prepared_shop, tmp_path):
  given = f"{KS},dataset=,data.prepared={prepared_shop}"
  made = options.load(CONFIGS / "popularity.py", given)
  experiment.run(made, tmp_path / "run", progress=False)
  rows = serve.recommend(tmp_path / "run", ["ann 3", "nobody"], 2)
  assert [row["user"] for row in rows] == ["ann 3"] * 2 + ["nobody"] * 2
  for row in rows:
    number = int(row["item"].removeprefix("sku "))
    assert row["category"] == (None if number % 2 else "even")


@pytest.fixture
def prepared_shop(planted_data, tmp_path):
  names = [f"sku {i}" for i in range(planted_data.num_items)]
  even = [None if i % 2 else "even" for i in range(len(names))]
  writer.write(
    tmp_path / "shop",
    "shop",
    {
      part: pa.table(getattr(planted_data, part)._asdict())
      for part in dataset.PARTS
    },
    pa.table({"id": [f"ann {u}" for u in range(planted_data.num_users)]}),
    pa.table({"id": names, "category": pa.array(even, pa.string())}),
    {"split": "planted"},
  )
  return tmp_path / "shop"
