"""What the runs of a table come to: means, deviations, paired differences."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from adv_rec.experiments.reproduce import Job, Table


def summarize(
  name: str,
  table: Table,
  jobs: Sequence[Job],
  kept: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """The table's result file, from the jobs that have a result.

  Args:
    name: of the table.
    table: from `reproduce.load`.
    jobs: from `reproduce.plan`; those without a result are left out.
    kept: an older result file of the table; its rows and pairs stand where no
      job has a result, each with the commit it was made at.

  Returns:
    {"table", "title", "protocol", "metrics", "command", "dataset", "rows"}; a
    row has "method", "kind" ("published" or "measured"), "metrics" (means)
    and, if it is ours, "sd" over seeds, "seeds", "by_seed" (seed -> metrics),
    "config", "options", "commit", "device" and "wall_seconds" (mean), and
    "dataset" where rows have data of their own. Where the table has pairs,
    "paired": see `_paired`.

  Raises:
    ValueError: a result lacks a metric of the table, or runs that are to be
      compared were measured on different data.
  """
  rows = [{"kind": "published", **row} for row in table.get("published", ())]
  done: dict[str, list[tuple[Job, dict]]] = defaultdict(list)
  for job in jobs:
    file = job.workdir / "result.json"
    if file.is_file():
      done[job.method].append((job, json.loads(file.read_text())))
  own_data = table.get("own_data", False)
  dataset: dict[str, Any] = dict(kept["dataset"]) if kept else {}
  older = {
    row["method"]: row
    for row in (kept["rows"] if kept else ())
    if "config" in row
  }
  for run in table["runs"]:
    if run["method"] not in done and run["method"] in older:
      rows.append(older[run["method"]])
    if found := done.get(run["method"]):
      row = _row(run, found, table["metrics"], table.get("extra", ()))
      rows.append(row)
      of_row = found[0][1]["dataset"]
      if own_data:
        row["dataset"] = of_row
      else:
        of_row = dataset = dataset or of_row
      for job, result in found:
        _same_data(of_row, result["dataset"], job)
  if own_data:
    own = [row["dataset"] for row in rows if "dataset" in row]
    prints = {data["fingerprint"] for data in own}
    dataset = {"fingerprint": ", ".join(sorted(prints))}
  seeds = max((row.get("seeds", 0) for row in rows), default=0)
  compared = {
    (pair["method"], pair["control"]): pair
    for pair in (kept or {}).get("paired", ())
    if pair["method"] not in done and pair["control"] not in done
  } | {
    (method, control): _paired(
      method,
      control,
      done[method],
      done[control],
      [*table["metrics"], *table.get("extra", ())],
    )
    for method, control in table.get("paired", ())
    if method in done and control in done
  }
  pairs = [
    compared[pair]
    for pair in map(tuple, table.get("paired", ()))
    if pair in compared
  ]
  return {
    "table": name,
    "title": table["title"],
    "protocol": " ".join(table["protocol"].split()),
    "metrics": [*table["metrics"], *table.get("extra", ())],
    "command": f"python scripts/reproduce.py --table={name} --seeds={seeds}",
    "dataset": dataset,
    "rows": rows,
    **({"paired": pairs} if pairs else {}),
    **({"frontier": table["frontier"]} if "frontier" in table else {}),
  }


def _row(
  run: Mapping[str, Any], found, metrics: Sequence[str], extra: Sequence[str]
):
  """One row from the (job, result) pairs of its seeds."""
  values = {
    name: [r["metrics"][f"test/{name}"] for _, r in found]
    for name in extra
    if all(f"test/{name}" in r["metrics"] for _, r in found)
  }
  for metric in metrics:
    for job, result in found:
      if f"test/{metric}" not in result["metrics"]:
        raise ValueError(
          f"{job.workdir}/result.json has no test/{metric}; set"
          " evaluation.ks in the options of the run"
        )
    values[metric] = [r["metrics"][f"test/{metric}"] for _, r in found]
  results = [result for _, result in found]
  row = {
    "method": run["method"],
    "kind": "measured",
    "metrics": {name: statistics.fmean(v) for name, v in values.items()},
    "sd": {name: statistics.stdev(v) for name, v in values.items() if v[1:]},
    "seeds": len(found),
    "by_seed": {
      str(job.seed): {name: v[i] for name, v in values.items()}
      for i, (job, _) in enumerate(found)
    },
    "config": run["config"],
    "options": run.get("options", ""),
    "commit": ", ".join(sorted({r["commit"] for r in results})),
    "device": results[0]["device"],
    "wall_seconds": statistics.fmean(r["wall_seconds"] for r in results),
  }
  if "curve" in run:
    row["curve"] = run["curve"]
  if curve := _robustness(results):
    row["robustness"] = curve
  return row


def _robustness(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """Curves averaged over seeds; empty if the runs were not attacked."""
  points = defaultdict(list)
  for result in results:
    for row in result.get("robustness", ()):
      points[row["attack"], row["relative_epsilon"]].append(row)
  return [
    {
      "attack": attack,
      "relative_epsilon": relative,
      "epsilon": {
        name: statistics.fmean(row["epsilon"][name] for row in rows)
        for name in rows[0]["epsilon"]
      },
      metric: statistics.fmean(row[metric] for row in rows),
      **({"metric": metric} if "metric" in rows[0] else {}),
    }
    for (attack, relative), rows in points.items()
    for metric in (rows[0].get("metric", "ndcg@10"),)
  ]


def _paired(
  method: str, control: str, ours, theirs, metrics: Sequence[str]
) -> dict[str, Any]:
  """Differences, method minus control, over the seeds that both have.

  Returns:
    {"method", "control", "seeds", "differences": name -> {"mean", "sd"}}; the
    names are metrics and, where both were attacked, "kept fgm 0.5": of shares
    of the clean nDCG@10, or what else was measured under attack.
  """
  other = {job.seed: result for job, result in theirs}
  values = defaultdict(list)
  seeds = [job.seed for job, _ in ours if job.seed in other]
  for job, result in ours:
    if job.seed not in other:
      continue
    for name in metrics:
      one, two = (
        r["metrics"].get(f"test/{name}") for r in (result, other[job.seed])
      )
      if one is not None and two is not None:  # extra columns may lack them
        values[name].append(one - two)
    one, two = _kept(result), _kept(other[job.seed])
    for attack, size in sorted(one.keys() & two.keys()):
      values[f"kept {attack} {size:g}"].append(
        one[attack, size] - two[attack, size]
      )
  return {
    "method": method,
    "control": control,
    "seeds": len(seeds),
    "differences": {
      name: {
        "mean": statistics.fmean(v),
        "sd": statistics.stdev(v) if v[1:] else None,
      }
      for name, v in values.items()
    },
  }


def _kept(result: Mapping[str, Any]) -> dict[tuple[str, float], float]:
  """(attack, relative size) -> share of the clean metric of one run."""
  rows = result.get("robustness", ())
  metric = rows[0].get("metric", "ndcg@10") if rows else ""
  clean = {r["attack"]: r[metric] for r in rows if not r["relative_epsilon"]}
  return {
    (row["attack"], row["relative_epsilon"]): row[metric] / clean[row["attack"]]
    for row in rows
    if row["relative_epsilon"] and clean[row["attack"]]
  }


def _same_data(one: Mapping, other: Mapping, job: Job) -> None:
  if one["fingerprint"] != other["fingerprint"]:
    raise ValueError(
      f"{job.workdir} was measured on data {other['fingerprint']}, other runs"
      f" of the table on {one['fingerprint']}; a table has one protocol"
    )
