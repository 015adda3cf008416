"""The rules of the race to quality, and what the clocks say. No clock here.

Every peer is trained to its own best nDCG@10 on the validation part; the best
of these is what we must reach. Each of our methods then runs the fewest epochs
after which it reaches the quality of its rival. Epochs are found in one
process and clocked, without looking at anything, in another.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

Job = dict[str, Any]
Run = Callable[[Job], dict[str, Any]]  # see contender.run
Row = dict[str, Any]

RECBOLE = 0.23e6  # triples/s of its BPR on 2 cores, a published constant
FASTER, EPOCH_RATIO, OVER_RECBOLE, EVALUATION_SECONDS = 3.0, 1.5, 10.0, 0.5


class Entry(NamedTuple):
  """A contender.

  Attributes:
    method: its name.
    settings: what contender.py makes it with.
    every: epochs between two looks at the validation part.
    most: the most epochs it may take.
    rivals: of ours, the peers whose quality it must reach; empty for all.
  """

  method: str
  settings: Any
  every: int
  most: int
  rivals: Collection[str] = ()


def best(curve: Sequence[Sequence[float]]) -> tuple[int, float]:
  """The first of the points (epochs, quality) with the highest quality."""
  epochs, quality = max(curve, key=lambda point: (point[1], -point[0]))
  return int(epochs), float(quality)


def first_reaching(
  curve: Sequence[Sequence[float]], target: float
) -> int | None:
  """The fewest epochs whose quality is at least the target; None if never."""
  reached = [int(epochs) for epochs, quality in curve if quality >= target]
  return min(reached, default=None)


def race(
  peers: Sequence[Entry],
  ours: Sequence[Entry],
  run: Run,
  repeats: int,
  progress: Callable[[str], None] = print,
) -> dict[str, Any]:
  """Seconds to quality of all.

  Args:
    peers: the other programs.
    ours: our methods.
    run: does a job of contender.py, apart from "data", "cores" and "seed".
    repeats: fits that are clocked.
    progress: receives one line a row.

  Returns:
    "peers" and "ours", rows; "standard", the method of the best peer;
    "winner", the fastest of ours, warm, that is as good as that; "ratios" of
    their seconds, "first" and "warm", and None each where there is no winner.
  """
  peer_rows = []
  for entry in peers:
    curve = _curve(entry, run)
    epochs, quality = best(curve)
    row = _row(entry, curve) | {"target": quality}
    peer_rows.append(_clock(row, entry, epochs, run, repeats, progress))
  standard = max(peer_rows, key=lambda row: row["best"])
  our_rows = []
  for entry in ours:
    rivals = [
      row for row in peer_rows if row["method"] in entry.rivals
    ] or peer_rows
    rival = max(rivals, key=lambda row: row["best"])
    curve = _curve(entry, run)
    epochs = first_reaching(curve, rival["best"])
    row = _row(entry, curve) | {
      "rival": rival["method"],
      "target": rival["best"],
    }
    row = _clock(row, entry, epochs, run, repeats, progress)
    our_rows.append(row | {"ratios": ratios(rival, row)})
  as_good = [
    row
    for row in our_rows
    if row["reached"] and row["target"] >= standard["best"]
  ]
  winner = min(as_good, key=lambda row: row["warm_seconds"], default=None)
  return {
    "peers": peer_rows,
    "ours": our_rows,
    "standard": standard["method"],
    "winner": winner and winner["method"],
    "ratios": ratios(standard, winner),
  }


def ratios(
  rival: Mapping[str, Any], row: Mapping[str, Any] | None
) -> dict[str, float | None]:
  """How many times faster a row of ours is than its rival; None: never."""
  kinds = ("first", "warm")
  if row is None or not row["reached"]:
    return dict.fromkeys(kinds)
  return {
    kind: rival[f"{kind}_seconds"] / row[f"{kind}_seconds"] for kind in kinds
  }


def epochs_side_by_side(
  entries: Mapping[str, Any],
  ours: str,
  rows: int,
  run: Run,
  repeats: int,
  epochs: int,
  progress: Callable[[str], None] = print,
) -> dict[str, Any]:
  """Seconds of a BPR epoch, by turns, so that a busy minute hits all alike.

  Args:
    entries: method -> settings, of equal dimension.
    ours: which of them is ours.
    rows: triples of an epoch.
    run: see `race`.
    repeats: rounds.
    epochs: of each round.
    progress: receives one line a method.

  Returns:
    "methods": method -> "seconds", all of them, and "triples_per_second" of
    their median; "ratio": ours over the fastest peer's median;
    "over_recbole": our rate over RecBole's.
  """
  seconds = {method: [] for method in entries}
  for _ in range(repeats):
    for method, settings in entries.items():
      job = {"task": "epoch", "method": method, "settings": settings}
      seconds[method].append(run(job | {"epochs": epochs})["seconds"])
  median = {name: statistics.median(values) for name, values in seconds.items()}
  for name, value in median.items():
    progress(f"  {name}: an epoch in {value:.3f} s")
  fastest = min(value for name, value in median.items() if name != ours)
  return {
    "methods": {
      name: {"seconds": values, "triples_per_second": rows / median[name]}
      for name, values in seconds.items()
    },
    "ratio": median[ours] / fastest,
    "over_recbole": rows / median[ours] / RECBOLE,
  }


def verdicts(result: Mapping[str, Any]) -> list[dict[str, Any]]:
  """The targets, what was found, and whether it is met.

  Args:
    result: dataset -> "race", "epoch" and, where there is one, "evaluation".
  """
  found = []
  for name, part in result.items():
    for kind in ("warm", "first"):
      value = part["race"]["ratios"][kind]
      found.append(
        {
          "target": f"{name}: times faster to the best peer's quality, {kind}",
          "asked": FASTER,
          "found": value,
          "met": value is not None and value >= FASTER,
        }
      )
    ratio, over = part["epoch"]["ratio"], part["epoch"]["over_recbole"]
    found.append(
      {
        "target": f"{name}: seconds of a BPR epoch over the fastest peer's",
        "asked": EPOCH_RATIO,
        "found": ratio,
        "met": ratio <= EPOCH_RATIO,
      }
    )
    found.append(
      {
        "target": f"{name}: triples/s over RecBole's {RECBOLE:,.0f}",
        "asked": OVER_RECBOLE,
        "found": over,
        "met": over >= OVER_RECBOLE,
      }
    )
    if "evaluation" in part:
      seconds = part["evaluation"]["warm_seconds"]
      found.append(
        {
          "target": f"{name}: seconds to rank the test users, warm",
          "asked": EVALUATION_SECONDS,
          "found": seconds,
          "met": seconds < EVALUATION_SECONDS,
        }
      )
  return found


def _curve(entry: Entry, run: Run) -> list[list[float]]:
  job = {
    "task": "curve",
    "method": entry.method,
    "settings": entry.settings,
    "every": entry.every,
    "most": entry.most,
  }
  return [list(point) for point in run(job)["curve"]]


def _row(entry: Entry, curve: Sequence[Sequence[float]]) -> Row:
  return {
    "method": entry.method,
    "settings": entry.settings,
    "curve": curve,
    "best": best(curve)[1],
  }


def _clock(
  row: Row,
  entry: Entry,
  epochs: int | None,
  run: Run,
  repeats: int,
  progress: Callable[[str], None],
) -> Row:
  """The row with the clock's answer, if it has ever reached the target."""
  if epochs is None:
    progress(f"  {entry.method}: best {row['best']:.4f}, never {row['target']}")
    return row | {"reached": False}
  job = {
    "task": "fit",
    "method": entry.method,
    "settings": entry.settings,
    "epochs": epochs,
    "repeats": repeats,
  }
  answer = run(job)
  progress(
    f"  {entry.method}: nDCG@10 {row['target']:.4f} after {epochs} epochs,"
    f" {answer['first_seconds']:.2f} s at first,"
    f" {answer['warm_seconds']:.2f} s warm, {answer['peak_mb']:.0f} MB"
  )
  return row | {"reached": True} | answer
