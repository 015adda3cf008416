"""User-level sums and releases: sensitivity, noise, accounts, uses."""

import json
import math
import pathlib

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from adv_rec.experiments import experiment, options
from adv_rec.experiments import private_behaviour as task
from adv_rec.models import fold_in, prototypes
from adv_rec.privacy import accounting, behaviour, secret
from adv_rec.privacy.accounting import Gaussian

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECRET = b"a secret of the tests, 32 bytes."
SHAPE = 40, 30


def histories(seed=0, users=SHAPE[0]):
  """Histories of 0 to 29 items. -> (indptr, items)."""
  rng = np.random.default_rng(seed)
  sets = [np.sort(rng.permutation(30)[: u % 30]) for u in range(users)]
  return np.cumsum([0, *map(len, sets)]), np.concatenate(sets)


def rows(most=7, name="bounded"):
  rng = secret.generator(SECRET, name.encode())
  return behaviour.bounded(*histories(), 30, most, rng)


def test_a_history_is_cut_at_random_and_has_norm_one():
  indptr, items = histories()
  made = rows()
  for user, own in enumerate(made.toarray()):
    history = set(items[indptr[user] : indptr[user + 1]])
    assert set(np.flatnonzero(own)) <= history
    assert (own > 0).sum() == min(len(history), 7)
    assert math.isclose(np.linalg.norm(own), bool(history), abs_tol=1e-12)
  assert (made != rows()).nnz == 0  # the same secret
  assert (made != rows(name="other")).nnz > 0
  with pytest.raises(ValueError, match="keep at least 1"):
    rows(most=0)
  with pytest.raises(ValueError, match="an item twice"):
    behaviour.bounded(
      np.array([0, 2]), np.array([3, 3]), 30, 7, np.random.default_rng(0)
    )


def sums(made, noise=0.0, member=None):
  """The three sums of some rows, without the weights of a gram's diagonal."""
  member = np.arange(made.shape[0]) % 3 if member is None else member

  def rng(name):
    return secret.generator(SECRET, name.encode())

  items = np.array([4, 0, 9, 17, 22])
  return {
    "counts": behaviour.counts(made, noise, rng("counts")),
    "gram": behaviour.gram(made, items, noise, rng("gram")),
    "table": behaviour.table(made, member, 3, noise, rng("table")),
  }


def test_no_user_moves_a_sum_by_more_than_one():
  """The worst case that the accounts assume, of every user and of any noise."""
  made = rows()
  for noise in (0.0, 2.5):
    whole = sums(made, noise)
    moved = {name: [] for name in whole}
    for user in range(SHAPE[0]):
      others = made.tolil()
      others[user] = 0
      rest = sums(sparse.csr_array(others), noise)
      for name, value in rest.items():
        moved[name].append(np.linalg.norm(whole[name] - value))
    for name, by_user in moved.items():
      assert max(by_user) <= 1 + 1e-9, name
      assert max(by_user) > 0.99, name  # and the bound is used up


def test_sums_without_noise_are_exact_and_noise_is_the_secrets():
  made, plain, noisy = rows(), sums(rows()), sums(rows(), 2.0)
  dense = made.toarray()
  np.testing.assert_allclose(plain["counts"], dense.sum(0))
  cut = dense[:, [4, 0, 9, 17, 22]]
  norm = np.linalg.norm(cut, axis=1, keepdims=True)
  cut = np.divide(cut, norm, out=np.zeros_like(cut), where=norm > 0)
  np.testing.assert_allclose(plain["gram"], cut.T @ cut, atol=1e-12)
  by_cluster = [dense[c::3].sum(0) for c in range(3)]
  np.testing.assert_allclose(plain["table"], np.stack(by_cluster, 1))
  np.testing.assert_array_equal(noisy["gram"], noisy["gram"].T)
  again = sums(rows(), 2.0)
  for name in noisy:
    np.testing.assert_array_equal(noisy[name], again[name])
    other = secret.generator(b"x" * 32, name.encode()).normal(size=5)
    assert not np.any(
      secret.generator(SECRET, name.encode()).normal(size=5) == other
    )
  empty = sparse.csr_array((1, 20_000))
  noise = behaviour.counts(empty, 3.0, secret.generator(SECRET, b"counts"))
  assert abs(noise.std() - 3.0) < 0.06 and abs(noise.mean()) < 0.1
  large = np.arange(300)
  noise = behaviour.gram(empty, large, 3.0, secret.generator(SECRET, b"gram"))
  assert abs(noise[np.triu_indices(300)].std() - 3.0) < 0.06


