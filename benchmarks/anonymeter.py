r"""Our audit of synthetic tables against Anonymeter's, on Adult.

  python -m venv /tmp/anonymeter && /tmp/anonymeter/bin/pip install anonymeter
  python benchmarks/anonymeter.py --python=/tmp/anonymeter/bin/python \
    --out=runs/benchmark

A generator learns one half of Adult, the other half is the control. Attacked
are its sample ("generator"), the same with a tenth of the rows replaced by rows
of the source ("leak"), that one with a third of the control ("leak, small
control") and, with --package_data, the sample and the control that Anonymeter
itself carries (adults_syn_ctgan.csv.gz and adults_control.csv.gz; the source is
then what Adult has beside that control).

Both make the same attacks (Giomi et al. 2023, arXiv:2211.10459), as many of
each, at the same confidence: singling out by predicates of 1, 3 and all
columns, linkability of every other column to the rest, inference of each column
from all others. The rows that are linked and inferred are the same for both.
Predicates are drawn by each from the same release, as many as ours finds.

Judged is whether our risk lies within Anonymeter's interval. Writes
anonymeter.json to --out and prints a table. Anonymeter runs in a process of its
own, which imports nothing of ours.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from absl import flags

_BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_BENCHMARKS.parent / "scripts"))

import cli  # noqa: E402

_OUT = flags.DEFINE_string("out", "runs/benchmark", "Where the results go.")
_PYTHON = flags.DEFINE_string(
  "python", "", "An interpreter that has anonymeter."
)
_PACKAGE = flags.DEFINE_string(
  "package_data", "", "Folder of the tables of the package; none: left out."
)
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Of the generator.", 1)
_ATTACKS = flags.DEFINE_integer("attacks", 500, "Of each kind, at most.", 10)
_CONFIDENCE = flags.DEFINE_float("confidence", 0.95, "Of each interval.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", 0)

_LEAKED = 0.1  # share of a leaking release that is copied
_SMALL = 1 / 3  # of the control

# The peer, as a program: a folder of tables, JSON of settings.
_ANONYMETER = """
import importlib.metadata, json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from anonymeter.evaluators import (
  InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator)

folder, s = sys.argv[1], json.loads(sys.argv[2])
np.random.seed(s["seed"])
names = ("source", "control", "synthetic", "source_targets", "control_targets")
t = {name: pd.read_parquet(f"{folder}/{name}.parquet") for name in names}

def found(evaluator):
  results = evaluator.results(confidence_level=s["confidence"])
  risk = results.risk()
  return {
    "attacks": int(results.n_attacks_ori),
    "source": float(results.n_success),
    "control": float(results.n_control),
    "risk": {"value": risk.value, "low": risk.ci[0], "high": risk.ci[1]},
  }

answer = {}
for width, attacks in s["singling_out"].items():
  evaluator = SinglingOutEvaluator(
    t["source"], t["synthetic"], attacks, int(width), t["control"],
    seed=s["seed"])
  mode = "univariate" if width == "1" else "multivariate"
  answer[f"singling out, {width}"] = found(evaluator.evaluate(mode))
size = len(t["source_targets"])
targets = {"ori": t["source_targets"], "control": t["control_targets"]}
answer["linkability"] = found(LinkabilityEvaluator(
  syn=t["synthetic"], aux_cols=tuple(s["parts"]), n_attacks=size,
  **targets).evaluate(n_jobs=s["cores"]))
for name in t["source"].columns:
  known = [other for other in t["source"].columns if other != name]
  number = pd.api.types.is_numeric_dtype(t["source"][name])
  answer[f"inference, {name}"] = found(InferenceEvaluator(
    syn=t["synthetic"], aux_cols=known, secret=name, regression=number,
    n_attacks=size, **targets).evaluate(n_jobs=s["cores"]))
