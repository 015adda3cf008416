"""The page of a sweep: what was tried, what it came to, what to train."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from adv_rec.report import table
from adv_rec.report.plots import Series, line_chart
from adv_rec.report.style import CSS

Sweep = Mapping[str, Any]  # what sweep.json holds
Trial = Mapping[str, Any]
_CHARTS = 4  # of numeric options, at most
_FAR = 4.0  # times as far from the best as the median is: not drawn
_DASH = '<span class="missing">–</span>'


def text(found: Sweep) -> str:
  """For the terminal."""
  return (
    f"{_verdict(found)}\n\nTo train it on train and validation:\n\n"
    f"  {found['command']}"
  )


def page(found: Sweep) -> str:
  """One self-contained HTML page."""
  title = f"{found['title']}: a search by validation"
  best, done = _best(found), _complete(found)
  facts = {
    f"best {_heading(found)}": _value(found, best),
    "of plain training, the first trial": _value(found, found["trials"][0]),
    "trials": str(len(found["trials"])),
    "failed": str(len(found["trials"]) - len(done)),
  }
  charts = [_by_number(found), *_by_option(found)]
  return "\n".join(
    [
      '<!doctype html><html lang="en"><head><meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>",
      '<p class="eyebrow">adv_rec sweep ·'
      f" {escape(str(found['dataset'].get('name', '')))}</p>",
      f"<h1>{escape(title)}</h1><p>{escape(_verdict(found))}</p>",
      '<dl class="facts">',
      *(
        f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>"
        for name, value in facts.items()
      ),
      "</dl><p>This trains it on train and validation, for a figure of the"
      f" test part:</p><pre>{escape(found['command'])}</pre>",
      '<p class="note">The best of many trials looks better on validation than'
      " it is. Trials share one seed; differences as small as those between"
      " seeds say nothing. The test part was not looked at.</p>",
      f'<h2>What was tried</h2><div class="charts">{_figures(charts)}</div>',
      _not_drawn(found),
      f"<h2>Trials, best first</h2>{_table(found)}",
      "<details><summary>What was asked for</summary>"
      f"<pre>{escape(json.dumps(found['asked'], indent=2))}</pre></details>",
      "</main></body></html>\n",
    ]
  )


def _verdict(found: Sweep) -> str:
  best, plain = _best(found), found["trials"][0]
  start = (
    f"Best of {len(_complete(found))} trials by {found['metric']}: trial"
    f" {best['number'] + 1}, {_options(best)}, with {_value(found, best)}"
  )
  if best is plain:
    return f"{start}, which is plain training."
  if plain["state"] == "failed":
    return f"{start}; plain training failed."
  return f"{start}; plain training has {_value(found, plain)}."


def _table(found: Sweep) -> str:
  names = dict.fromkeys(
    name for trial in found["trials"] for name in trial["options"]
  )
  sign = -1 if found["direction"] == "minimize" else 1
  rows = sorted(_complete(found), key=lambda trial: -sign * trial["value"])
  rows += [t for t in found["trials"] if t["state"] == "failed"]
  body = []
  for trial in rows:
    number = f"{trial['number'] + 1}{' (plain)' * (trial['number'] == 0)}"
    if trial["number"] == found["best"]:
      number = f"<b>{number}</b>"
    value = _value(found, trial)
    if trial["error"]:
      error = escape(trial["error"])
      value = f"failed<details><summary>why</summary>{error}</details>"
    cells = [
      escape(str(trial["options"][name])) if name in trial["options"] else _DASH
      for name in names
    ]
    cells += [value, f"{trial['seconds']:.1f}"]
    body.append(
      f'<tr><th scope="row">{number}</th>'
      + "".join(f"<td>{cell}</td>" for cell in cells)
      + "</tr>"
    )
  heads = ["Trial", *names, _heading(found), "Seconds"]
  return (
    '<div class="scroll"><table><thead><tr>'
    + "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    + f"</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    '<p class="note">Where an option has a dash the config\'s own holds.</p>'
  )


def _by_number(found: Sweep) -> str:
  """Values in the order of the trials, and the best so far."""
  done = _drawn(found)
  pick = min if found["direction"] == "minimize" else max
  values = [trial["value"] for trial in done]
  so_far = [pick(values[: n + 1]) for n in range(len(values))]
  numbers = [trial["number"] + 1 for trial in done]
  groups = _groups(found, done)
  lines = _points(groups, lambda trial: trial["number"] + 1)
  lines.append(Series("best so far", numbers, so_far, len(groups), dash=1))
  return line_chart(lines, f"{_heading(found)}, trial by trial", "trial")


def _by_option(found: Sweep) -> list[str]:
  """Values over each numeric option, beside plain training."""
  charts = []
  plain = found["trials"][0]
  level_shown = plain in _drawn(found)
  for name, rule in found["asked"]["space"].items():
    if "low" not in rule or rule["low"] < 0 or len(charts) == _CHARTS:
      continue
    done = [t for t in _drawn(found) if name in t["options"]]
    places = [trial["options"][name] for trial in done]
    if len(set(places)) < 2:
      continue
    low, high = min(places), max(places)
    groups = _groups(found, done)
    lines = _points(groups, lambda trial, name=name: trial["options"][name])
    if level_shown:
      level = [plain["value"]] * 2
      lines.append(Series("plain", [low, high], level, len(groups), dash=1))
    log = _ticks(low, high) if rule.get("log") else ()
    charts.append(
      line_chart(lines, f"{_heading(found)} by {name}", name, log=log)
    )
  return charts


def _groups(found: Sweep, trials: Sequence[Trial]) -> dict[str, list[Trial]]:
  """Trials by the first choice of the space, which is what colours say."""
  choices = (
    name
    for name, rule in found["asked"]["space"].items()
    if len(rule.get("choice", ())) > 1
  )
  name = next(choices, "")
  groups: dict[str, list[Trial]] = {}
  if name:
    for value in found["asked"]["space"][name]["choice"]:
      groups[str(value)] = []
  for trial in trials:
    own = str(trial["options"].get(name, "config's own")) if name else "trials"
    groups.setdefault(own, []).append(trial)
  return groups


def _points(groups: Mapping[str, Sequence[Trial]], x) -> list[Series]:
  lines = []
  for color, (label, trials) in enumerate(groups.items()):
    placed = sorted((x(trial), trial["value"]) for trial in trials)
    places, values = [a for a, _ in placed], [b for _, b in placed]
    lines.append(Series(label, places, values, color, points=True))
  return [line for line in lines if line.x]


def _ticks(low: float, high: float) -> list[float]:
  """1, 2 and 5 times powers of ten in a range; its ends if there are none."""
  powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
  found = [float(f"{m}e{p}") for p in powers for m in (1, 2, 5)]
  return [tick for tick in found if low <= tick <= high] or [low, high]


def _figures(charts: Sequence[str]) -> str:
  return "".join(f"<figure>{chart}</figure>" for chart in charts)


def _complete(found: Sweep) -> list[Trial]:
  return [trial for trial in found["trials"] if trial["state"] == "complete"]


def _drawn(found: Sweep) -> list[Trial]:
  """The trials but for those that would hide how the others differ."""
  done = _complete(found)
  best = _best(found)["value"]
  away = [abs(trial["value"] - best) for trial in done]
  far = _FAR * statistics.median(away) or math.inf
  return [t for t, gap in zip(done, away, strict=True) if gap <= far]


def _not_drawn(found: Sweep) -> str:
  drawn = _drawn(found)
  left_out = [t for t in _complete(found) if t not in drawn]
  if not left_out:
    return ""
  told = (f"{t['number'] + 1} ({_value(found, t)})" for t in left_out)
  return (
    '<p class="note">Not drawn, since far worse than the others: trials'
    f" {', '.join(told)}.</p>"
  )


def _best(found: Sweep) -> Trial:
  return found["trials"][found["best"]]


def _heading(found: Sweep) -> str:
  name = found["metric"].removeprefix("validation/")
  return f"{table.heading(name)} on validation"


def _value(found: Sweep, trial: Trial) -> str:
  return table.cell(trial["value"], found["metric"])


def _options(trial: Trial) -> str:
  words = [f"{name}={value}" for name, value in trial["options"].items()]
  return ", ".join(words) or "the config as it is"