@pytest.mark.parametrize("design", task.DESIGNS)
def test_the_sums_of_a_design_cost_the_budget(design):
  config = task.behaviour_config()
  config.design, config.privacy.accountant = design, "rdp"
  assert math.isclose(sum(task.DESIGNS[design].values()), 1)
  noise = task.calibrated(config)
  found = accounting.epsilon([Gaussian(x) for x in noise.values()], 1e-5, "rdp")
  assert 7.9 < found <= 8.0


def test_planted_groups_are_found_and_drawn():
  """Three groups of ten items each, and users of one group."""
  rng = np.random.default_rng(0)
  group = rng.integers(0, 3, 300)
  items = [np.sort(rng.permutation(10)[:5] + 10 * g) for g in group]
  indptr = np.arange(0, 5 * 300 + 1, 5)
  made = behaviour.bounded(indptr, np.concatenate(items), 30, 5, rng)
  found = sums(made)["counts"]
  gram = behaviour.gram(made, np.arange(30), 0.5, rng)
  label = prototypes.item_clusters(gram, found, 3, 3, rng)
  assert [len(set(label[g : g + 10])) for g in (0, 10, 20)] == [1, 1, 1]
  assert len(set(label)) == 3
  lists = np.zeros((30, 3))
  lists[np.arange(30), label] = found
  popular = prototypes.popularity(found)
  member = prototypes.members(made, lists, popular, np.ones(3))
  np.testing.assert_array_equal(member, label[10 * group])
  user, item = prototypes.draw(lists, np.array([0.0, 1.0, 1.0]), 500, 6, rng)
  assert len(np.unique(user * 30 + item)) == len(user) and user.max() == 499
  assert set(label[item]) == {1, 2}
  for own in range(500):
    assert len(set(label[item[user == own]])) == 1
  with pytest.raises(ValueError, match="noise is all there is"):
    prototypes.draw(0 * lists, np.ones(3), 5, 6, rng)


def test_served_the_users_it_is_fitted_on_each_ranks_as_the_model_does():
  """By the equations of `models.svd.svd` and of Steck 2019, eq. 8."""
  indptr, items = histories()
  users = np.repeat(np.arange(40), np.diff(indptr))
  x = fold_in.matrix(users, items, SHAPE)
  dense = x.toarray().astype(float)
  made = fold_in.ridge_svd(
    x, x, dim=6, l2=3.0, user_exponent=0.25, item_exponent=0.5, seed=0
  )
  a, b = (
    np.maximum(dense.sum(axis, keepdims=True), 1) ** exponent
    for axis, exponent in ((1, 0.25), (0, 0.5))
  )
  u, s, v = np.linalg.svd(dense / a / b)
  u, s, v = u[:, :6], s[:6], v[:6]
  expected = a * (u * (s**3 / (s**2 + 3.0)) @ v) * b
  found = made["user"] @ made["item"].T
  np.testing.assert_allclose(found, expected, atol=2e-3)
  p = np.linalg.inv(dense.T @ dense + 5 * np.eye(30))
  weights = (np.eye(30) - p / np.diag(p)) * (1 - np.eye(30))
  made = fold_in.ease(x, x, 5.0)
  found, new = made["user"] @ made["item"].T, dense == 0
  np.testing.assert_allclose(found[new], (dense @ weights)[new], atol=1e-4)
  with pytest.raises(ValueError, match="dim between 1 and 30"):
    fold_in.ridge_svd(
      x, x, dim=31, l2=0, user_exponent=0, item_exponent=0, seed=0
    )
  with pytest.raises(ValueError, match="l2 > 0"):
    fold_in.ease(x, x, 0.0)