versions = {n: importlib.metadata.version(n) for n in ("anonymeter", "numpy")}
print(json.dumps({"attacks": answer, "versions": versions}))
"""


def main():
  """Attacks, writes and prints."""
  if not _PYTHON.value:
    raise ValueError("name an interpreter that has anonymeter: --python=PATH")
  _call("import anonymeter")
  from adv_rec.experiments import experiment

  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  found, versions = {}, {}
  with tempfile.TemporaryDirectory() as place:
    folder = pathlib.Path(place)
    for name, tables in _tables(folder).items():
      print(f"{name} ...", flush=True)
      found[name], versions = _both(tables, folder)
      print(f"{table_text(found[name])}\n", flush=True)
  written = {
    "tables": found,
    "targets": targets(found),
    "leaked": _LEAKED,
    "epochs": _EPOCHS.value,
    "attacks": _ATTACKS.value,
    "confidence": _CONFIDENCE.value,
    "seed": _SEED.value,
    **experiment.provenance(),
  }
  written["anonymeter"] = versions
  experiment.write_json(out / "anonymeter.json", written)
  print(f"\n{text(written)}\n\nWritten to {out / 'anonymeter.json'}")


def _tables(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Name -> source, control, synthetic."""
  import numpy as np
  import pyarrow.parquet as pq

  from adv_rec.experiments import experiment, options

  theirs = package(pathlib.Path(_PACKAGE.value)) if _PACKAGE.value else None
  config = options.load(
    _BENCHMARKS.parent / "configs" / "generate" / "adult.py",
    f"epochs={_EPOCHS.value},seed={_SEED.value},data.test=0.5",
  )
  workdir = folder / "run"
  experiment.run(config, workdir, progress=False)
  source, control, made = (
    pq.ParquetFile(workdir / name).read()
    for name in (
      "data/train.parquet",
      "data/holdout.parquet",
      "synthetic.parquet",
    )
  )
  rng = np.random.default_rng([_SEED.value, 0])
  leaky = leak(made, source, _LEAKED, rng)
  few = control.slice(0, round(_SMALL * control.num_rows))
  tables = {
    "generator": (source, control, made),
    "leak": (source, control, leaky),
    "leak, small control": (source, few, leaky),
  }
  if theirs:
    tables["package"] = theirs
  keys = ("source", "control", "synthetic")
  return {n: dict(zip(keys, t, strict=True)) for n, t in tables.items()}


def leak(made: Any, source: Any, share: float, rng: Any) -> Any:
  """A table with a share of its rows replaced by rows of the source."""
  import numpy as np
  import pyarrow as pa

  number = round(share * made.num_rows)
  kept = rng.choice(made.num_rows, made.num_rows - number, replace=False)
  copied = rng.choice(source.num_rows, number, replace=False)
  both = pa.concat_tables([made.take(kept), source.take(copied)])
  return both.take(np.asarray(rng.permutation(both.num_rows)))


def package(folder: pathlib.Path) -> tuple[Any, Any, Any]:
  """(source, control, synthetic) of Anonymeter's own example.

  Its source is not among its files: it is Adult, 48,842 rows, without the
  control. Of these the common 32,561 are at hand.
  """
  from adv_rec.data import tabular

  control, made = (
    tabular.read(folder / f"adults_{name}.csv.gz")
    for name in ("control", "syn_ctgan")
  )
  return beside(tabular.adult(), control), control, made


def beside(whole: Any, control: Any) -> Any:
  """Rows that the control has not, as it names and writes them."""
  import pyarrow as pa
  import pyarrow.compute as pc

  whole = pa.table(
    [
      pc.utf8_trim_whitespace(c) if pa.types.is_string(c.type) else c
      for c in whole.columns
    ],
    control.column_names,
  )
  held = {tuple(row.values()) for row in control.to_pylist()}
  rows = (tuple(row.values()) for row in whole.to_pylist())
  return whole.filter(pa.array([row not in held for row in rows]))


def _both(
  tables: dict[str, Any], folder: pathlib.Path
) -> tuple[dict[str, Any], dict[str, str]]:
  """Attack -> ours and theirs with the verdict; versions of the peer."""
  import numpy as np
  import pyarrow.parquet as pq

  from adv_rec.evaluation import audit_rows

  columns, rows = audit_rows.encode(**tables)
  rng = np.random.default_rng([_SEED.value, 1])
  size = min(_ATTACKS.value, *(len(r) for r in rows[:2]))
  chosen = [rng.choice(len(r), size, replace=False) for r in rows[:2]]
  ours = _ours(columns, rows, chosen, rng)
  for name, order in zip(("source", "control"), chosen, strict=True):
    pq.write_table(tables[name].take(order), folder / f"{name}_targets.parquet")
  for name, table in tables.items():
    pq.write_table(table, folder / f"{name}.parquet")
  names = columns.names
  theirs = _peer(
    folder,
    {
      "singling_out": {
        name.split(", ")[1]: entry["attacks"]
        for name, entry in ours.items()
        if name.startswith("singling out") and entry["attacks"]
      },
      "parts": [names[::2], names[1::2]],
    },
  )
  attacks = {
    name: verdict(ours[name], entry, _CONFIDENCE.value)
    for name, entry in theirs["attacks"].items()
  }
  sizes = {name: table.num_rows for name, table in tables.items()}
  return {"rows": sizes, "attacks": attacks}, theirs["versions"]


