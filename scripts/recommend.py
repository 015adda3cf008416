r"""Recommends items to users by their raw ids, from a run's workdir alone.

  python scripts/recommend.py --workdir=/tmp/apr --users=1,17,99
  python scripts/recommend.py --workdir=/tmp/apr --users_file=ids.txt \
    --n=50 --format=json --out=lists.json
  python scripts/recommend.py --workdir=/tmp/cold_ridge --new_items=new.csv

The last lists, for items that nobody has bought yet, the users who would like
them best, by the items' content: a table with a column "id" and the columns
that the run (of configs/cold/) was trained on.

What a user already has is left out (--keep_history leaves it in). A user that
the model was fitted without gets the most popular items; the column "source"
says so.
"""

import csv
import io
import json
import os
import pathlib

import cli
from absl import flags

from adv_rec.experiments import serve

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_USERS = flags.DEFINE_list("users", [], "Raw ids, separated by commas.")
_USERS_FILE = flags.DEFINE_string(
  "users_file", "", "A text file instead, with one raw id a line."
)
_NEW_ITEMS = flags.DEFINE_string(
  "new_items", "", "A table of new items instead of users: CSV or Parquet."
)
_N = flags.DEFINE_integer(
  "n", 10, "Items for each user, or users for each new item.", 1
)
_FORMAT = flags.DEFINE_enum("format", "csv", ["csv", "json"], "Of the output.")
_OUT = flags.DEFINE_string("out", "", "File to write, instead of the screen.")
_KEEP_HISTORY = flags.DEFINE_bool(
  "keep_history", False, "Recommend also what the user already has."
)


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  out = pathlib.Path(_OUT.value)
  if not out.parent.is_dir():
    raise FileNotFoundError(f"--out={out}: {out.parent} is no directory")
  rows = _rows(pathlib.Path(_WORKDIR.value))
  text = _csv(rows) if _FORMAT.value == "csv" else json.dumps(rows, indent=2)
  if not _OUT.value:
    print(text.rstrip("\n"))
    return
  temporary = out.with_name(out.name + ".tmp")
  temporary.write_text(text.rstrip("\n") + "\n", "utf-8")
  os.replace(temporary, out)


def _rows(workdir: pathlib.Path) -> list[dict]:
  if not _NEW_ITEMS.value:
    return serve.recommend(workdir, _users(), _N.value, _KEEP_HISTORY.value)
  if _USERS.value or _USERS_FILE.value:
    raise ValueError("--new_items lists users itself; leave --users out")
  return serve.new_items(workdir, pathlib.Path(_NEW_ITEMS.value), _N.value)


def _users() -> list[str]:
  if bool(_USERS.value) == bool(_USERS_FILE.value):
    raise ValueError(
      "say for whom: --users=ID,ID or --users_file=FILE, or --new_items=FILE"
    )
  if not _USERS_FILE.value:
    return [user.strip() for user in _USERS.value]
  try:
    lines = pathlib.Path(_USERS_FILE.value).read_text("utf-8").splitlines()
  except UnicodeDecodeError as error:
    raise ValueError(f"{_USERS_FILE.value} is not UTF-8 text") from error
  users = [line.strip() for line in lines if line.strip()]
  if not users:
    raise ValueError(f"{_USERS_FILE.value} has no ids; write one a line")
  return users


def _csv(rows: list[dict]) -> str:
  text = io.StringIO()
  columns = rows[0] if rows else ["user", "rank", "item", "score", "source"]
  writer = csv.DictWriter(text, columns, lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue()


if __name__ == "__main__":
  cli.run(main)
