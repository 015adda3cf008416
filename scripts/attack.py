r"""Attacks a trained run, from its workdir alone: its embeddings, or its words.

  python scripts/attack.py --workdir=/tmp/apr
  python scripts/attack.py --workdir=/tmp/apr --attacks=pgd,search,random \
    --sizes=0.25,0.5 --out=/tmp/apr_attacked.json
  python scripts/attack.py --workdir=/tmp/cnn \
    --words=noise,synonyms,back_translation,search
  python scripts/attack.py --workdir=/tmp/cnn --words=search \
    --transfer=/tmp/cnn_of_another_seed

Every embedding row is moved by so many median row norms (--sizes): along the
gradient (fgm, fgsm, pgd), at random (the control), or along the best of some
random directions (search, which needs no gradient: were it stronger than the
others, their gradients would be masked). A recommender's tables are moved for
all users at once, a classifier's inputs for each example by itself. Prints
nDCG@10, or the metric that the classifier was chosen by, on the test part, or
on --part=validation to choose by; --out also writes a JSON file and an SVG
picture beside it.

With --words the texts of a classifier are changed instead; see
adv_rec/experiments/word_attacks.py. With --transfer what is harmful is found on
another run of the same data and tried on this one. Embeddings that were learnt
from other starts have nothing in common, so that of these it is words, or a
pretrained model's embeddings, that transfer.
"""

import json
import pathlib
from typing import Any

import cli
from absl import flags

from adv_rec.experiments import attacks, experiment, word_attacks
from adv_rec.report import results, robustness, table

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_ATTACKS = flags.DEFINE_list(
  "attacks", ["fgm", "pgd", "random"], f"Some of {', '.join(attacks.NAMES)}."
)
_SIZES = flags.DEFINE_list(
  "sizes", ["0.1", "0.25", "0.5", "1"], "Lengths, in median row norms."
)
_PGD_STEPS = flags.DEFINE_integer("pgd_steps", 10, "Gradient steps of pgd.", 1)
_TRIES = flags.DEFINE_integer(
  "tries", 32, "Directions of search; texts that random words make.", 1
)
_WORDS = flags.DEFINE_list(
  "words", [], f"Some of {', '.join(word_attacks.NAMES)}."
)
_TRANSFER = flags.DEFINE_string(
  "transfer", "", "Directory of another run, which is attacked in its place."
)
_PART = flags.DEFINE_enum(
  "part", "test", ["validation", "test"], "Whose quality is measured."
)
_OUT = flags.DEFINE_string("out", "", "A JSON file to write.")


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  out = pathlib.Path(_OUT.value)
  if _OUT.value and (out.suffix != ".json" or not out.parent.is_dir()):
    raise ValueError(f"--out={out}: expected FILE.json in a directory")
  workdir = pathlib.Path(_WORKDIR.value)
  transfer = pathlib.Path(_TRANSFER.value) if _TRANSFER.value else None
  if _WORDS.value:
    rows = word_attacks.of_run(
      workdir, _WORDS.value, _PART.value, _TRIES.value, transfer
    )
    print(_words(rows))
    made = {"words": rows}
  else:
    run = _moved(workdir, transfer)
    print(_text(run))
    made = run.result
  if _OUT.value:
    config = json.loads((workdir / "config.json").read_text("utf-8"))
    experiment.write_json(
      out,
      {
        "title": config["title"],
        "config": config,
        "tries": _TRIES.value,
        "transfer": _TRANSFER.value,
        **made,
        **experiment.provenance(),
      },
    )
    if not _WORDS.value:
      run = results.Run(workdir, made, [])
      charts = robustness.charts({config["title"]: run}, {config["title"]: 0})
      out.with_suffix(".svg").write_text(charts[0], "utf-8")


def _moved(workdir: pathlib.Path, transfer: pathlib.Path | None) -> results.Run:
  """The run with its embeddings moved."""
  kinds = {
    name: attacks.by_name(name, _PGD_STEPS.value, tries=_TRIES.value)
    for name in _ATTACKS.value
  }
  sizes = _sizes()
  found, state = experiment.restore(workdir, ks=(10,), robustness=())
  if found.attack is None:
    config = json.loads((workdir / "config.json").read_text("utf-8"))
    raise ValueError(
      f"{workdir} is a run of {config['title']}, which has no embeddings to"
      " attack; choose a run that has, such as BPR-MF"
    )
  if transfer is None:
    rows = found.attack(state, kinds, sizes, _PART.value)
  elif found.task is None:
    raise ValueError(
      f"--transfer={transfer}: {workdir} is a recommender, whose embeddings"
      " have nothing in common with another's; --transfer is for classifiers"
    )
  else:
    _, other = experiment.restore(transfer, robustness=())
    rows = found.attack(state, kinds, sizes, _PART.value, other)
  result = {
    "dataset": dict(found.dataset),
    "steps": int(state.step),
    "pgd_steps": _PGD_STEPS.value,
    "metrics": {},
    "robustness": rows,
  }
  return results.Run(workdir, result, [])


def _sizes() -> list[float]:
  try:
    sizes = [float(text) for text in _SIZES.value]
  except ValueError:
    sizes = [-1.0]
  if not all(0 <= size < float("inf") for size in sizes):
    raise ValueError(
      f"--sizes={','.join(_SIZES.value)}: expected lengths such as 0.25,0.5"
    )
  return sizes


def _text(run: results.Run) -> str:
  radii = [record["epsilon"] for record in run.result["robustness"]]
  tables = list(radii[0])
  heads = "".join(f"{'eps ' + name:>12}" for name in tables)
  what = table.heading(robustness.metric(run))
  lines = [f"{'attack':10}{'relative':>10}{heads}{what:>10}{'kept':>8}"]
  for row, radius in zip(robustness.rows(run), radii, strict=True):
    lengths = "".join(f"{radius[name]:12.4g}" for name in tables)
    lines.append(
      f"{row.attack:10}{row.relative:10.3g}{lengths}{row.value:10.4f}"
      f"{row.kept:8.1%}"
    )
  return "\n".join(lines)


def _words(rows: list[dict[str, Any]]) -> str:
  """Clean and attacked side by side; the last four are of texts at risk."""
  names = ["clean_accuracy", "accuracy", "success", "changed", "similarity"]
  heads = ["clean", "attacked", "success", "changed", "similar", "queries"]
  lines = [f"{'attack':18}" + "".join(f"{head:>10}" for head in heads)]
  for row in rows:
    shares = "".join(f"{row[name]:10.4f}" for name in names)
    lines.append(f"{row['attack']:18}{shares}{row['queries']:10.1f}")
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
