"""Generated logs have the structure that they promise."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import planted


def whole(**kwargs):
  return pa.concat_tables(planted.catalogue(**kwargs))


def test_catalogue_has_low_rank_tastes_and_power_law_demand():
  users, items, rows = 400, 640, 60_000
  table = whole(num_users=users, num_items=items, interactions=rows)
  assert len(table) == rows
  user, item = (table[name].to_numpy() for name in ("user", "item"))
  assert 0 <= user.min() <= user.max() < users
  assert 0 <= item.min() <= item.max() < items
  # Shares of a user's tastes: the first gets .6 + .15 / 32, the second .25
  # more; where both are one, .85 and what chance adds.
  shares = np.zeros((users, planted.TASTES))
  np.add.at(shares, (user, item % planted.TASTES), 1)
  busy = shares.sum(axis=1) > 100
  shares = np.sort(shares[busy] / shares[busy].sum(axis=1, keepdims=True))
  two = shares[:, -2] > 0.1
  assert two.mean() > 0.9
  assert abs(shares[two, -1].mean() - (0.6 + 0.15 / 32)) < 0.01
  assert abs(shares[two, -2].mean() - (0.25 + 0.15 / 32)) < 0.01
  # Within a taste: P(rank < r) = log(1 + r) / log(1 + 20).
  rank = item // planted.TASTES
  for r in (1, 5, 19):
    expected = np.log1p(r) / np.log1p(items // planted.TASTES)
    assert abs((rank < r).mean() - expected) < 0.01


def test_catalogue_depends_on_the_seed_alone():
  settings = {"num_users": 50, "num_items": 64, "interactions": 5000}
  one = whole(**settings, block=1024)
  assert one.equals(whole(**settings, block=1024))
  assert not one.equals(whole(**settings, block=1024, seed=1))
  user = one["user"].to_numpy()
  assert (np.diff(user) >= 0).all()
  # Who is how active does not depend on the blocks.
  other = whole(**settings, block=5000)["user"].to_numpy()
  assert (user == other).all()


def test_write_catalogue(tmp_path):
  lines = []
  planted.write_catalogue(
    tmp_path / "log", 50, 64, 5000, files=1, progress=lines.append
  )
  written = pq.read_table(tmp_path / "log" / "part-00000.parquet")
  settings = {"num_users": 50, "num_items": 64, "interactions": 5000}
  assert written.equals(whole(**settings))
  assert lines == ["5,000 of 5,000 rows in 1 files"]
  with pytest.raises(FileExistsError, match="not empty"):
    planted.write_catalogue(tmp_path / "log", 50, 64, 5000)

  def interrupted(line):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    planted.write_catalogue(
      tmp_path / "new", 50, 64, 5000, files=1, progress=interrupted
    )
  assert [path.name for path in tmp_path.iterdir()] == ["log"]
