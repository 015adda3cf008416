"""Two processes with one device each end where one process does."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest

from adv_rec.data import interactions, planted
from adv_rec.data.protocol import Protocol
from adv_rec.training import metrics

ROOT = pathlib.Path(__file__).resolve().parents[1]
OPTIONS = (
  "dataset=,epochs=20,evaluate_every=5,checkpoint_every=5,batch_size=64,"
  "model.dim=8,learning_rate=0.1,evaluation.ks=(5,10),"
  "evaluation.robustness=(0.5,)"
)


# Runs a program, and says at its end which shards it has opened.
WATCHED = r"""
import atexit, os, re, runpy, sys
opened = set()

def watch(event, arguments):
  found = re.search("train-([0-9]+)-of", str(arguments))
  if event == "open" and found:
    opened.add(int(found[1]))

sys.addaudithook(watch)
atexit.register(lambda: print("opened", sorted(opened), file=sys.stderr))
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(data, workdir, processes=1, process=0, port=0):
  arguments = [
    sys.executable,
    "-c",
    WATCHED,
    str(ROOT / "scripts" / "train.py"),
    f"--config={ROOT}/configs/recommend/apr.py:{OPTIONS},{data}",
    f"--workdir={workdir}",
    "--noprogress",
  ]
  if processes > 1:
    arguments += [
      "--distributed",
      f"--coordinator=localhost:{port}",
      f"--processes={processes}",
      f"--process={process}",
    ]
  return subprocess.Popen(
    arguments,
    env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def start_two(data, workdir):
  with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
  return [start(data, workdir, 2, process, port) for process in range(2)]


def finish(processes, status=0):
  """Their outputs and errors, once all have ended as they should."""
  ends = [process.communicate(timeout=120) for process in processes]
  for process, (_, errors) in zip(processes, ends, strict=True):
    assert process.returncode == status, errors
  return ends


def outcome(workdir):
  result = json.loads((workdir / "result.json").read_text())
  rows = metrics.read(workdir / "metrics.jsonl")
  losses = [row["values"]["train/model/loss"] for row in rows]
  return result, [row["step"] for row in rows], losses


def test_two_processes_are_one_run(log, tmp_path):
  data = f"data.path={log},data.k_core=0"
  alone = start(data, tmp_path / "one")

  # SIGTERM to either stops both, after the same call; then they go on.
  pair = start_two(data, tmp_path / "two")
  rows = tmp_path / "two" / "metrics.jsonl"
  while not rows.exists() or rows.read_text().count("\n") < 2:
    assert all(p.poll() is None for p in pair), finish(pair)
    time.sleep(0.01)
  pair[1].send_signal(signal.SIGTERM)
  saved = {
    errors.split("saved step ")[1].split(";")[0]
    for _, errors in finish(pair, 143)
  }
  assert len(saved) == 1
  ends = finish(start_two(data, tmp_path / "two"))
  for output, errors in ends:
    assert f"going on from step {saved.copy().pop()}\n" in errors
    assert '"test/ndcg@10"' in output
  finish([alone])

  expected, steps, losses = outcome(tmp_path / "one")
  found, found_steps, found_losses = outcome(tmp_path / "two")
  assert found["device"]["count"] == 2 and expected["device"]["count"] == 1
  assert found["dataset"] == expected["dataset"]
  assert found_steps == steps
  # Each process sums its half of the batch before both are added: gradients
  # differ in the last bits, these differences grow from step to step, and a
  # metric changes by whole hits where two scores are nearly equal.
  np.testing.assert_allclose(found_losses, losses, rtol=1e-3)
  assert found["metrics"].keys() == expected["metrics"].keys()
  for name, value in expected["metrics"].items():
    if name.split("@")[0] in ("test/ndcg", "test/recall", "validation/ndcg"):
      np.testing.assert_allclose(found["metrics"][name], value, atol=5e-3)
  for a, b in zip(found["robustness"], expected["robustness"], strict=True):
    np.testing.assert_allclose(a["ndcg@10"], b["ndcg@10"], atol=5e-3)


@pytest.mark.slow
def test_each_process_streams_its_own_shards(tmp_path):
  # As many rows in each shard, so that no lane lies in both halves of a batch.
  user, item = planted.tastes(96, 64, per_user=12)
  rows = {"user": user, "item": item, "time": np.arange(len(user))}
  interactions.prepare(
    interactions.Source("toy", {"log": pa.table(rows)}),
    Protocol(k_core=0),
    tmp_path / "data",
    shards=8,
  )
  data = (
    f"data.prepared={tmp_path}/data,data.shards=8,data.lanes=4,"
    "data.evaluate_shards=1,row_sparse=True"
  )
  alone = start(data, tmp_path / "one")
  pair = start_two(data, tmp_path / "two")
  (_, _), (_, errors) = finish(pair)
  # Shards are dealt to lanes in turn, and the second process has the last two
  # lanes; the first shard is there for its users, who are evaluated.
  assert "opened [0, 2, 3, 6, 7]" in errors
  finish([alone])

  expected, steps, losses = outcome(tmp_path / "one")
  found, found_steps, found_losses = outcome(tmp_path / "two")
  assert found["device"]["count"] == 2 and expected["device"]["count"] == 1
  assert found_steps == steps and losses[-1] < 0.9 * losses[0]
  np.testing.assert_allclose(found_losses, losses, rtol=1e-3)


def test_what_one_process_finds_wrong_ends_both(tmp_path):
  (tmp_path / "log.csv").write_text("customer,item,time\na,b,1\n")
  data = f"data.path={tmp_path}/log.csv"
  (_, first), (_, second) = finish(start_two(data, tmp_path / "run"), status=1)
  assert "error: " in first and "user" in first
  assert "error: the first process failed" in second
  assert "Traceback" not in first + second
  assert not (tmp_path / "run").exists()
