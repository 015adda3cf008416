"""Rows of fields become rows of a table; what is unknown has one of its own."""

import numpy as np
import pyarrow as pa
import pytest

from adv_rec.data import ctr, examples, fields
from adv_rec.data.fields import Column

COLUMNS = (
  Column("shop", "category"),
  Column("age", "number"),
  Column("tags", "list", length=3),
  Column("query", "text", length=4),
  Column("before", "list", of="shop", length=2),
)
TABLE = pa.table(
  {
    "shop": ["b", "a", "b", None],
    "age": [10.0, 20.0, 30.0, None],
    "tags": ["x|y", "y", "", "x| y |y|x"],
    "query": ["Red shoes, red!", "shoes", None, "hat"],
    "before": [["a"], [], None, ["b", "a", "b"]],
  }
)


def fitted():
  return fields.fit(TABLE, COLUMNS)


def test_each_value_has_its_row_and_weight():
  known = fitted()
  # shop ?, a, b; age ?, age; tags ?, x, y; query ?, hat, red, shoes.
  assert [field.first for field in known] == [0, 3, 5, 8, 0]
  assert fields.total(known) == 12
  rows = fields.encode(TABLE, known)
  end = 12
  np.testing.assert_array_equal(
    rows["rows"],
    [
      [2, 4, 6, 7, end, 10, 11, 10, end, 1, end],
      [1, 4, 7, end, end, 11, end, end, end, 0, end],
      [2, 4, 5, end, end, 8, end, end, end, 0, end],
      [0, 3, 6, 7, 7, 9, end, end, end, 2, 1],
    ],
  )
  third, half, z = 1 / 3, 1 / 2, 1.5**0.5
  np.testing.assert_allclose(
    rows["weights"],
    [
      [1, -z, half, half, 0, third, third, third, 0, 1, 0],
      [1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0],
      [1, z, 1, 0, 0, 1, 0, 0, 0, 1, 0],
      [1, 1, third, third, third, 1, 0, 0, 0, half, half],
    ],
    atol=1e-6,
  )


def test_what_training_has_not_seen_is_unknown():
  known = fitted()
  row = {"shop": "new", "age": None, "tags": "z", "query": "!", "before": ["n"]}
  rows = fields.encode(pa.Table.from_pylist([row]), known)
  assert rows["rows"][0].tolist() == [0, 3, 5, 12, 12, 8, 12, 12, 12, 0, 12]
  once = fields.fit(TABLE, COLUMNS, minimum=2)
  assert once[0].values == ("b",)
  assert once[3].values == ("red", "shoes")


def test_codes_do_not_depend_on_how_a_whole_number_is_written():
  columns = [Column("id", "category")]
  known = fields.fit(pa.table({"id": [3, 10, 7]}), columns)
  for same in ([7, 3], [7.0, 3.0], ["7", " 3 "], [7.0, 3.0, None]):
    rows = fields.encode(pa.table({"id": same}), known)["rows"][:, 0]
    assert rows.tolist()[:2] == [1 + known[0].values.index(v) for v in "73"]
  assert rows[2] == 0


def test_fields_are_read_as_they_were_written(tmp_path):
  fields.save(tmp_path / "fields.json", fitted())
  assert fields.load(tmp_path / "fields.json") == fitted()
  (tmp_path / "bad.json").write_text("{}")
  with pytest.raises(ValueError, match="holds no fields"):
    fields.load(tmp_path / "bad.json")


@pytest.mark.parametrize(
  ("table", "columns", "message"),
  [
    (TABLE, [Column("shap", "category")], "no column 'shap'; they have shop"),
    (TABLE, [Column("shop", "number")], "'shop' holds string, not numbers"),
    (TABLE, [Column("before", "category")], "'before' holds list"),
    (TABLE, [COLUMNS[0]] * 2, "'shop' is named twice"),
    (TABLE, [COLUMNS[4]], "a list of 'shop', which is no category before it"),
    (
      pa.table({"city": pa.array([b"K\xf6ln", b"Bonn"])}),
      [Column("city", "category")],
      "'city' holds text that is not UTF-8",
    ),
  ],
)
def test_columns_that_are_not_as_said_are_refused(table, columns, message):
  with pytest.raises(ValueError, match=message):
    fields.fit(table, columns)


def test_parts_by_time_do_not_cut_a_moment_in_two():
  times = np.array([5, 1, 2, 3, 4, 4, 4, 4, 0, 9])
  part = examples.by_time(times, (0.3, 0.2))
  assert part.tolist() == [2, 0, 0, 0, 1, 1, 1, 1, 0, 2]
  part = examples.at_random(1000, (0.2, 0.1))
  assert np.bincount(part).tolist() == [700, 200, 100]
  np.testing.assert_array_equal(part, examples.at_random(1000, (0.2, 0.1)))


def test_frappe_is_paired_with_apps_not_used_in_that_context():
  found = _find("frappe")
  assert found.table.num_rows == 3 * 96_203
  assert examples.counts(found.table)["train"] == 202_026
  label = found.table["label"].to_numpy()
  assert label.sum() == 96_203
  keys = [
    tuple(row.values())
    for row in found.table.select([c.name for c in found.columns]).to_pylist()
  ]
  used = {key for key, yes in zip(keys, label, strict=True) if yes}
  assert not used & {k for k, yes in zip(keys, label, strict=True) if not yes}
  assert found.table.equals(_find("frappe").table)


def test_a_rating_knows_the_films_before_it():
  table = _find("movielens_100k").table
  rows = [r for r in table.to_pylist() if r["user"] == 1]
  assert [len(r["recent"]) for r in rows[:12]] == [*range(11), 10]
  assert rows[11]["recent"] == [r["item"] for r in rows[10:0:-1]]


def _find(name):
  try:
    return ctr.find(name)
  except FileNotFoundError as error:
    pytest.skip(str(error))
