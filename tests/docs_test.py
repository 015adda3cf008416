"""The documents say what the result files say, and name what exists."""

import json
import pathlib
import re
import runpy
import sys

import pytest

from adv_rec.report import blocks

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def report(monkeypatch, own_flags):
  monkeypatch.syspath_prepend(str(ROOT / "scripts"))
  monkeypatch.setattr(sys, "argv", ["report.py"])
  return runpy.run_path(str(ROOT / "scripts" / "report.py"))


def test_readme_shows_the_result_file(report):
  result = json.loads((ROOT / "docs/results/quickstart.json").read_text())
  readme = (ROOT / "README.md").read_text()
  table = report["markdown"](result)
  assert blocks.replace(readme, "quickstart", table) == readme
  assert (ROOT / report["PICTURE"]).read_text() == report["picture"](result)


def test_result_file_meets_the_claims_made_of_it():
  result = json.loads((ROOT / "docs/results/quickstart.json").read_text())
  ndcg = {r["name"]: r["metrics"]["test/ndcg@10"] for r in result["runs"]}
  assert abs(ndcg["popularity"] - 0.0827) < 0.001
  assert ndcg["ease"] >= 0.105
  assert ndcg["bpr"] > 0.094
  assert ndcg["apr"] >= ndcg["bpr"]


@pytest.mark.parametrize(
  "document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"]
)
def test_documents_name_files_that_exist(document):
  text = (ROOT / document).read_text()
  pattern = r"(?:(?:configs|scripts|docs|notebooks|tests|adv_rec)/[\w/]+\.\w+)"
  missing = [p for p in re.findall(pattern, text) if not (ROOT / p).exists()]
  missing = [p for p in missing if not p.startswith("notebooks/")]
  assert not missing


def test_blocks_need_their_marks():
  with pytest.raises(ValueError, match="no block"):
    blocks.replace("text", "results", "x")
  text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
  assert blocks.replace(text, "x", "new").splitlines()[2] == "new"
