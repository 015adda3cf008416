"""Tables: aligned, and the best is the best."""

import math

import pytest

from adv_rec.report import table


def rows_for_table():
  def result(title, ndcg, gini, seconds):
    metrics = {"test/ndcg@10": ndcg, "test/gini@10": gini}
    return {"title": title, "metrics": metrics, "wall_seconds": seconds}

  return [
    result("Popularity", 0.0831, 0.993, 0.6),
    result("EASE", 0.1072, 0.941, 2012.0),
    result("A method with a long name", None, 0.908, None),
  ]


def test_table_is_aligned_and_marks_the_best():
  text = table.comparison(rows_for_table(), ["ndcg@10", "gini@10", "seconds"])
  assert text.splitlines() == [
    "Method                     nDCG@10   Gini@10   Seconds",
    "-------------------------  --------  --------  --------",
    "Popularity                  0.0831     0.993       0.6",
    "EASE                        0.1072*    0.941     2,012",
    "A method with a long name        -     0.908*        -",
  ]


def test_markdown_marks_the_best_and_escapes_bars():
  rows = rows_for_table()
  rows[0]["title"] = "a|b\nc"
  lines = table.markdown(rows, ["ndcg@10", "gini@10"]).splitlines()
  assert lines[1] == "| --- | ---: | ---: |"
  assert lines[2] == "| a\\|b c | 0.0831 | 0.993 |"
  assert lines[3] == "| EASE | **0.1072** | 0.941 |"
  assert lines[4] == "| A method with a long name | - | **0.908** |"


def test_best_is_by_direction_and_by_what_is_written():
  def ndcg(*values):
    return [{"metrics": {"ndcg@10": value}} for value in values]

  assert table.best(rows_for_table(), "ndcg@10") == {1}
  assert table.best(rows_for_table(), "gini@10") == {2}
  assert table.best(rows_for_table(), "seconds") == set()
  assert table.best(ndcg(0.10001, 0.10002, 0.05), "ndcg@10") == {0, 1}
  assert table.best(ndcg(0.1, 0.1), "ndcg@10") == set()
  assert table.best(ndcg(0.1), "ndcg@10") == set()
  assert table.best(ndcg(math.nan, 0.1, 0.2), "ndcg@10") == {2}


def test_rows_of_one_title_are_told_apart():
  twice = [{"title": "APR", "seed": s, "metrics": {}} for s in (0, 1, 1)]
  assert table.labels([*twice, {"name": "ease"}]) == [
    "APR, seed 0",
    "APR, seed 1",
    "APR, seed 1 (2)",
    "ease",
  ]


def test_a_table_of_nothing_is_refused():
  with pytest.raises(ValueError, match="no results"):
    table.comparison([])
