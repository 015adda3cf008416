"""The sections of the page: results in, HTML out, everything escaped."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from adv_rec.report import curves, protocol, reliability, robustness, table
from adv_rec.report.results import Run, number

_GROUPS = {
  "Accuracy": ("ndcg", "recall", "hr", "precision", "mrr", "map"),
  "Diversity": ("coverage", "gini", "novelty", "ild", "aplt"),
}
_DASH = '<span class="missing">–</span>'

_READING = """
<p>An attack moves each row of the attacked table by a length epsilon, in the
direction that hurts most. Long rows hardly feel a step that throws short ones
far off, and rows grow while a model trains; so the horizontal axis divides
epsilon by the median length of a row, or else training longer would pass for
robustness. Dashed lines move the rows just as far in random directions: the
gap between a method's dashed and solid line is what the attack itself does,
and a claim of robustness needs a higher solid line, not just a smaller gap.</p>
"""


def introduction(
  title: str, shown: Mapping[str, Run], notes: Sequence[str]
) -> str:
  """What was done, on which data, under which protocol."""
  datasets = {
    name: run.result.get("dataset") or {} for name, run in shown.items()
  }
  first, dataset = next(iter(datasets.items()))
  name = escape(str(dataset.get("name", "an unnamed data set")))
  methods = f"{len(shown)} runs" if len(shown) > 1 else "one run"
  words = [
    f"This page shows {methods} on the data set {name}.",
    *map(escape, protocol.sentences(dataset)),
  ]
  counts = dataset.get("counts") or {}
  facts = "".join(
    f"<div><dt>{escape(str(key))}</dt><dd>{count:,}</dd></div>"
    for key, count in counts.items()
    if number(count) is not None
  )
  others = [label for label, other in datasets.items() if other != dataset]
  warning = (
    '<p class="warning">These runs had other data or another protocol than'
    f" {escape(first)}, so their numbers do not compare:"
    f" {escape(', '.join(others))}.</p>"
    if others
    else ""
  )
  details = protocol.leaves(dataset)
  return (
    f'<p class="eyebrow">adv_rec report · {name}</p><h1>{escape(title)}</h1>'
    f"<p>{' '.join(words)}</p>{warning}"
    f'<dl class="facts">{facts}</dl>'
    + "".join(f"<p>{escape(note)}</p>" for note in notes)
    + "<details><summary>Data set and protocol in full</summary>"
    + f"{_pairs(details)}</details>"
  )


def comparison(
  shown: Mapping[str, Run], published: Sequence[Mapping[str, Any]], k: int
) -> str:
  """The table of results, numbers of others apart."""
  results = [run.result for run in shown.values()]
  everything = [*results, *published]

  def known(column: str) -> bool:
    return any(table.value(row, column) is not None for row in everything)

  groups = {
    group: [f"{name}@{k}" for name in names if known(f"{name}@{k}")]
    for group, names in _GROUPS.items()
  }
  groups["Cost"] = ["seconds"] if known("seconds") else []
  groups = {group: columns for group, columns in groups.items() if columns}
  columns = [column for group in groups.values() for column in group]
  leads = {group[0] for group in groups.values()}

  def cells(row: Mapping[str, Any], bold: Sequence[str] = ()) -> str:
    parts = []
    for column in columns:
      text = table.cell(table.value(row, column), column, _DASH)
      text = f"<b>{text}</b>" if column in bold else text
      parts.append(f"<td{_lead(column in leads)}>{text}</td>")
    return "".join(parts)

  best = {column: table.best(results, column) for column in columns}
  body = [
    f'<tr><th scope="row" class="method">{escape(label)}</th>'
    f"{cells(row, [c for c in columns if index in best[c]])}</tr>"
    for index, (label, row) in enumerate(zip(shown, results, strict=True))
  ]
  if published:
    body.append(
      f'<tr><td class="apart" colspan="{len(columns) + 1}">Numbers of others,'
      " as published or measured with their code</td></tr>"
    )
  body += [
    f'<tr><th scope="row" class="method">{escape(str(row["method"]))}'
    f"<small>{escape(str(row.get('source', '')))}</small></th>{cells(row)}</tr>"
    for row in published
  ]
  heads = "".join(
    f'<th scope="colgroup" colspan="{len(group)}" class="group lead">'
    f"{name}</th>"
    for name, group in groups.items()
  )
  names = "".join(
    f'<th scope="col"{_lead(c in leads)}>{_heading(c)}</th>' for c in columns
  )
  meanings = {_heading(c): table.metric(c).meaning for c in columns}
  return (
    f"<h2>Results on the test part, lists of {k}</h2>"
    '<div class="scroll"><table><thead>'
    f'<tr><th class="method"></th>{heads}</tr>'
    f'<tr><th scope="col" class="method">Method</th>{names}</tr>'
    f"</thead><tbody>{''.join(body)}</tbody></table></div>"
    '<p class="note">Bold: the best of the runs of this page. ↓ lower is'
    " better.</p><details><summary>What the columns mean</summary>"
    f"{_pairs(meanings)}</details>"
  )


def _lead(first: bool) -> str:
  return ' class="lead"' if first else ""


def _heading(column: str) -> str:
  known = table.metric(column)
  return known.label + (" ↓" if known.better < 0 else "")


def learning_curves(
  drawn: Mapping[str, Run], colors: Mapping[str, int], k: int
) -> str:
  """Learning curves; nothing if no run logged any."""
  charts = curves.charts(drawn, colors, k)
  if not charts:
    return ""
  silent = [label for label, run in drawn.items() if not run.curve]
  note = "Losses of different objectives do not compare; their shapes do."
  if silent:
    note += f" Without a curve: {escape(', '.join(silent))}."
  return f'<h2>Learning curves</h2>{_figures(charts)}<p class="note">{note}</p>'


def attacks(shown: Mapping[str, Run], colors: Mapping[str, int], k: int) -> str:
  """Robustness charts and numbers; nothing if no run was attacked."""
  charts = robustness.charts(shown, colors, k)
  if not charts:
    return ""
  body, silent = [], []
  for label, run in shown.items():
    rows = robustness.rows(run, k)
    silent += [] if rows else [label]
    for row in rows:
      amounts = [
        _epsilon(row.epsilon),
        _amount(row.relative, ".3g"),
        _amount(row.value, ".4f"),
        _amount(row.kept, ".1%"),
      ]
      body.append(
        f"<tr><td>{escape(label)}</td>"
        f'<td class="text">{escape(robustness.attack_name(row.attack))}</td>'
        + "".join(f"<td>{amount}</td>" for amount in amounts)
        + "</tr>"
      )
  what = " or ".join(map(table.heading, robustness.by_metric(shown, k)))
  heads = ("Epsilon", "Relative", what, "Kept")
  note = f"Not attacked: {escape(', '.join(silent))}." if silent else ""
  return (
    f"<h2>Robustness</h2>{_figures(charts)}{_READING}"
    f'<p class="note">{note}</p>'
    "<details><summary>The same numbers as a table</summary>"
    '<div class="scroll"><table><thead><tr>'
    '<th scope="col">Method</th><th scope="col" class="text">Attack</th>'
    + "".join(f'<th scope="col">{head}</th>' for head in heads)
    + f"</tr></thead><tbody>{''.join(body)}</tbody></table></div></details>"
  )


def calibration(shown: Mapping[str, Run], colors: Mapping[str, int]) -> str:
  """Reliability of predicted chances; nothing if no run predicts any."""
  chart = reliability.chart(shown, colors)
  if chart is None:
    return ""
  note = (
    "Each marker is a fifteenth of the test rows, by predicted chance; above"
    " the diagonal it happened more often than was said."
  )
  return f'<h2>Calibration</h2>{_figures([chart])}<p class="note">{note}</p>'


def provenance(runs: Mapping[str, Run]) -> str:
  """Where every number comes from, a block a run."""
  parts = []
  for label, run in runs.items():
    result = run.result
    command = result.get("command")
    if isinstance(command, list):
      command = shlex.join(map(str, command))
    facts = {
      "device": _inline(result.get("device")),
      "seed": result.get("seed"),
      "commit": result.get("commit"),
      "versions": _inline(result.get("versions")),
    }
    brief = [
      f"{name} {facts[name]}"
      for name in ("seed", "commit")
      if facts[name] is not None
    ]
    known = f" <span>{escape(', '.join(brief))}</span>"
    config = json.dumps(result.get("config") or {}, indent=2, default=str)
    parts.append(
      f"<details><summary>{escape(label)}{known}</summary>{_pairs(facts)}"
      + (f"<pre>{escape(str(command))}</pre>" if command else "")
      + f"<pre>{escape(config)}</pre></details>"
    )
  return (
    "<footer><div><h2>Where the numbers come from</h2><p>Apart from the numbers"
    " of others, this page is made from the result files of these runs.</p>"
    f"{''.join(parts)}</div></footer>"
  )


def _figures(charts: Sequence[str]) -> str:
  figures = "".join(f"<figure>{chart}</figure>" for chart in charts)
  return f'<div class="charts">{figures}</div>'


def _epsilon(epsilon: Mapping[str, float] | float | None) -> str:
  if not isinstance(epsilon, Mapping):
    return _amount(epsilon, ".3g")
  return ", ".join(
    f"{escape(table_name)} {_amount(number(length), '.3g')}"
    for table_name, length in epsilon.items()
  )


def _amount(amount: float | None, form: str) -> str:
  return _DASH if amount is None else format(amount, form)


def _inline(facts: Any) -> Any:
  """A mapping as one line; anything else as it is."""
  if not isinstance(facts, Mapping):
    return facts
  return ", ".join(f"{name} {value}" for name, value in facts.items())


def _pairs(facts: Mapping[str, Any]) -> str:
  return (
    '<dl class="pairs">'
    + "".join(
      f"<dt>{escape(str(key))}</dt>"
      f"<dd>{_DASH if value in (None, '') else escape(str(value))}</dd>"
      for key, value in facts.items()
    )
    + "</dl>"
  )
