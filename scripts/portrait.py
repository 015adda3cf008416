r"""Portrays a user or an item, from the workdir of a run of user portraits.

  python scripts/train.py --config=configs/portraits/demographics.py \
    --workdir=/tmp/children
  python scripts/portrait.py --workdir=/tmp/children --user=2000 --out=user.html
  python scripts/portrait.py --workdir=/tmp/children --item=1082185

Of a user: tastes, segment, the predicted attribute and its chance, and the
purchases that explain it. Of an item: who buys it, when, and what beside. --out
writes a page (.html) or the numbers (.json).
"""

import pathlib

import cli
from absl import flags

from adv_rec.experiments import experiment, portray
from adv_rec.report import portrait

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_USER = flags.DEFINE_string("user", None, "Raw id of a user.")
_ITEM = flags.DEFINE_string("item", None, "Raw id of an item instead.")
_OUT = flags.DEFINE_string("out", "", "File to write: .html or .json.")


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  if (_USER.value is None) == (_ITEM.value is None):
    raise ValueError("say whose portrait: --user=ID or --item=ID")
  out = pathlib.Path(_OUT.value)
  if _OUT.value and out.suffix not in (".html", ".json"):
    raise ValueError(f"--out={out}: name a file .html or .json")
  if not out.parent.is_dir():
    raise FileNotFoundError(f"--out={out}: {out.parent} is no directory")
  workdir = pathlib.Path(_WORKDIR.value)
  if _USER.value is not None:
    found = portray.user(workdir, _USER.value)
  else:
    found = portray.item(workdir, str(_ITEM.value))
  print(portrait.text(found))
  if out.suffix == ".html":
    out.write_text(portrait.page(found), "utf-8")
  elif out.suffix == ".json":
    experiment.write_json(out, found)


if __name__ == "__main__":
  cli.run(main)
