"""Promotion response of a shop made up here: what is drawn, what is known."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adv_rec.data import engines, examples, promotions


def shop(folder, weeks=53, seed=0, late=lambda week: False):
  """Twelve households, two stores; `late` weeks are bought quite otherwise."""
  rng = np.random.default_rng(seed)
  folder.mkdir()
  products = np.arange(30)
  pq.write_table(
    pa.table(
      {
        "product_id": products,
        "manufacturer_id": products % 4,
        "department": ["food"] * 30,
        "brand": ["own"] * 30,
        "product_category": [f"kind {p % 5}" for p in products],
        "product_type": [f"type {p % 7}" for p in products],
      }
    ),
    folder / "products.parquet",
  )
  bought = []
  for week in range(1, weeks + 1):
    for household in range(12):
      taken = rng.choice(30, 8, replace=False)
      if late(week):
        taken = (taken + 11) % 30
      bought += [(household, household % 2, int(p), week) for p in taken]
  columns = ("household_id", "store_id", "product_id", "week")
  pq.write_table(
    pa.table(dict(zip(columns, np.array(bought).T, strict=True))),
    folder / "transactions.parquet",
  )
  offers = [
    (p, store, week)
    for week in range(1, weeks + 1)
    for store in (0, 1)
    for p in products
    if (p + week) % 3 == 0
  ]
  product, store, week = np.array(offers).T
  pq.write_table(
    pa.table(
      {
        "product_id": product,
        "store_id": store,
        "week": week,
        "display_location": ["0", "5"] * (len(offers) // 2),
        "mailer_location": ["A", "A"] * (len(offers) // 2),
      }
    ),
    folder / "promotions.parquet",
  )
  demographics = {name: ["one", None] for name in promotions._HOUSEHOLD}
  pq.write_table(
    pa.table({"household_id": [0, 1], **demographics}),
    folder / "demographics.parquet",
  )
  return folder


def test_placements_are_drawn_from_those_promoted(tmp_path):
  folder = shop(tmp_path / "shop")
  found = promotions.retail(folder)
  table = found.table
  assert found.table.equals(promotions.retail(folder).table)
  log = pq.read_table(folder / "transactions.parquet").to_pylist()
  bought = {tuple(row.values()) for row in log}
  offered = [r for r in bought if (r[2] + r[3]) % 3 == 0 and r[3] >= 9]
  label = table["label"].to_numpy()
  np.testing.assert_allclose(
    label.sum(), len(offered) * found.kept[1], rtol=0.2
  )
  # Of few placements many draws are of one, or of an answered one.
  assert label.sum() < (label == 0).sum() <= 3 * label.sum()
  # Twelve households see ten products a week, in 45 weeks.
  missed = 12 * 10 * 45 - len(offered)
  np.testing.assert_allclose((label == 0).sum() / missed, found.kept[0])
  counts = examples.counts(table)
  assert counts["train"] > counts["test"] > counts["validation"] > 0
  known = table["age"].is_valid().to_numpy()
  assert set(table["household"].filter(pa.array(known)).to_pylist()) == {0}


def _known(folder):
  """What is known of fixed placements, by the row."""
  rows = {
    "row": list(range(36)),
    "household": [n % 12 for n in range(36)],
    "week": [20 + n // 12 for n in range(36)],
    "product": [n % 30 for n in range(36)],
  }
  with engines.duckdb() as engine:
    log, products = (
      engine.read_parquet([str(folder / f"{name}.parquet")])
      for name in ("transactions", "products")
    )
    log = promotions.purchases(log, products)
    placed = engine.table(pa.table(rows))
    history = engine.collect(promotions.with_history(placed, log))
    recent = engine.collect(promotions.last_categories(placed, log))
  history = history.sort_by("row")
  return history, recent.sort_by(
    [("household", "ascending"), ("week", "ascending")]
  )


def test_a_placement_knows_earlier_weeks_only(tmp_path):
  plain = _known(shop(tmp_path / "plain"))
  for name, late, same in (
    ("later", lambda week: week >= 20, 12),
    ("earlier", lambda week: week < 20, 0),
  ):
    other = _known(shop(tmp_path / name, late=late))
    # The first twelve are of week 20; the next know of week 20.
    assert other[0].slice(0, 12).equals(plain[0].slice(0, 12)) == bool(same)
    assert not other[0].equals(plain[0])
    weeks = [table["week"].to_numpy() == 20 for table in (other[1], plain[1])]
    first = [
      table.filter(pa.array(own))
      for table, own in zip((other[1], plain[1]), weeks, strict=True)
    ]
    assert first[0].equals(first[1]) == bool(same)


def test_history_is_counted(tmp_path):
  folder = shop(tmp_path / "shop")
  history, recent = _known(folder)
  log = pq.read_table(folder / "transactions.parquet").to_pylist()
  for row in history.to_pylist():
    past = [r for r in log if r["week"] < row["week"]]
    own = {r["week"] for r in past if r["household_id"] == row["household"]}
    assert row["weeks"] == pytest.approx(np.log1p(len(own)))
    times = [
      r["week"]
      for r in past
      if r["household_id"] == row["household"]
      and r["product_id"] == row["product"]
    ]
    assert row["own_times"] == pytest.approx(np.log1p(len(times)))
    if times:
      since = np.log1p(row["week"] - max(times))
      assert row["own_since"] == pytest.approx(since)
    else:
      assert row["own_since"] is None
    sold = [r["week"] for r in past if r["product_id"] == row["product"]]
    assert row["buyers"] == pytest.approx(np.log1p(len(sold)))
    lately = sum(row["week"] - week <= 4 for week in sold)
    assert row["buyers_lately"] == pytest.approx(np.log1p(lately))
  # Five categories, all of them bought before.
  assert all(sorted(r) == sorted(set(r)) for r in recent["recent"].to_pylist())
  assert {len(r) for r in recent["recent"].to_pylist()} == {5}


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="pip install completejourney"):
    promotions.retail(tmp_path)