def _ours(columns: Any, rows: Any, chosen: Any, rng: Any) -> dict[str, Any]:
  """Attack -> result of evaluation/audit_risks.py."""
  from adv_rec.evaluation import audit_risks

  most, confidence = _ATTACKS.value, _CONFIDENCE.value
  real, held, made = rows
  every = range(len(columns.names))
  found = {}
  for width in (1, 3, len(every)):
    if width == 1:
      guesses = audit_risks.univariate(made, columns, most, rng)
    else:
      guesses = audit_risks.multivariate(made, columns, most, rng, width)
    found[f"singling out, {width}"] = audit_risks.singling_out(
      real, held, guesses, confidence, rng
    )
  some, others = (r[order] for r, order in zip(rows[:2], chosen, strict=True))
  found["linkability"] = audit_risks.linkability(
    some, others, made, columns, every[::2], confidence, rng, most
  )
  for j, name in enumerate(columns.names):
    known = [i for i in every if i != j]
    found[f"inference, {name}"] = audit_risks.inference(
      some, others, made, columns, known, j, confidence, rng, most
    )
  return found


def _peer(folder: pathlib.Path, settings: dict[str, Any]) -> dict[str, Any]:
  """Anonymeter on the tables of a folder, in the process that it needs."""
  settings |= {
    "confidence": _CONFIDENCE.value,
    "seed": _SEED.value,
    "cores": min(2, os.cpu_count() or 1),
  }
  answer = _call(_ANONYMETER, str(folder), json.dumps(settings))
  return json.loads(answer.strip().splitlines()[-1])


def _call(program: str, *arguments: str) -> str:
  """What a program prints in the peer's interpreter."""
  # Isolated: this file is called as the package is.
  done = subprocess.run(
    [_PYTHON.value, "-I", "-c", program, *arguments],
    capture_output=True,
    text=True,
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise ValueError(f"--python={_PYTHON.value}: {last}")
  return done.stdout


def verdict(
  ours: dict[str, Any], theirs: dict[str, Any], confidence: float
) -> dict[str, Any]:
  """Is our risk within their interval; and our rates, within theirs?

  Args:
    ours: as evaluation/audit_risks.py returns it.
    theirs: attacks, successes on source and control, risk.
    confidence: of all intervals.
  """
  from adv_rec.evaluation import audit_bounds

  trials = theirs["attacks"]
  peer = {
    "attacks": trials,
    **{
      side: audit_bounds.wilson(theirs[side], trials, confidence)._asdict()
      for side in ("source", "control")
    },
    "risk": theirs["risk"],
  }

  def inside(name):
    return peer[name]["low"] <= ours[name]["value"] <= peer[name]["high"]

  mine, other = ours["risk"], peer["risk"]
  return {
    "ours": ours,
    "anonymeter": peer,
    "inside": inside("risk"),
    "overlap": mine["low"] <= other["high"] and other["low"] <= mine["high"],
    "rates_inside": {side: inside(side) for side in ("source", "control")},
  }


def targets(found: dict[str, Any]) -> list[dict[str, Any]]:
  """What was asked, and what was found: shares of the attacks of a table."""
  rows = []
  for name, table in found.items():
    inside = [entry["inside"] for entry in table["attacks"].values()]
    share = sum(inside) / len(inside)
    rows.append(
      {
        "target": f"{name}: our risk within Anonymeter's interval",
        "asked": 1,
        "found": share,
        "met": share == 1,
      }
    )
  return rows


def table_text(table: dict[str, Any]) -> str:
  """A line for each attack on a table."""
  sides = f" {'source':>7} {'control':>7} {'risk':>7}"
  lines = [
    ", ".join(f"{n} {name}" for name, n in table["rows"].items()),
    f"{'':24} {'ours':^25}  {'anonymeter':^25}",
    f"{'attack':24}{sides}  {sides}  interval",
  ]
  for attack, entry in table["attacks"].items():
    rates = "  ".join(
      "".join(
        f" {entry[side][name]['value']:7.4f}"
        for name in ("source", "control", "risk")
      )
      for side in ("ours", "anonymeter")
    )
    risk = entry["anonymeter"]["risk"]
    mark = "inside" if entry["inside"] else "OUTSIDE"
    lines.append(
      f"{attack:24}{rates}  {risk['low']:.4f} .. {risk['high']:.4f}  {mark}"
    )
  return "\n".join(lines)


def text(written: dict[str, Any]) -> str:
  """The verdicts to print."""
  lines = []
  for row in written["targets"]:
    mark = "met" if row["met"] else "missed"
    lines.append(f"{row['target']:64} {row['found']:6.3f}  {mark}")
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
