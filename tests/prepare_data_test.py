"""scripts/prepare_data.py as a person runs it."""

import os
import pathlib
import subprocess
import sys

import pytest

from adv_rec.data import dataset

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOG = "customer;article;when\n" + "".join(
  f"c{u};a{i};2024-01-{(3 * u + 5 * i) % 28 + 1:02}\n"
  for u in range(6)
  for i in range(5)
)
OWN = ("--path=sales.csv", "--columns=user=customer,item=article,time=when")


def run(folder, *arguments):
  (folder / "sales.csv").write_text(LOG)
  environment = {**os.environ, "PYTHONPATH": str(ROOT)}
  return subprocess.run(
    [sys.executable, ROOT / "scripts" / "prepare_data.py", *arguments],
    cwd=folder,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )


def test_own_log_end_to_end(tmp_path):
  done = run(tmp_path, *OWN, "--k_core=5", "--split=leave_one_out", "--out=d")
  assert done.returncode == 0, done.stderr
  assert done.stderr == ""
  assert "read: 30 interactions, 6 users, 5 items" in done.stdout
  table = [line.split() for line in done.stdout.splitlines()[-5:]]
  assert table == [
    ["users", "6"],
    ["items", "5"],
    ["train", "18"],
    ["validation", "6"],
    ["test", "6"],
  ]
  data = dataset.load(tmp_path / "d")
  assert data.name == "sales"
  assert data.protocol["k_core"] == 5
  assert data.protocol["source"] == {
    "files": ["sales.csv"],
    "columns": {"user": "customer", "item": "article", "time": "when"},
  }
  assert data.users["id"].tolist() == [f"c{u}" for u in range(6)]
  days = {i: (3 * 2 + 5 * i) % 28 for i in range(5)}
  last = max(days, key=lambda i: days[i])
  test = dict(zip(data.test.user.tolist(), data.test.item, strict=True))
  assert data.items["id"][test[2]] == f"a{last}"


def test_repeat_protocol_in_shards(tmp_path):
  done = run(
    tmp_path, *OWN, "--k_core=2", "--protocol=repeat", "--shards=2", "--out=d"
  )
  assert done.returncode == 0, done.stderr
  data = dataset.load(tmp_path / "d")
  assert data.protocol["split"] == "temporal_global"
  assert data.protocol["mask"] == "none"
  assert (tmp_path / "d" / "train-00001-of-00002.parquet").is_file()


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (("--dataset=completejourny", "--out=d"), "did you mean completejourney?"),
    (("--outt=d",), "Unknown command line flag 'outt'"),
    ((*OWN, "--k_core=7", "--out=d"), "nothing is left after the step"),
    (("--path=gone.csv", "--out=d"), "no file is at gone.csv"),
    ((*OWN, "--out=sales.csv"), "sales.csv is not a directory"),
    (("--path=sales.csv", "--columns=user", "--out=d"), "not ROLE=COLUMN"),
    ((*OWN, "--protocol=given", "--out=d"), "there are first, repeat"),
    ((*OWN, "--master=local", "--out=d"), "--master goes with --engine=spark"),
    ((*OWN, "--memory=lots", "--out=d"), "memory='lots' is not an amount"),
    (OWN, "say where to write: --out=DIRECTORY"),
  ],
)
def test_mistakes_end_in_one_line(tmp_path, arguments, message):
  done = run(tmp_path, *arguments)
  assert done.returncode == 1
  assert done.stderr.startswith("error: ") and message in done.stderr
  assert done.stderr.count("\n") == 1
  assert os.listdir(tmp_path) == ["sales.csv"]


def test_help_shows_how_to_start(tmp_path):
  done = run(tmp_path, "--help")
  assert done.returncode == 0
  assert "--dataset=completejourney --out=" in done.stdout
  assert "--columns=user=customer,item=sku,time=sold_at" in done.stdout
