"""Blocks of a Markdown file that are generated, never typed."""

from __future__ import annotations

import pathlib


def replace(text: str, name: str, content: str) -> str:
  """Puts content between `<!-- NAME -->` and `<!-- /NAME -->`.

  Raises:
    ValueError: the text has no such pair of marks.
  """
  begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
  head, found, rest = text.partition(begin)
  _, closed, tail = rest.partition(end)
  if not found or not closed:
    raise ValueError(f"there is no block {begin} ... {end} to fill")
  return f"{head}{begin}\n{content.strip()}\n{end}{tail}"


def update(path: str | pathlib.Path, name: str, content: str) -> None:
  """Replaces one block of a file."""
  path = pathlib.Path(path)
  text = path.read_text("utf-8")
  try:
    path.write_text(replace(text, name, content), "utf-8")
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None
