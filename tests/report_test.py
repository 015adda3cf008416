"""The page: what the files say is what the reader sees."""

import re
import stat

import pytest
from report_samples import Reader, attacked, log, make_run

from adv_rec.report import page


@pytest.fixture
def written(tmp_path):
  rows = [log(i, i / 2, loss=1 / i, ndcg=0.01 * i) for i in (1, 2, 3)]
  runs = [
    make_run(tmp_path / "pop", "Popularity", 0.08313),
    make_run(
      tmp_path / "apr", "APR", 0.09931, rows, robustness=attacked(0.0993)
    ),
  ]
  (runs[0] / "metrics.jsonl").write_text("")
  target = tmp_path / "new" / "report.html"
  peer = {"method": "Peer", "source": "its log", "metrics": {"ndcg@10": 0.105}}
  page.write(target, "Title", runs, runs, [peer], ["A note."])
  return target


def test_numbers_of_the_page_come_from_the_files(written):
  reader = Reader(written.read_text())
  assert reader.stack == ["html"] or not reader.stack
  rows = {row[0]: row[1:] for row in reader.rows if len(row) == 4}
  assert rows["Method"] == ["nDCG", "Gini ↓", "Seconds"]
  assert rows["Popularity"] == ["0.0831", "0.900", "12.3"]
  assert rows["APR"] == ["0.0993", "0.900", "12.3"]
  assert rows["Peerits log"] == ["0.1050", "–", "–"]
  assert reader.all("b") == ["0.0993"]
  numbers = [row for row in reader.rows if len(row) == 6]
  assert numbers[1] == ["APR", "FGM", "item 1", "0.25", "0.0869", "87.5%"]
  assert len(numbers) == 1 + 6
  assert {"2,389", "17,141", "147,116"} <= set(reader.all("dd"))
  assert "APR: 0.03 at 1.5" in reader.all("title")
  assert "A note." in reader.all("p")
  assert any('"dim": 64' in text for text in reader.all("pre"))
  assert {"abc1234", "platform cpu, count 2", "jax 0.10.2"} <= set(
    reader.all("dd")
  )


def test_the_page_needs_nothing_from_elsewhere(written):
  text = written.read_text()
  reader = Reader(text)
  for tag, name, value in reader.attributes:
    assert name not in ("src", "href", "srcset", "style", "action"), (tag, name)
    assert "//" not in (value or "") or name == "xmlns"
  for forbidden in ("url(", "@import", "<script", "<link", "<img"):
    assert forbidden not in text


def test_the_page_is_whole_readable_and_reproducible(written, tmp_path):
  assert [file.name for file in written.parent.iterdir()] == ["report.html"]
  fresh = tmp_path / "fresh"
  fresh.write_text("")
  assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(
    fresh.stat().st_mode
  )
  before = written.read_text()
  page.write(
    written,
    "Title",
    [tmp_path / "pop", tmp_path / "apr"],
    [tmp_path / "pop", tmp_path / "apr"],
    [{"method": "Peer", "source": "its log", "metrics": {"ndcg@10": 0.105}}],
    ["A note."],
  )
  assert written.read_text() == before


def test_a_failed_write_leaves_the_old_page(written, tmp_path, monkeypatch):
  before = written.read_text()
  with pytest.raises(FileNotFoundError):
    page.write(written, "Other", [tmp_path / "pop", tmp_path / "gone"])
  with pytest.raises(ValueError, match="published row 1"):
    page.write(
      written, "Other", [tmp_path / "pop"], published=[{"method": "x"}]
    )
  with pytest.raises(ValueError, match="no runs"):
    page.write(written, "Other", [])
  with pytest.raises(ValueError, match="is a directory"):
    page.write(tmp_path, "Other", [tmp_path / "pop"])

  def full(*_):
    raise OSError("disk full")

  monkeypatch.setattr(page.os, "replace", full)
  with pytest.raises(OSError, match="disk full"):
    page.write(written, "Other", [tmp_path / "pop"])
  assert written.read_text() == before
  assert len(list(written.parent.iterdir())) == 1


def test_hostile_text_is_escaped_everywhere(tmp_path):
  evil = "</title><script>alert('x')</script>&\"<b>"
  rows = [log(i, i, loss=1 / i, ndcg=0.1) for i in (1, 2)]
  records = [{**record, "attack": evil} for record in attacked(0.1)]
  run = make_run(
    tmp_path / "run",
    evil,
    0.1,
    rows,
    robustness=records,
    dataset={"name": evil, "counts": {evil: 1}, "protocol": {"split": evil}},
    config={evil: evil},
    command=["python", evil],
    device=evil,
    commit=evil,
    seed=evil,
    versions={evil: evil},
  )
  other = make_run(tmp_path / "other", evil + "2", 0.2)
  target = tmp_path / "report.html"
  peer = {"method": evil, "source": evil, "metrics": {"ndcg@10": 0.1}}
  page.write(target, evil, [run, other], [run, other], [peer], [evil])
  text = target.read_text()
  assert "<script" not in text.lower()
  assert Reader(text).all("h1") == [evil]


def test_runs_of_different_protocols_are_pointed_out(tmp_path):
  one = make_run(tmp_path / "one", "One", 0.1)
  two = make_run(tmp_path / "two", "Two", 0.1, dataset={"name": "groceries"})
  target = tmp_path / "report.html"
  page.write(target, "t", [one, one])
  assert 'class="warning"' not in target.read_text()
  page.write(target, "t", [one, two])
  assert 'class="warning"' in target.read_text()


def test_curves_of_other_runs_share_label_and_colour(tmp_path):
  rows = [log(i, i, loss=1 / i) for i in (1, 2)]
  records = attacked(0.1)
  final = [
    make_run(tmp_path / name, name.upper(), 0.1, robustness=records)
    for name in ("bpr", "apr")
  ]
  fitted = [
    make_run(tmp_path / "tuned" / name, name.upper(), 0.1, rows)
    for name in ("apr", "bpr")
  ]
  target = tmp_path / "report.html"
  page.write(target, "t", [*final, final[0]], fitted)
  reader = Reader(target.read_text())
  assert [text.strip() for text in reader.all("summary")][-4:] == [
    "BPR",
    "APR",
    "APR, learning curve",
    "BPR, learning curve",
  ]
  groups = re.findall(
    r'<g class="(s\d)">(?:(?!<g class).)*?<title>(APR|BPR)', target.read_text()
  )
  assert len(groups) == 2 + 3 * 4 and len(set(groups)) == 2


def test_a_run_that_says_next_to_nothing_gets_its_page(tmp_path):
  run = tmp_path / "bare"
  run.mkdir()
  (run / "result.json").write_text('{"metrics": {"test/ndcg@10": NaN}}')
  target = tmp_path / "report.html"
  page.write(target, "t", [run], [run])
  text = target.read_text()
  assert "bare" in text and "nan" not in text.lower().replace("finance", "")
