"""Directories that are written whole or not at all."""

from __future__ import annotations

import os
import pathlib
import shutil
import uuid
from collections.abc import Callable

Path = str | os.PathLike[str]


def check_place(directory: Path) -> None:
  """Raises OSError if no directory can be made or replaced here."""
  directory = pathlib.Path(directory).absolute()
  if os.path.lexists(directory) and not directory.is_dir():
    raise NotADirectoryError(
      f"{directory} is not a directory; choose another name"
    )
  parent = directory.parent
  while not os.path.lexists(parent):
    parent = parent.parent
  if not parent.is_dir():
    raise NotADirectoryError(f"{parent} is a file; choose another directory")
  if not os.access(parent, os.W_OK | os.X_OK):
    raise PermissionError(f"{parent}: no permission to write there")


def replace(directory: Path, fill: Callable[[pathlib.Path], None]) -> None:
  """Makes a directory, or puts a new one in its place.

  `fill` writes to a new directory beside it, which is then renamed, so that
  nobody sees half of the files; if it fails, all stays as it was.

  Args:
    directory: the target; what is there is removed.
    fill: receives the new directory, empty.
  """
  directory = pathlib.Path(directory).absolute()
  directory.parent.mkdir(parents=True, exist_ok=True)
  mark = f".{directory.name}.{uuid.uuid4().hex[:8]}"
  fresh = directory.with_name(f"{mark}.new")
  previous = directory.with_name(f"{mark}.old")
  fresh.mkdir()
  try:
    fill(fresh)
    if directory.exists():
      os.rename(directory, previous)
    try:
      os.rename(fresh, directory)
    except OSError:
      if previous.exists():
        os.rename(previous, directory)
      raise
  finally:
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(previous, ignore_errors=True)
