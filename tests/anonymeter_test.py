"""The benchmark of audits against Anonymeter: its bookkeeping."""

import pathlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def anonymeter(own_flags):
  import anonymeter as module

  return module


def test_a_leak_copies_the_share_that_it_says(anonymeter):
  made = pa.table({"x": np.arange(100), "from": ["made"] * 100})
  source = pa.table({"x": np.arange(300), "from": ["source"] * 300})
  leaky = anonymeter.leak(made, source, 0.1, np.random.default_rng(0))
  assert leaky.num_rows == 100 == len(set(map(str, leaky.to_pylist())))
  origin = leaky["from"].to_pylist()
  assert origin.count("source") == 10
  assert "source" in origin[:80]  # and not behind the others


def test_the_source_is_what_the_control_has_not(anonymeter):
  whole = pa.table({"pay-rate": [1, 2, 2, 3], "kind": [" a", " b", " b", " c"]})
  control = pa.table({"pay_rate": [2, 9], "kind": ["b", "c"]})
  found = anonymeter.beside(whole, control)
  assert found.to_pydict() == {"pay_rate": [1, 3], "kind": ["a", "c"]}


def side(value, low, high):
  return {"value": value, "low": low, "high": high}


def entry(anonymeter, risk, source=0.2):
  ours = {
    "attacks": 100,
    "source": side(source, source - 0.05, source + 0.05),
    "control": side(0.1, 0.05, 0.15),
    "risk": side(risk, risk - 0.02, risk + 0.02),
  }
  theirs = {
    "attacks": 100,
    "source": 20.0,
    "control": 10.0,
    "risk": side(0.11, 0.06, 0.16),
  }
  return anonymeter.verdict(ours, theirs, 0.95)


def test_a_risk_is_judged_by_the_interval_of_the_peer(anonymeter):
  same, near, far = (entry(anonymeter, risk) for risk in (0.11, 0.17, 0.3))
  assert [e["inside"] for e in (same, near, far)] == [True, False, False]
  assert [e["overlap"] for e in (same, near, far)] == [True, True, False]
  assert same["anonymeter"]["source"]["value"] == 0.2
  assert same["rates_inside"] == {"source": True, "control": True}
  other = entry(anonymeter, 0.11, source=0.4)
  assert other["rates_inside"] == {"source": False, "control": True}
  tables = {
    "generator": {"rows": {"source": 5}, "attacks": {"one": same}},
    "leak": {"rows": {"source": 5}, "attacks": {"one": same, "two": far}},
  }
  rows = anonymeter.targets(tables)
  assert [(row["found"], row["met"]) for row in rows] == [
    (1, True),
    (0.5, False),
  ]
  assert anonymeter.text({"targets": rows}).count("missed") == 1
  text = anonymeter.table_text(tables["leak"])
  assert text.count("inside") == 1 == text.count("OUTSIDE")


def test_an_interpreter_without_the_package_is_refused(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      str(ROOT / "benchmarks" / "anonymeter.py"),
      f"--python={sys.executable}",
      f"--out={tmp_path / 'out'}",
    ],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1
  assert "No module named 'anonymeter'" in done.stderr.splitlines()[-1]
  assert not (tmp_path / "out").exists()