def config(prepared, **given):
  small = {
    "dataset": "",
    "data.prepared": str(prepared),
    "privacy.accountant": "rdp",
    "model.dim": "4",
    "top": "40",
    "rank": "4",
    "clusters": "4",
    "evaluation.ks": "(5,)",
  }
  loaded = options.load(ROOT / "configs/private/behaviour.py")
  return options.override(loaded, small | given)


def test_a_run_spends_once_releases_and_destroys_its_secret(
  prepared, tmp_path, monkeypatch
):
  workdir, kept = tmp_path / "run", []
  given = config(prepared, **{"privacy.epsilon": "20.0"})
  forget = task.secret.forget

  def killed(path):
    kept.append(path.read_bytes())
    raise RuntimeError("killed")

  monkeypatch.setattr(task.secret, "forget", killed)
  with pytest.raises(RuntimeError, match="killed"):
    experiment.run(given, workdir, progress=False)
  release = workdir / "synthetic.parquet"
  first = release.read_bytes()
  release.unlink()  # as if it had been killed before the release was written
  monkeypatch.setattr(task.secret, "forget", forget)
  result = experiment.run(given, workdir, progress=False)
  assert release.read_bytes() == first  # the same noise: nothing spent twice
  privacy = workdir / "privacy"
  assert {p.name for p in privacy.iterdir()} == {"ledger.jsonl"}
  for path in workdir.rglob("*"):
    assert path.is_dir() or kept[0] not in path.read_bytes(), path
  lines = [json.loads(x) for x in (privacy / "ledger.jsonl").open()]
  names = [line.get("name") for line in lines]
  assert names == [None, "counts", "gram", "table"]
  assert 19 < result["privacy"]["spent"] <= 20
  assert result["privacy"]["unit"] == "user, all rows"
  made = pq.ParquetFile(release).read()
  assert made.column_names == ["user", "item"]
  for part in ("validation", "test"):
    real, share, own = (
      result["metrics"][f"{part}/{name}ndcg@5"]
      for name in ("real_", "share_", "")
    )
    assert math.isclose(share, own / real) and real > 0.3

  # Without the release and its secret the run does not spend again.
  release.unlink()
  with pytest.raises(ValueError, match="with another content"):
    experiment.build(given, workdir)


@pytest.mark.parametrize("design", ["gram", "refined"])
def test_without_noise_tastes_survive(design, prepared, tmp_path):
  given = config(prepared, design=design, **{"privacy.noise": "False"})
  result = experiment.run(given, tmp_path / "run", progress=False)
  assert result["privacy"] == {"unit": "user, all rows", "noise": False}
  assert not (tmp_path / "run" / "privacy").exists()
  metrics = result["metrics"]
  assert metrics["test/ndcg@5"] > 1.5 * metrics["test/popular_ndcg@5"]


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"design": "cluster"}, "design='cluster'"),
    ({"recommender": "bpr"}, "recommender='bpr'"),
    ({"privacy.most": "0"}, "privacy.most"),
    ({"privacy.delta": "1.5"}, "must be below 1"),
    ({"privacy.accountant": "moments"}, "privacy.accountant='moments'"),
  ],
)
def test_bad_options_are_refused_before_anything_is_spent(
  given, message, prepared, tmp_path
):
  with pytest.raises(ValueError, match=message):
    experiment.build(config(prepared, **given), tmp_path / "run")
  assert not (tmp_path / "run").exists()
