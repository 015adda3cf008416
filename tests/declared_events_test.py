"""Logs of events by what is declared of them, real ones and made-up ones."""

import json

import numpy as np
import pyarrow as pa
import pytest
from private_events_test import AISLES, DECLARED, NAMES, log

from adv_rec.data import declared_events, event_codes, events
from adv_rec.release import declares


def test_codes_depend_on_the_row_and_on_what_is_declared_alone():
  whole = declared_events.conform(events.make(log()), DECLARED)
  coding = declared_events.coding(DECLARED, whole)
  assert coding.sizes == (len(AISLES) * 2 + 1, 5, 4)
  rng = np.random.default_rng(0)
  every = event_codes.encode(whole, coding, rng)
  few = whole.take(whole.user < 3)
  codes = event_codes.encode(few, coding, rng).codes
  np.testing.assert_array_equal(codes, every.codes[: len(codes)])
  # Days in 0, (0, 1], (1, 3], ...; dollars alike.
  values = np.array([0, 0.1, 1.9, 3.5, 1000]) * whole.day
  assert coding.gap.encode(values, rng).tolist() == [0, 1, 2, 3, 4]
  paid = np.array([0.0, 0.01, 19.0, 10_000.0])
  assert coding.amount.encode(paid, rng).tolist() == [0, 1, 2, 3]
  cells = np.repeat([0, 1, 2, 3], 50)
  again = coding.amount.encode(coding.amount.decode(cells, rng), rng)
  np.testing.assert_array_equal(again, cells)


def test_what_is_not_declared_is_refused(tmp_path):
  narrow = DECLARED._replace(kinds={"buy": AISLES, "view": ("tea",)})
  with pytest.raises(
    ValueError, match=r"type 'view' and category '(milk|soap)'"
  ):
    declared_events.conform(events.make(log()), narrow)
  numbers = DECLARED._replace(first=0, last=100)
  with pytest.raises(ValueError, match="one has dates, the other numbers"):
    declared_events.conform(events.make(log()), numbers)
  for bad in ({"gaps": (1, 2)}, {"last": "2023-01-01"}, {"kinds": {}}):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(DECLARED._asdict() | bad))
    with pytest.raises(ValueError, match="declares no log of events"):
      declared_events.load(path)


# What is declared of the rows.


def rows(**changed):
  """Two events as they may be released, or with other values."""
  values = {
    "customer": ["generated0", "generated4"],
    "what": ["buy", "view"],
    "aisle": ["tea", "never"],
    "when": [np.datetime64("2024-01-01", "us")] * 2,
    "paid": [1.25, 500.0],
  }
  return pa.table(values | changed)


@pytest.mark.parametrize(
  ("changed", "says"),
  [
    ({"customer": ["u1", "generated4"]}, "have u1, which is no made-up user"),
    ({"customer": ["generated0", "generated5"]}, "generated5"),
    ({"what": ["buy", "search"]}, "type 'search' and category 'never'"),
    ({"when": [np.datetime64("2023-12-31T23:59", "us")] * 2}, "moment"),
    ({"when": [np.datetime64("2024-01-01T00:00:00.5", "us")] * 2}, "moment"),
    ({"paid": [1.255, 0.0]}, "1.255, which is no declared amount"),
    ({"paid": [-1.0, 0.0]}, "amount"),
    ({"paid": [float("nan"), 0.0]}, "amount"),
    ({"paid": [1, 2]}, "paid: int64.*paid: double"),
  ],
)
def test_rows_are_checked_by_what_is_declared_alone(changed, says):
  found = declares.read(declares.events(DECLARED, NAMES, 5))
  assert list(found.types) == NAMES
  found.check(rows())
  with pytest.raises(ValueError, match=says):
    found.check(rows(**changed))


def test_numbers_may_be_moments():
  ends = DECLARED._replace(first=0, last=100)
  found = declares.read(declares.events(ends, NAMES, 5))
  found.check(rows(when=pa.array([0, 100])))
  with pytest.raises(ValueError, match="have 101, which is no declared moment"):
    found.check(rows(when=pa.array([0, 101])))
