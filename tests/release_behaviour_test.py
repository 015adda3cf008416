"""Releases of made-up users: what they say; no broken one passes."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from programs import ROOT
from programs import run as run_script
from release_checks import QUICK, not_released, not_verified

from adv_rec.evaluation import audit_histories
from adv_rec.experiments import options
from adv_rec.experiments import private_behaviour as task
from adv_rec.models import fold_in
from adv_rec.privacy import accounting, behaviour
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release import make, verify

USERS, ITEMS = 120, 60
COLUMNS = "user=customer,item=sku,time=day"
FIRST = 7001  # id of the first item


def log():
  """Users of two tastes, with names and items of their own."""
  rng = np.random.default_rng(0)
  rows = []
  for user in range(USERS):
    liked = np.arange(ITEMS) % 2 == user % 2
    chance = np.where(liked, 0.5, 0.05)
    for item in np.flatnonzero(rng.random(ITEMS) < chance):
      rows.append((f"name of user {user}", FIRST + item, rng.integers(1, 100)))
  user, item, day = zip(*rows, strict=True)
  return pa.table({"customer": user, "sku": np.array(item), "day": day})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  place = tmp_path_factory.mktemp("release")
  pyarrow.csv.write_csv(log(), place / "sales.csv")
  return place


def given(folder, **more):
  return {
    "dataset": "",
    "data.path": str(folder / "sales.csv"),
    "top": "40",
    "rank": "4",
    "clusters": "4",
    "model.dim": "8",
  } | more


def config(folder, **more):
  loaded = options.load(ROOT / "configs/release/behaviour.py")
  columns = {"data.columns": COLUMNS}
  return options.override(loaded, given(folder, **columns) | more)


@pytest.fixture(scope="module")
def good(folder):
  """A release as a person makes it; tests change copies of it."""
  path = ROOT / "configs/release/behaviour.py"
  arg = ",".join(f"{n}={v}" for n, v in given(folder).items())
  done = run_script(
    "release",
    f"--config={path}:{arg}",
    f"--config.data.columns={COLUMNS}",
    "--epsilon=8",
    "--delta=1e-5",
    "--out=good",
    "--workdir=work",
    "--noprogress",
    cwd=folder,
  )
  assert done.status == 0, done.stderr
  assert "for each user with all rows" in done.stdout
  return folder / "good"


def test_a_release_is_what_it_says(good, folder):
  card = verify.verify(good)
  written = (folder / "work/privacy/ledger.jsonl").read_text().splitlines()[1:]
  spends = [Gaussian(**json.loads(line)["gaussian"]) for line in written]
  total = accounting.epsilon(spends, 1e-5, "pld")
  assert card["guarantee"]["epsilon"] == pytest.approx(total) and total <= 8
  assert [line["name"] for line in card["ledger"]] == [
    "counts",
    "gram",
    "table",
  ]
  assert 0.5 * total < card["probed_epsilon"] <= total
  assert card["guarantee"]["unit"] == task.UNIT

  made = pq.read_table(good / "data/sales.parquet")
  assert made.equals(pq.read_table(folder / "work/synthetic.parquet"))
  assert pyarrow.csv.read_csv(good / "data/sales.csv").num_rows == made.num_rows
  users = json.loads((folder / "work/result.json").read_text())["dataset"]
  users = users["counts"]["users"]
  assert 0 <= min(made["user"].to_pylist()) <= max(made["user"].to_pylist())
  assert max(made["user"].to_pylist()) < users
  known = set(range(FIRST, FIRST + ITEMS))
  assert set(made["item"].to_pylist()) <= known
  for path in good.rglob("*.*"):
    for hidden in (b"name of user", b"customer", str(folder).encode()):
      assert hidden not in path.read_bytes(), (path, hidden)
  page = (good / "card.html").read_text()
  for words in ("made-up users", "at most 200 items", "Outside of the guarant"):
    assert words in page


def test_figures_stay_at_home_if_asked(good, folder, tmp_path):
  shutil.copytree(folder / "work", tmp_path / "work")
  card = make.release(
    config(folder),
    tmp_path / "out",
    tmp_path / "work",
    QUICK._replace(figures=False, csv=False),
  )
  assert card["outside"] is None
  assert {p.name for p in (tmp_path / "out/data").iterdir()} == {
    "sales.parquet"
  }
  assert (tmp_path / "work/release/audit.json").exists()
  ledgers = (
    (place / "work/privacy/ledger.jsonl").read_text()
    for place in (folder, tmp_path)
  )
  assert len(set(ledgers)) == 1  # nothing is spent again


# What is broken in the code, and what says so.

counts, gram, table = behaviour.counts, behaviour.gram, behaviour.table
bounded = behaviour.bounded


def no_noise_on_counts(patch):
  patch.setattr(
    behaviour, "counts", lambda rows, noise, rng: counts(rows, 0.0, rng)
  )


def half_the_noise_on_the_gram(patch):
  patch.setattr(
    behaviour, "gram", lambda rows, top, z, rng: gram(rows, top, z / 2, rng)
  )


def no_noise_on_lists(patch):
  patch.setattr(
    behaviour,
    "table",
    lambda rows, member, num, z, rng: table(rows, member, num, 0.0, rng),
  )


def histories_of_any_norm(patch):
  def unbounded(indptr, items, num, most, rng):
    rows = bounded(indptr, items, num, most, rng)
    rows.data[:] = 1.0
    return rows

  patch.setattr(behaviour, "bounded", unbounded)


def histories_of_any_length(patch):
  def unbounded(indptr, items, num, most, rng):
    rows = bounded(indptr, items, num, 10**9, rng)
    rows.data *= np.sqrt(np.repeat(np.diff(rows.indptr), np.diff(rows.indptr)))
    rows.data /= np.sqrt(most)
    return rows

  patch.setattr(behaviour, "bounded", unbounded)


def sums_that_nobody_probes(patch):
  patch.setattr(task, "_probes", lambda config, workdir: {})


def items_are_those_that_were_bought(patch):
  """The catalogue cut to what occurs: a look at the rows."""
  kept = make.behaviour._declared

  def declared(config, workdir):
    (user, item), num = kept(config, workdir)
    half = item.categories[: len(item.categories) // 4]
    return (user, item._replace(categories=half)), num

  patch.setattr(make.behaviour, "_declared", declared)


BROKEN = {
  no_noise_on_counts: "'counts'.*noise",
  half_the_noise_on_the_gram: "'gram'.*noise",
  no_noise_on_lists: "'table'.*noise",
  histories_of_any_norm: "'counts'.*noise",
  histories_of_any_length: "'counts'.*noise",
  sums_that_nobody_probes: "each mechanism needs its line",
  items_are_those_that_were_bought: "not as declared",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: b.__name__)
def test_a_broken_mechanism_is_refused_before_anything_is_spent(
  broken, folder, tmp_path, monkeypatch
):
  broken(monkeypatch)
  not_released(config(folder), tmp_path, BROKEN[broken])


def test_real_histories_are_not_released(folder, tmp_path, monkeypatch):
  """A run that copies what it should have learnt from."""
  made = task._make

  def copied(config, data, workdir):
    made(config, data, workdir)
    if data.num_users > USERS:  # a rehearsal's
      return
    indptr, item = data.history(*config.fit.split("+"))
    user = np.repeat(np.arange(data.num_users), np.diff(indptr))
    ids = data.items["id"][item]
    own = pa.table({"user": user.astype(np.int32), "item": ids})
    pq.write_table(own, workdir / "synthetic.parquet")

  monkeypatch.setattr(task, "_make", copied)
  out = tmp_path / "out"
  with pytest.raises(ValueError, match=r"made-up users 100\.0% have the whole"):
    make.release(config(folder), out, tmp_path / "work", QUICK)
  assert not out.exists()
  assert (tmp_path / "work/release/audit.json").exists()


@pytest.mark.parametrize(
  ("more", "asked", "says"),
  [
    ({}, {"rows": 10}, "made-up users are drawn by the run"),
    ({}, {"drop": ("day",)}, "only the columns of data.columns are read"),
    ({"users": "1"}, {}, "ask for at least 2"),
    ({"privacy.noise": "False"}, {}, "not accounted for"),
    ({"model.dim": "500"}, {}, "users of 60 items allow 60 at most"),
    ({"data.columns": "user=who,item=sku,time=day"}, {}, "'who'"),
  ],
)
def test_what_cannot_be_released_is_refused(
  more, asked, says, folder, tmp_path
):
  options = QUICK._replace(**asked)
  not_released(config(folder, **more), tmp_path, says, options)


def of_rows(card):
  card["guarantee"]["unit"] = card["guarantee"]["protected"] = "row"


def less_noise_said(card):
  card["ledger"][0]["gaussian"]["noise_multiplier"] *= 2


def smaller_epsilon_said(card):
  card["guarantee"]["epsilon"] = 1.0


@pytest.mark.parametrize(
  "change", [of_rows, less_noise_said, smaller_epsilon_said]
)
def test_a_changed_card_is_not_verified(change, good, tmp_path):
  not_verified(good, tmp_path, change, r"card\.json|verify\.json|page")


def test_rows_of_no_user_are_not_verified(good, tmp_path):
  folder = tmp_path / "changed"
  shutil.copytree(good, folder)
  path = folder / "data/sales.parquet"
  made = pq.read_table(path)
  other = made["item"].to_numpy().copy()
  other[0] = FIRST - 1
  pq.write_table(made.set_column(1, "item", pa.array(other)), path)
  with pytest.raises(ValueError, match="sales"):
    verify.verify(folder)


# Closeness.


def matrix(*histories):
  user = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
  item = np.concatenate([np.array(h, int) for h in histories])
  return fold_in.matrix(user, item, (len(histories), 30))


def test_closest_histories_by_hand():
  real = matrix(range(6), range(3, 9), range(20, 26), range(2))
  made = matrix(range(20, 26), range(4), range(2))
  found = audit_histories.compare(
    real, made, 100, 0.95, np.random.default_rng(0)
  )
  # Of the made-up ones only the first is long, and is a copy.
  assert found["copies"]["made"]["value"] == 1
  assert found["copies"]["real"]["value"] == 0
  # A real user is not compared with itself.
  near = [3 / 9, 3 / 9, 0, 2 / 6]
  assert found["closest"]["real"]["value"] == pytest.approx(np.mean(near))
  near = [1, 4 / 6, 1]
  assert found["closest"]["made"]["value"] == pytest.approx(np.mean(near))
  assert found["rows"] == 3


def test_a_probe_finds_the_noise_there_is():
  noise = {"counts": 2.0, "gram": 1.0, "table": 0.5}
  probes = behaviour.probes(noise, lambda: noise, 7)
  for name, probe in probes.items():
    without, within = probe(400)
    # One user moves it by 1, in units of its noise.
    apart = abs(within.mean() - without.mean()) / without.std()
    assert apart == pytest.approx(1 / noise[name], rel=0.35), name
