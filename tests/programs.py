"""Runs scripts/*.py as a person would, without paying for imports each time.

A fork server imports JAX and adv_rec once; every run is a fresh process of
its own, forked from it, on one CPU device.
"""

import contextlib
import multiprocessing
import os
import pathlib
import runpy
import sys
import tempfile
import traceback
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
  [
    "adv_rec.experiments.experiment",
    "adv_rec.experiments.recommend",
    "adv_rec.report.page",
    "ml_collections.config_flags",
  ]
)


class Done(NamedTuple):
  """How a program ended."""

  status: int
  stdout: str
  stderr: str


def run(script: str, *arguments: object, cwd: pathlib.Path) -> Done:
  """Runs scripts/SCRIPT.py in a directory, to its end."""
  with tempfile.TemporaryDirectory() as folder:
    out, err = (pathlib.Path(folder, name) for name in ("out", "err"))
    process = _server.Process(
      target=_program,
      args=(script, [str(a) for a in arguments], str(cwd), str(out), str(err)),
    )
    process.start()
    process.join()
    assert process.exitcode is not None
    return Done(process.exitcode, out.read_text(), err.read_text())


def _program(script, arguments, cwd, out, err):
  """In the new process: what the interpreter does with a script."""
  for path, descriptor in ((out, 1), (err, 2)):
    with open(path, "wb") as file:
      os.dup2(file.fileno(), descriptor)
  os.chdir(cwd)
  path = ROOT / "scripts" / f"{script}.py"
  sys.argv = [str(path), *arguments]
  sys.path.insert(0, str(path.parent))
  status = 0
  try:
    runpy.run_path(str(path), run_name="__main__")
  except SystemExit as stop:
    status = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    if isinstance(stop.code, str):
      print(stop.code, file=sys.stderr)
  except BaseException:
    status = 1
    traceback.print_exc()
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(ValueError):
      stream.flush()
  os._exit(status)
