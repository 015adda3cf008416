r"""Evaluates a trained run again, from its workdir alone.

  python scripts/evaluate.py --workdir=/tmp/bpr
  python scripts/evaluate.py --workdir=/tmp/bpr --ks=1,100 --out=bpr.json

Full ranking of all items that the user has not got yet; ties count against.

Two runs on the same data, user by user (paired bootstrap, 95 % interval):

  python scripts/evaluate.py --compare=/tmp/apr,/tmp/bpr
"""

import pathlib
from typing import Any

import cli
import numpy as np
from absl import flags

from adv_rec.evaluation import compare
from adv_rec.experiments import experiment
from adv_rec.report import results

_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of a run.")
_COMPARE = flags.DEFINE_list("compare", None, "Two workdirs: is A better?")
_KS = flags.DEFINE_list("ks", None, "Lengths of the lists, as in 5,10,20.")
_OUT = flags.DEFINE_string(
  "out", "", "Also write everything to this JSON file."
)


def main():
  if bool(_WORKDIR.value) == bool(_COMPARE.value):
    raise ValueError("say which run: --workdir=DIR, or --compare=DIR,DIR")
  out = pathlib.Path(_OUT.value)
  if not out.parent.is_dir():
    raise FileNotFoundError(f"--out={out}: {out.parent} is no directory")
  changed = {"ks": _ks(_KS.value)} if _KS.value else {}
  if _COMPARE.value:
    result = _compare(_COMPARE.value, changed)
  else:
    result = _evaluate(_WORKDIR.value, changed)
  if _OUT.value:
    experiment.write_json(out, result)


def _evaluate(workdir: str, changed: dict[str, Any]) -> dict[str, Any]:
  found, state = experiment.restore(workdir, **changed)
  finished = dict(found.finish(state))
  finished.pop("per_user", None)
  for name, value in sorted(finished["metrics"].items()):
    print(f"{name:30} {value:.6g}")
  return {
    "dataset": dict(found.dataset),
    "steps": int(state.step),
    **finished,
    **experiment.provenance(),
  }


def _compare(workdirs: list[str], changed: dict[str, Any]) -> dict[str, Any]:
  if len(workdirs) != 2:
    raise ValueError(f"--compare={','.join(workdirs)}: give two workdirs")
  runs = [results.read(workdir) for workdir in workdirs]
  one, other = (run.result["dataset"] for run in runs)
  if one["fingerprint"] != other["fingerprint"]:
    raise ValueError(
      f"{workdirs[0]} was measured on data {one['fingerprint']},"
      f" {workdirs[1]} on {other['fingerprint']}: another protocol or other"
      " rows cannot be compared"
    )
  for key in ("mask", "candidates", "ties"):
    if (a := one["protocol"].get(key)) != (b := other["protocol"].get(key)):
      raise ValueError(f"the runs differ in {key}: {a!r} and {b!r}")
  first, second = (_per_user(run.directory, changed) for run in runs)
  found = compare.paired_bootstrap(first, second)
  for letter, run in zip("AB", runs, strict=True):
    seed, fit = run.result["seed"], run.result["dataset"]["protocol"]["fit"]
    print(f"{letter}  {run.result['title']}, seed {seed}, fitted on {fit}")
  users = next(iter(found.values())).users
  print(f"{users:,} users in pairs\n")
  print(f"{'metric':14}{'A':>9}{'B':>9}{'A - B':>10}  95 % interval{'p':>16}")
  for name, d in found.items():
    print(
      f"{name:14}{d.first:9.4f}{d.second:9.4f}{d.difference:+10.4f}"
      f"  {d.low:+.4f} .. {d.high:+.4f}{d.p_value:>10.2g}"
    )
  return {
    "runs": [str(workdir) for workdir in workdirs],
    "dataset": one,
    "differences": {name: d._asdict() for name, d in found.items()},
  }


def _per_user(workdir: pathlib.Path, changed: dict[str, Any]):
  """Test metrics of each user: as the run wrote them, or measured again."""
  file = workdir / "per_user.npz"
  if file.is_file() and not changed:
    with np.load(file) as arrays:
      return dict(arrays)
  found, state = experiment.restore(workdir, robustness=(), **changed)
  values = found.finish(state).get("per_user")
  if values is None:
    raise ValueError(f"{workdir} has no metrics of single users to compare")
  return values


def _ks(texts: list[str]) -> tuple[int, ...]:
  if not all(text.strip().isdecimal() and int(text) for text in texts):
    raise ValueError(f"--ks={','.join(texts)}: expected numbers like 5,10,20")
  return tuple(sorted(int(text) for text in texts))


if __name__ == "__main__":
  cli.run(main)
