"""Tables: the numbers of others beside ours, from configs run over seeds.

A table is a file in configs/tables/ with a docstring (protocol, sources) and
`get_table()`, which returns

  title, protocol   text
  metrics           columns, such as "ndcg@10", all of the test part
  extra             columns that only some rows have; may be left out
  seeds             how many, from 0
  published         {"method", "source", "metrics"} of others; what we measured
                    with their program has "kind": "measured" as well
  runs              {"method", "config", "options"} of ours; deterministic
                    methods have "seeds": 1
  log               False if the runs share no prepared data; may be left out
  prepare           (config, folder) -> anything, which prepares the data that
                    the runs share; a log of interactions by default
  own_data          True if each row has data of its own, which only its own
                    columns compare; may be left out
  paired            (method, control) whose differences, seed by seed, are
                    what the table is about; may be left out
  frontier          (x, y, y of real rows), metrics to draw a curve of, whose
                    points are the runs with a "curve"; may be left out
"""

from __future__ import annotations

import json
import logging
import pathlib
import re
import runpy
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from adv_rec.experiments import interactions, options

Table = Mapping[str, Any]
_logger = logging.getLogger(__name__)


class Job(NamedTuple):
  """One run of a table.

  Attributes:
    method: the row it belongs to.
    seed: of the run.
    config: file, relative to the checkout.
    options: of the config, the seed included.
    workdir: of the run; its log is beside it.
  """

  method: str
  seed: int
  config: str
  options: str
  workdir: pathlib.Path

  @property
  def log(self) -> pathlib.Path:
    """What the run printed."""
    return self.workdir.with_name(self.workdir.name + ".log")

  def __str__(self):
    return f"{self.method}, seed {self.seed}"


def load(path: pathlib.Path) -> Table:
  """The table of a file.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the table lacks something, or two rows have one name.
  """
  table = runpy.run_path(str(path))["get_table"]()
  for key in ("title", "protocol", "metrics", "seeds", "runs"):
    if not table.get(key):
      raise ValueError(f"{path}: get_table() returns no {key!r}")
  names = Counter(_slug(run["method"]) for run in table["runs"])
  if twice := [name for name, count in names.items() if count > 1]:
    raise ValueError(f"{path}: two runs of the table are called {twice[0]!r}")
  return table


def plan(table: Table, out: pathlib.Path, seeds: int | None = None):
  """The runs of a table, all methods of a seed before the next seed.

  Args:
    table: from `load`.
    out: workdirs are out/runs/METHOD/SEED; the data that all share is out/data,
      see `prepare`.
    seeds: instead of the table's own number; runs that have a number of
      their own (deterministic ones) keep it.

  Returns:
    A list of jobs.
  """
  count = seeds or table["seeds"]
  data = f"data.prepared={out / 'data'}" if table.get("log", True) else ""
  return [
    Job(
      run["method"],
      seed,
      run["config"],
      ",".join(
        filter(
          None,
          (data, run.get("options"), f"seed={seed}"),
        )
      ),
      out / "runs" / _slug(run["method"]) / str(seed),
    )
    for seed in range(count)
    for run in table["runs"]
    if seed < run.get("seeds", count)
  ]


def only(jobs: Sequence[Job], methods: Sequence[str]) -> list[Job]:
  """The jobs of some rows.

  Raises:
    ValueError: the table has no such row.
  """
  known = {job.method for job in jobs}
  if unknown := [name for name in methods if name not in known]:
    raise ValueError(
      f"the table has no row {unknown[0]!r}; it has {', '.join(sorted(known))}"
    )
  return [job for job in jobs if job.method in methods]


def prepare(
  jobs: Sequence[Job],
  root: pathlib.Path,
  out: pathlib.Path,
  make: Callable[[options.Config, pathlib.Path], Any] = (
    interactions.open_dataset
  ),
) -> None:
  """Prepares the data of a table once, as out/data.

  Args:
    jobs: from `plan`.
    root: the checkout that has the configs.
    out: what `plan` was given.
    make: the table's own "prepare".

  Raises:
    ValueError: the runs ask for different data, or out has data that another
      table asked for; or see `open_dataset`.
    FileNotFoundError: the data is not there.
  """
  configs = [options.load(root / job.config, job.options) for job in jobs]
  for job, config in zip(jobs, configs, strict=True):
    if config.data.prepared == str(out / "data"):
      config.data.prepared = ""
    asked = [(c.dataset, c.data.to_dict()) for c in (config, configs[0])]
    if asked[0] != asked[1]:
      raise ValueError(
        f"{job} asks for other data than {jobs[0]}; a table has one protocol"
      )
  wanted = json.dumps([configs[0].dataset, configs[0].data.to_dict()])
  record = out / "data.json"
  if record.exists() and record.read_text() != wanted:
    raise ValueError(
      f"{out} has the data of another table; choose another --out, or remove it"
    )
  make(configs[0], out)
  record.write_text(wanted)


def finished(job: Job, root: pathlib.Path) -> bool:
  """Whether the workdir holds the result of just this config.

  Args:
    job: which run.
    root: the checkout that has the config.

  Raises:
    ValueError: a bad option.
    FileNotFoundError: there is no such config.
  """
  asked = json.loads(options.load(root / job.config, job.options).to_json())
  files = [job.workdir / name for name in ("config.json", "result.json")]
  if not all(file.is_file() for file in files):
    return False
  return json.loads(files[0].read_text()) == asked


def execute(
  jobs: Sequence[Job],
  command: Callable[[Job], Sequence[str]],
  at_once: int = 1,
) -> dict[Job, str]:
  """Plays each job in a process of its own; one that fails fails alone.

  Args:
    jobs: what to do, in this order.
    command: job -> arguments of its process, which writes result.json.
    at_once: processes at a time.

  Returns:
    job -> last line of the log, for the jobs that failed.
  """
  waiting = list(enumerate(jobs, 1))
  running: dict[Job, tuple[int, float, subprocess.Popen]] = {}
  failed = {}
  try:
    while waiting or running:
      while waiting and len(running) < at_once:
        number, job = waiting.pop(0)
        _logger.info("[%d/%d] %s: %s", number, len(jobs), job, job.log)
        running[job] = number, time.monotonic(), _start(command(job), job.log)
      for job, (number, started, process) in list(running.items()):
        if process.poll() is None:
          continue
        del running[job]
        seconds = time.monotonic() - started
        if process.returncode:
          lines = job.log.read_text(errors="replace").strip().splitlines()
          failed[job] = lines[-1] if lines else f"exit {process.returncode}"
        word = failed.get(job, "done")
        _logger.info(
          "[%d/%d] %s: %s after %.0f s", number, len(jobs), job, word, seconds
        )
      time.sleep(0.05)
  finally:
    for _, _, process in running.values():
      process.terminate()
    for _, _, process in running.values():
      process.wait()
  return failed


def _start(command: Sequence[str], log: pathlib.Path) -> subprocess.Popen:
  log.parent.mkdir(parents=True, exist_ok=True)
  with log.open("wb") as file:
    return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def _slug(method: str) -> str:
  return re.sub(r"[^\w.-]+", "_", method)
