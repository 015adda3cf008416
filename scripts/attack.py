r"""Attacks the embeddings of a trained run, from its workdir alone.

  python scripts/attack.py --workdir=/tmp/apr
  python scripts/attack.py --workdir=/tmp/apr --attacks=pgd,search,random \
    --sizes=0.25,0.5 --out=/tmp/apr_attacked.json

Every embedding row is moved by so many median row norms (--sizes): along the
gradient (fgm, fgsm, pgd), at random (the control), or along the best of some
random directions (search, which needs no gradient: were it stronger than the
others, their gradients would be masked). Prints nDCG@10 on the test part, or
on --part=validation to choose by; --out also writes a JSON file and an SVG
picture beside it.
"""

import json
import pathlib

import cli
from absl import flags

from adv_rec.experiments import attacks, experiment
from adv_rec.report import results, robustness

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_ATTACKS = flags.DEFINE_list(
  "attacks", ["fgm", "pgd", "random"], f"Some of {', '.join(attacks.NAMES)}."
)
_SIZES = flags.DEFINE_list(
  "sizes", ["0.1", "0.25", "0.5", "1"], "Lengths, in median row norms."
)
_PGD_STEPS = flags.DEFINE_integer("pgd_steps", 10, "Gradient steps of pgd.", 1)
_TRIES = flags.DEFINE_integer("tries", 32, "Directions of search.", 1)
_PART = flags.DEFINE_enum(
  "part", "test", ["validation", "test"], "Whose nDCG@10 is measured."
)
_OUT = flags.DEFINE_string("out", "", "A JSON file to write.")


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  out = pathlib.Path(_OUT.value)
  if _OUT.value and (out.suffix != ".json" or not out.parent.is_dir()):
    raise ValueError(f"--out={out}: expected FILE.json in a directory")
  kinds = {
    name: attacks.by_name(name, _PGD_STEPS.value, tries=_TRIES.value)
    for name in _ATTACKS.value
  }
  sizes = _sizes()
  workdir = pathlib.Path(_WORKDIR.value)
  found, state = experiment.restore(workdir, ks=(10,), robustness=())
  config = json.loads((workdir / "config.json").read_text("utf-8"))
  if found.attack is None:
    raise ValueError(
      f"{workdir} is a run of {config['title']}, which has no embeddings to"
      " attack; choose a run that has, such as BPR-MF"
    )
  result = {
    "title": config["title"],
    "config": config,
    "dataset": dict(found.dataset),
    "steps": int(state.step),
    "pgd_steps": _PGD_STEPS.value,
    "tries": _TRIES.value,
    "metrics": {},
    "robustness": found.attack(state, kinds, sizes, _PART.value),
    **experiment.provenance(),
  }
  run = results.Run(workdir, result, [])
  print(_text(run))
  if _OUT.value:
    experiment.write_json(out, result)
    picture = robustness.charts({config["title"]: run}, {config["title"]: 0})[0]
    out.with_suffix(".svg").write_text(picture, "utf-8")


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
  lines = [f"{'attack':10}{'relative':>10}{heads}{'nDCG@10':>10}{'kept':>8}"]
  for row, radius in zip(robustness.rows(run), radii, strict=True):
    lengths = "".join(f"{radius[name]:12.4g}" for name in tables)
    lines.append(
      f"{row.attack:10}{row.relative:10.3g}{lengths}{row.ndcg:10.4f}"
      f"{row.kept:8.1%}"
    )
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
