"""The page of a release's card: one self-contained HTML text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from adv_rec.report import plots
from adv_rec.report.style import CSS


def page(card: Mapping[str, Any]) -> str:
  """The page, a function of the card alone."""
  says = card["guarantee"]
  title = f"{card['table']['name']}: a private release"
  facts = {
    "epsilon": f"{says['epsilon']:.4g}",
    "delta": f"{says['delta']:g}",
    "protected": f"one {says['unit']}",
    "rows released": f"{card['table']['rows']:,}",
    f"{card['table']['of']} learnt from": f"{says['learnt_from']:,}",
  }
  return "\n".join(
    [
      '<!doctype html><html lang="en"><head><meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>",
      f'<p class="eyebrow">adv_rec release</p><h1>{escape(title)}</h1>',
      "<p>"
      + escape(
        f"The rows of this folder are synthetic. Whatever is done with them,"
        f" the presence of one {says['protected']} among those that were"
        f" learnt from changes the chance of any outcome by a factor of at most"
        f" e^{says['epsilon']:.4g}, but for a chance of {says['delta']:g}"
        f" (differential privacy; {says['neighbours']}; accountant"
        f" {says['accountant']}; budget {says['budget']:g})."
      )
      + "</p>",
      '<dl class="facts">'
      + "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>"
        for k, v in facts.items()
      )
      + "</dl>",
      "<h2>What was spent</h2>",
      _ledger(card),
      "<h2>What cost nothing, and why</h2>",
      _table(["", "why"], [[f["name"], f["why"]] for f in card["free"]]),
      "<h2>Is the noise there?</h2>",
      _probes(card),
      "<h2>What it is good for, and what attacks found</h2>",
      _outside(card["outside"]),
      "<h2>Limits</h2>",
      "".join(f"<p>{escape(limit)}</p>" for limit in card["limits"]),
      "<h2>Columns</h2>",
      _columns(card["table"]),
      "</main></body></html>\n",
    ]
  )


def _ledger(card: Mapping[str, Any]) -> str:
  rows = []
  for spend in card["ledger"]:
    g = spend["gaussian"]
    sampler = g["sampler"]
    if sampler != "all":
      sampler += f", probability {g['probability']:.4g}"
    rows.append(
      [
        spend["name"],
        sampler,
        f"{g['noise_multiplier']:.4g}",
        f"{g['count']:,}",
        f"{spend['alone']:.3g}",
      ]
    )
  done = card["mechanism"]
  clip = "none" if done["clip"] is None else f"{done['clip']:g}"
  bound = done["bound"] or (
    f"Steps of training: {done['steps']:,}; clip of a unit's gradient: {clip}."
  )
  return _table(
    ["spend", "sampler", "noise multiplier", "times", "epsilon alone (rdp)"],
    rows,
  ) + (
    '<p class="note">'
    + escape(
      f"Gaussian mechanisms; noise is a multiple of the sensitivity. {bound}"
      f" Epsilons alone do not add up: together they are"
      f" {card['guarantee']['epsilon']:.4g}. The ledger is written before noise"
      " is drawn."
    )
    + "</p>"
  )


def _probes(card: Mapping[str, Any]) -> str:
  rows = []
  for name, found in card["probes"].items():
    noise = [f"{found[k]:.4g}" for k in ("claimed", "at_most")]
    rows.append([name, *noise, f"{found['trials']:,}"])
  of = card["table"]["of"]
  words = (
    f"Before anything was spent, each mechanism was played with made-up {of},"
    f" with one {of.removesuffix('s')} more and without it. The noise that was"
    " found bounds the multiplier from above; below what is claimed, nothing"
    " would have been released. With as much noise as the probes leave, the"
    f" ledger's epsilon would be {card['probed_epsilon']:.3g}: a lower bound,"
    " if the noise is Gaussian and steps compose as in the ledger."
  )
  heads = ["spend", "claimed in the rehearsal", "at most", "trials"]
  return f"<p>{escape(words)}</p>" + _table(heads, rows)


def _outside(outside: Mapping[str, Any] | None) -> str:
  if outside is None:
    return (
      "<p>Measured with real rows, without noise; the owner has kept these"
      " figures, so that all of this folder is covered by the guarantee.</p>"
    )
  warning = f'<p class="warning">{escape(outside["note"])}</p>'
  utility = _table(
    ["utility", "value"],
    [[k, f"{v:.3f}"] for k, v in outside["utility"].items()],
  )
  audit = _table(
    ["attack", "found", "low", "high", "where nothing leaks"],
    [
      [a["name"], *(f"{a[k]:.3f}" for k in ("value", "low", "high", "blind"))]
      for a in outside["attacks"]
    ],
  )
  chart = ""
  if outside["columns"]:
    figure = f"<figure>{_chart(outside['columns'])}</figure>"
    chart = f'<div class="charts">{figure}</div>'
  bound = outside["epsilon"]
  words = (
    f"By membership epsilon is at least {bound['lower']:.3f}"
    f" ({bound['confidence']:.4g} confidence), by attacks"
    f" on {outside['audited']:,} of its rows. That is no proof: it is what"
    " these attacks found."
    if bound
    else f"Looked at were {outside['audited']:,} of the made-up users. All real"
    " ones were learnt from: there is no control, and so no attack by"
    " membership."
  )
  return warning + chart + utility + audit + f"<p>{escape(words)}</p>"


def _chart(columns: Mapping[str, Mapping[str, float]]) -> str:
  order = sorted(columns, key=lambda name: columns[name]["released"])
  x = list(range(1, len(order) + 1))
  return plots.line_chart(
    [
      plots.Series("released", x, [columns[n]["released"] for n in order], 0),
      plots.Series("real rows", x, [columns[n]["real"] for n in order], 1),
    ],
    "Distance to held-out rows, column by column",
    "columns, from the closest on",
    zero=True,
  )


def _columns(table: Mapping[str, Any]) -> str:
  rows = []
  for column in table["columns"]:
    if "declared" in column:
      what = column["declared"]
    elif column["kind"] == "category":
      what = f"{len(column['categories'])} categories"
    else:
      ends = f"{column['low']:g} to {column['high']:g}"
      what = f"{ends}, {table['bins']} values at most"
    missing = "may be missing" if column.get("nulls") else ""
    rows.append([column["name"], column["type"], what, missing])
  return _table(["column", "type", "declared", ""], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
  body = "".join(
    "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    for row in rows
  )
  return (
    f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
    f"<tbody>{body}</tbody></table></div>"
  )
