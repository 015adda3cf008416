"""What households and products stand out by, on a log that can be counted."""

import datetime

import pyarrow as pa
import pytest

from adv_rec.data import shopping


def log():
  """Ten households buy milk; household 3 buys tea for as much, 4 a little."""
  rows = [(h, 1, "MILK", "whole", 50.0, 9) for h in range(10)]
  rows += [(3, 2, "TEA", "green", 50.0, 20), (4, 2, "TEA", "green", 1.0, 20)]
  rows += [(3, 3, "TEA", "black", 5.0, 21), (4, 4, None, "soap", 2.0, 3)]
  names = (
    "household_id", "product_id", "product_category", "product_type",
    "sales_value", "transaction_timestamp",
  )  # fmt: skip
  columns = [list(column) for column in zip(*rows, strict=True)]
  columns[5] = [datetime.datetime(2017, 5, 1, hour) for hour in columns[5]]
  return pa.table(dict(zip(names, columns, strict=True)))


def test_tastes_are_lifts_over_everybody():
  first, second = shopping.tastes(log(), 3)
  assert (first["name"], second["name"]) == ("TEA", "MILK")
  expected = 105 * 56 / 556  # of its dollars
  assert first["lift"] == pytest.approx((55 + 20) / (expected + 20))
  assert first["share"] == pytest.approx(55 / 105)
  assert second["lift"] < 1 < first["lift"]
  # A single dollar is no taste of that size.
  assert shopping.tastes(log(), 4)[0]["lift"] < 1.5


def test_what_was_bought_in_a_category():
  assert shopping.bought(log(), 3, "TEA") == [
    {"name": "green", "dollars": 50.0},
    {"name": "black", "dollars": 5.0},
  ]
  assert shopping.bought(log(), 0, "TEA") == []


def test_a_product_and_its_buyers():
  found = shopping.product(log(), 2)
  assert found["name"] == "TEA, green" and found["buyers"] == [3, 4]
  assert (found["lines"], found["dollars"]) == (2, 51.0)
  assert found["times"]["evening"] == 1
  beside = {one["name"]: one for one in shopping.beside(log(), [3, 4])}
  assert beside["whole"]["lift"] == pytest.approx(1)
  assert beside["green"]["share"] == 1
  assert beside["green"]["lift"] == pytest.approx((2 + 5) / (0.4 + 5))
  with pytest.raises(ValueError, match="no household has bought it"):
    shopping.product(log(), 99)
