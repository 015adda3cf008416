"""Runs are read as written, and drawn and told as read."""

import pytest
from report_samples import DATASET, attacked, log, make_run, markers

from adv_rec.report import curves, page, protocol, results, robustness

# Reading.


@pytest.mark.parametrize("text", [
  "", "{", "[1]", "3", "{}", '{"metrics": 3}', "\xff",
  '{"metrics": {}, "robustness": {}}', '{"metrics": {}, "robustness": [1]}',
  '{"metrics": {}, "dataset": "x"}',
])  # fmt: skip
def test_a_broken_result_is_one_line_that_names_the_file(tmp_path, text):
  run = tmp_path / "run"
  run.mkdir()
  (run / "result.json").write_bytes(text.encode("latin-1"))
  target = tmp_path / "report.html"
  with pytest.raises(ValueError) as error:
    page.write(target, "title", [run])
  assert str(run / "result.json") in str(error.value)
  assert "\n" not in str(error.value)
  assert list(tmp_path.iterdir()) == [run]


def test_a_missing_result_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"result\.json"):
    results.read(tmp_path)


def test_a_log_is_merged_by_step_and_its_torn_last_line_dropped(tmp_path):
  rows = [log(2, 1.0, loss=0.5), log(1, 0.5, loss=0.9), log(2, 1.5, ndcg=0.1)]
  run = make_run(tmp_path / "run", "APR", 0.1, [*rows, log(2, 1.6, loss=0.4)])
  with (run / "metrics.jsonl").open("a") as file:
    file.write('{"step": 3, "val')
  assert results.read(run).curve == [
    log(1, 0.5, loss=0.9),
    log(2, 1.6, loss=0.4, ndcg=0.1),
  ]
  with (run / "metrics.jsonl").open("a") as file:
    file.write("\n")
  with pytest.raises(ValueError, match=r"metrics\.jsonl, line 5"):
    results.read(run)


# Curves and robustness.


def test_curves_show_the_logged_values(tmp_path):
  rows = [log(100 * i, 2.0 * i, loss=1 / i, ndcg=0.01 * i) for i in (1, 2, 3)]
  run = results.read(make_run(tmp_path / "a", "APR", 0.1, rows))
  silent = results.read(make_run(tmp_path / "b", "EASE", 0.1))
  quality, loss = curves.charts(
    {"APR": run, "EASE": silent}, {"APR": 0, "EASE": 1}
  )
  assert list(markers(quality)) == [
    f"APR: {0.01 * i:.4g} at {2 * i}" for i in (1, 2, 3)
  ]
  assert list(markers(loss)) == [
    f"APR: {1 / i:.4g} at {100 * i}" for i in (1, 2, 3)
  ]
  assert curves.charts({"EASE": silent}, {"EASE": 0}) == []


def test_a_game_of_two_players_has_two_losses(tmp_path):
  values = {"train/generator/loss": 1.0, "train/discriminator/loss": 0.5}
  rows = [{"step": s, "wall_seconds": s, "values": values} for s in (1, 2)]
  run = results.read(make_run(tmp_path / "gan", "CFGAN", 0.1, rows))
  (chart,) = curves.charts({"CFGAN": run}, {"CFGAN": 0})
  assert set(markers(chart)) == {
    f"CFGAN, {player}: {loss} at {step}"
    for player, loss in (("generator", 1), ("discriminator", 0.5))
    for step in (1, 2)
  }


def test_robustness_is_against_relative_epsilon_and_shares_of_clean(tmp_path):
  run = make_run(tmp_path / "apr", "APR", 0.2, robustness=attacked(0.2))
  read = results.read(run)
  assert robustness.rows(read)[1] == (
    "fgm",
    {"item": 2.0},
    0.5,
    pytest.approx(0.15),
    pytest.approx(0.75),
  )
  ndcg, share, length = robustness.charts({"APR": read}, {"APR": 0})
  assert {name for name in markers(share) if "FGM" in name} == {
    "APR, FGM: 1 at 0",
    "APR, FGM: 0.875 at 0.25",
    "APR, FGM: 0.75 at 0.5",
    "APR, FGM: 0.5 at 1",
  }
  assert "APR, random noise: 0.175 at 1" in markers(ndcg)
  assert "APR, FGM: 0.15 at 2" in markers(length)
  # The same places whatever the absolute epsilon: rows of another length.
  records = [{**r, "epsilon": 99.0} for r in attacked(0.2)]
  longer = results.read(make_run(tmp_path / "b", "B", 0.2, robustness=records))
  *relative, moved = robustness.charts({"APR": longer}, {"APR": 0})
  assert relative == [ndcg, share]
  assert moved != length


def test_repeated_measurements_become_a_mean_and_a_band(tmp_path):
  records = [
    {"attack": "random", "epsilon": 1, "relative_epsilon": 1, "ndcg@10": value}
    for value in (0.08, 0.1)
  ]
  run = results.read(make_run(tmp_path / "a", "A", 0.1, robustness=records))
  ndcg, *_ = robustness.charts({"A": run}, {"A": 0})
  assert "A, random noise: 0.09 at 1" in markers(ndcg)
  assert '<polygon class="band"' in ndcg


def test_gaps_in_robustness_do_no_harm(tmp_path):
  records = [
    {"attack": "fgm"},
    {"attack": "fgm", "relative_epsilon": 1, "ndcg@10": None},
    {"relative_epsilon": 0.5, "ndcg@10": 0.1},
  ]
  for clean in (None, 0.0, 0.1):
    run = make_run(tmp_path / str(clean), "A", clean, robustness=records)
    page.write(tmp_path / "report.html", "t", [run])
  nothing = make_run(tmp_path / "nothing", "A", 0.1, robustness=[{"a": 1}])
  page.write(tmp_path / "report.html", "t", [nothing])


# The protocol in words.


def test_protocol_is_told_in_words():
  text = " ".join(protocol.sentences(DATASET))
  for words in ("first time", "(10-core)", "latest 20\u00a0% are test"):
    assert words in text
  assert "latest 10\u00a0% validation" in text
  assert "misses are ranked before hits" in text
  assert "Left out of a user's list: bought before." in text
  assert "None" not in text


def test_unknown_settings_are_shown_as_they_are():
  settings = {"split": "by moon", "ties": ["odd"], "feedback": "x", "k_core": 0}
  assert protocol.sentences({"protocol": settings}) == [
    "Feedback: x.",
    "Split: by moon.",
    "Ties: ['odd'].",
  ]
  assert protocol.sentences({}) == []
