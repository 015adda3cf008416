r"""Runs a table of published numbers beside ours, over seeds.

  python scripts/reproduce.py --list
  python scripts/reproduce.py --table=ml100k_random --jobs=2
  python scripts/reproduce.py --table=ml100k_random --method=EASE --method=iALS

A table is a file in configs/tables/. Each run is an ordinary workdir,
OUT/runs/METHOD/SEED, with its log beside it; finished runs are kept, so that
the same command goes on where it was stopped. Prints the table and writes
OUT/NAME.json. With more than one job on a GPU set
XLA_PYTHON_CLIENT_PREALLOCATE=false.
"""

import ast
import json
import pathlib
import signal
import sys

import cli
from absl import flags

from adv_rec.experiments import (
  experiment,
  interactions,
  reproduce,
  tabulate,
)
from adv_rec.report import tables

_TABLE = flags.DEFINE_string("table", "", "Which table; see --list.")
_LIST = flags.DEFINE_bool("list", False, "Print the names of all tables.")
_SEEDS = flags.DEFINE_integer(
  "seeds", None, "Instead of the table's own number of seeds.", 1
)
_METHODS = flags.DEFINE_multi_string(
  "method",
  [],
  "Run this row only, by its name; may be given again. The other rows are"
  " taken from docs/results/.",
)
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.", 1)
_OUT = flags.DEFINE_string(
  "out", "", "Directory of the runs; runs/tables/NAME by default."
)

_ROOT = pathlib.Path(__file__).parents[1]
_TABLES = _ROOT / "configs" / "tables"


def main():
  names = sorted(file.stem for file in _TABLES.glob("*.py"))
  if _LIST.value:
    for name in names:
      title = ast.get_docstring(ast.parse((_TABLES / f"{name}.py").read_text()))
      print(f"{name:24} {(title or '').splitlines()[0]}")
    return
  name = _TABLE.value
  if name not in names:
    raise ValueError(f"--table={name}: choose {', '.join(names)}")
  table = reproduce.load(_TABLES / f"{name}.py")
  out = pathlib.Path(_OUT.value or f"runs/tables/{name}")
  jobs, kept = reproduce.plan(table, out, _SEEDS.value), None
  if _METHODS.value:
    jobs = reproduce.only(jobs, _METHODS.value)
    file = _ROOT / "docs" / "results" / f"{name}.json"
    kept = json.loads(file.read_text()) if file.exists() else None
  todo = [job for job in jobs if not reproduce.finished(job, _ROOT)]
  there = len(jobs) - len(todo)
  print(f"{there} of {len(jobs)} runs are there already", file=sys.stderr)
  signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
  if todo and table.get("log", True):
    make = table.get("prepare", interactions.open_dataset)
    reproduce.prepare(todo, _ROOT, out, make)
  failed = reproduce.execute(todo, _command, _JOBS.value)
  jobs = [job for job in jobs if job not in failed]
  result = tabulate.summarize(name, table, jobs, kept)
  out.mkdir(parents=True, exist_ok=True)
  experiment.write_json(out / f"{name}.json", result)
  print(f"\n{tables.text(result)}\n\nWritten to {out / name}.json", flush=True)
  if failed:
    job, line = next(iter(failed.items()))
    raise ValueError(
      f"{len(failed)} of {len(todo)} runs failed and are not in the table;"
      f" the first, {job}: {line} ({job.log})"
    )


def _command(job: reproduce.Job) -> list[str]:
  return [
    sys.executable,
    str(_ROOT / "scripts" / "train.py"),
    f"--config={_ROOT / job.config}:{job.options}",
    f"--workdir={job.workdir}",
    "--noprogress",
  ]


if __name__ == "__main__":
  cli.run(main)
