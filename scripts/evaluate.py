r"""Evaluates a trained run again, from its workdir alone.

  python scripts/evaluate.py --workdir=/tmp/bpr
  python scripts/evaluate.py --workdir=/tmp/bpr --ks=1,100 --out=bpr.json

Full ranking of all items that the user has not got yet; ties count against.
"""

import pathlib

import cli
from absl import flags

from adv_rec.experiments import experiment

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_KS = flags.DEFINE_list("ks", None, "Lengths of the lists, as in 5,10,20.")
_OUT = flags.DEFINE_string(
  "out", "", "Also write everything to this JSON file."
)


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: which run?")
  changed = {"ks": _ks(_KS.value)} if _KS.value else {}
  found, state = experiment.restore(_WORKDIR.value, **changed)
  result = {
    "dataset": dict(found.dataset),
    "steps": int(state.step),
    **found.finish(state),
    **experiment.provenance(),
  }
  for name, value in sorted(result["metrics"].items()):
    print(f"{name:30} {value:.6g}")
  if _OUT.value:
    experiment.write_json(pathlib.Path(_OUT.value), result)


def _ks(texts: list[str]) -> tuple[int, ...]:
  if not all(text.strip().isdecimal() and int(text) for text in texts):
    raise ValueError(f"--ks={','.join(texts)}: expected numbers like 5,10,20")
  return tuple(sorted(int(text) for text in texts))


if __name__ == "__main__":
  cli.run(main)
