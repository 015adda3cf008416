"""scripts/train.py, killed at any moment, ends with the same result.

The moments are chosen by what the run has just done, then by a seeded draw,
so that data preparation and the writing of a checkpoint are hit on machines
of any speed.
"""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from adv_rec.training import metrics

ROOT = pathlib.Path(__file__).resolve().parents[1]
OPTIONS = (
  "dataset=,data.k_core=0,epochs=40,evaluate_every=4,checkpoint_every=2,"
  "batch_size=64,model.dim=8,learning_rate=0.1,evaluation.ks=(5,10)"
)


def start(log, workdir):
  return subprocess.Popen(
    [
      sys.executable,
      ROOT / "scripts" / "train.py",
      f"--config={ROOT}/configs/recommend/apr.py:{OPTIONS},data.path={log}",
      f"--workdir={workdir}",
      "--noprogress",
    ],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process):
  """Its errors, once it has ended well."""
  _, errors = process.communicate(timeout=120)
  assert process.returncode == 0, errors
  return errors


def wait_for(moment, process):
  """Until the moment has come; the process must not end before."""
  while not moment():
    assert process.poll() is None, process.communicate()[1]
    time.sleep(0.0005)


def outcome(workdir):
  """What must not depend on interruptions."""
  result = json.loads((workdir / "result.json").read_text())
  rows = metrics.read(workdir / "metrics.jsonl")
  return (
    result["metrics"],
    result["dataset"],
    result["steps"],
    [(row["step"], row["values"]) for row in rows],
  )


def lines(workdir):
  path = workdir / "metrics.jsonl"
  return path.read_text().count("\n") if path.exists() else 0


@pytest.mark.slow
def test_interrupted_again_and_again(log, tmp_path):
  finish(start(log, tmp_path / "uninterrupted"))
  workdir, rng = tmp_path / "run", random.Random(0)
  checkpoints = workdir / "checkpoints"

  def preparing():
    return list(workdir.glob(".data*")) or (workdir / "data").exists()

  def saving():
    return list(checkpoints.glob("*tmp*"))

  def training():
    return lines(workdir) >= 12

  for moment, delay in ((preparing, 0.01), (saving, 0.01), (training, 0.1)):
    process = start(log, workdir)
    wait_for(moment, process)
    time.sleep(rng.uniform(0, delay))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL  # it had not ended before
    assert not (workdir / "result.json").exists()

  process, before = start(log, workdir), lines(workdir)
  wait_for(lambda: lines(workdir) > before, process)
  process.terminate()
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 143
  assert "SIGTERM: saved step" in errors and "Traceback" not in errors
  saved = errors.split("saved step ")[1].split(";")[0]

  assert f"going on from step {saved}\n" in finish(start(log, workdir))
  assert outcome(workdir) == outcome(tmp_path / "uninterrupted")
