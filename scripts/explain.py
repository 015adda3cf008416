r"""Explains one decision of a trained classifier, from its workdir alone.

  python scripts/explain.py --workdir=/tmp/children --id=3
  python scripts/explain.py --workdir=/tmp/cnn --text="not bad at all" \
    --out=why.html
  python scripts/explain.py --workdir=/tmp/deepfm --id=0 --method=shap
  python scripts/explain.py --workdir=/tmp/ridge_svd --user=1 --out=why.json

Prints what speaks for and against the decision, by integrated gradients, SHAP
values (pip install '.[explain]') and a local surrogate (LIME); the smallest
perturbations that an attack turns it with, and the fewest inputs without which
it turns. Curves of deletion and insertion, beside random orders, say which
explanation is faithful. Of a recommender --user=ID lists recommendations with
the items of the history behind each. --out writes a page (.html), a picture
(.svg) or the numbers (.json).
"""

import json
import pathlib

import cli
from absl import flags

from adv_rec.experiments import experiment, explain, serve
from adv_rec.report import explanation

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_ID = flags.DEFINE_integer("id", None, "Number of a row of the part, from 0.")
_TEXT = flags.DEFINE_string("text", None, "A text instead.")
_ROW = flags.DEFINE_string("row", None, 'Values instead: {"column": value}.')
_USER = flags.DEFINE_string("user", None, "Of a recommender: a raw id.")
_METHODS = flags.DEFINE_list(
  "method", list(explain.METHODS), f"Some of {', '.join(explain.METHODS)}."
)
_REFERENCE = flags.DEFINE_enum(
  "reference",
  "auto",
  list(explain.REFERENCES),
  "What stands in the place of an input that is taken away.",
)
_PART = flags.DEFINE_enum("part", "test", ["validation", "test"], "Of the row.")
_BACKGROUND = flags.DEFINE_integer("background", 32, "Other examples.", 1)
_CALLS = flags.DEFINE_integer("calls", 2000, "Subsets, for SHAP and LIME.", 16)
_OUT = flags.DEFINE_string("out", "", "File to write: .html, .svg or .json.")


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  asked = [x for x in (_ID.value, _TEXT.value, _ROW.value) if x is not None]
  out = pathlib.Path(_OUT.value)
  if not out.parent.is_dir():
    raise FileNotFoundError(f"--out={out}: {out.parent} is no directory")
  if _USER.value is not None and not asked:
    _recommended(_USER.value, out)
    return
  if len(asked) != 1:
    raise ValueError(
      "say what to explain: one of --id=N, --text=..., --row=..."
    )
  if _OUT.value and out.suffix not in (".html", ".svg", ".json"):
    raise ValueError(f"--out={out}: name a file .html, .svg or .json")
  found = explain.explain(
    pathlib.Path(_WORKDIR.value),
    asked[0] if _ROW.value is None else _row(_ROW.value),
    _METHODS.value,
    _REFERENCE.value,
    explain.Budget(_BACKGROUND.value, _CALLS.value),
    _PART.value,
  )
  print(explanation.text(found))
  if out.suffix == ".html":
    out.write_text(explanation.page(found), "utf-8")
  elif out.suffix == ".svg":
    out.write_text(explanation.picture(found), "utf-8")
  elif out.suffix == ".json":
    experiment.write_json(out, found)


def _recommended(user: str, out: pathlib.Path) -> None:
  if _OUT.value and out.suffix != ".json":
    raise ValueError(f"--out={out}: name a file .json")
  rows = serve.why(pathlib.Path(_WORKDIR.value), user)
  for row in rows:
    print(f"{row['rank']:2} {_named(row)}, for {row['explained']:.0%}:")
    for one in row["because"]:
      print(f"     {one['share']:+.0%} {_named(one)}")
  if _OUT.value:
    experiment.write_json(out, {"recommended": rows})


def _named(row: dict) -> str:
  words = [str(row[name]) for name in ("title", "category") if row.get(name)]
  return ", ".join([str(row["item"]), *words])


def _row(text: str) -> dict:
  try:
    row = json.loads(text)
  except ValueError as error:
    raise ValueError(f"--row is no JSON: {error}") from error
  if not isinstance(row, dict):
    raise ValueError('--row is no object: write {"column": value}')
  return row


if __name__ == "__main__":
  cli.run(main)
