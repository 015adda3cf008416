"""Results side by side: what the columns mean, plain text and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from adv_rec.report.results import number

Result = Mapping[str, Any]  # the contents of a result.json

COLUMNS = ("ndcg@10", "recall@10", "hr@10", "coverage@10", "aplt@10", "seconds")


class Metric(NamedTuple):
  """How a metric is written and read.

  Attributes:
    label: its name in the head of a column.
    meaning: one line for the reader.
    decimals: digits after the point; 0 for counts.
    better: +1 where higher is better, -1 where lower is, 0 where neither is,
      so that no value is marked as the best.
  """

  label: str
  meaning: str
  decimals: int = 4
  better: int = 1


METRICS = {
  "ndcg": Metric(
    "nDCG",
    "Hits in the list, discounted by the logarithm of their place, over the"
    " best possible list.",
  ),
  "recall": Metric("Recall", "Share of the user's test items in the list."),
  "hr": Metric("HR", "Share of users with at least one hit in the list."),
  "precision": Metric("Prec.", "Share of the list that are hits."),
  "mrr": Metric("MRR", "Mean of 1 / place of the first hit."),
  "map": Metric("MAP", "Mean of the precision at the place of every hit."),
  "coverage": Metric(
    "Coverage", "Number of different items in all lists together.", 0
  ),
  "item_coverage": Metric(
    "Coverage share", "Share of the catalogue that is in at least one list."
  ),
  "gini": Metric(
    "Gini",
    "Inequality of how often items are shown: 0 all equally, 1 one item only.",
    3,
    -1,
  ),
  "novelty": Metric(
    "Novelty", "Mean surprise of the items shown, in bits: rare is novel.", 2
  ),
  "ild": Metric(
    "ILD", "Share of pairs in a list that are of different categories.", 3
  ),
  "all_ndcg": Metric(
    "All nDCG", "nDCG where cold items are ranked among all others."
  ),
  "all_recall": Metric(
    "All Recall", "Recall where cold items are ranked among all others."
  ),
  "cold_share": Metric(
    "Cold share", "Share of cold items in the lists of all items.", 3, 0
  ),
  "aplt": Metric("APLT", "Share of the list from the long tail of items.", 3),
  "seconds": Metric("Seconds", "Wall time of the whole run.", 1, 0),
}


# Of generated samples and tables; their names have no cutoff.
SAMPLES = {
  "modes": Metric("Modes", "Modes of the data that samples cover.", 1),
  "high_quality": Metric(
    "High quality", "Share of samples close to some mode.", 3
  ),
  "mode_kl": Metric(
    "Mode KL", "How unequally modes are met, in nats: 0 all alike.", 3, -1
  ),
  "precision": Metric(
    "Precision", "Share of samples among the real examples.", 3
  ),
  "recall": Metric("Recall", "Share of real examples among samples.", 3),
  "density": Metric("Density", "Real neighbourhoods a sample lies in.", 3),
  "coverage": Metric(
    "Coverage", "Share of real examples with a sample nearby.", 3
  ),
  "spent": Metric("Epsilon", "What was spent, at the table's delta.", 2, 0),
  "identity": Metric(
    "Identity", "How far the answer is the condition: 1 the same.", 3, 0
  ),
}


# Of chances of a label.
CHANCES = {
  "auc": Metric(
    "AUC", "Chance that an example of label 1 scores above one of label 0."
  ),
  "gauc": Metric("Grouped AUC", "AUC within the rows of one user, averaged."),
  "log_loss": Metric("Log loss", "Mean surprise, in nats.", 4, -1),
  "rig": Metric(
    "RIG", "Share of the log loss of the mean label that is gained.", 4
  ),
  "ece": Metric(
    "ECE", "Gap between chances and what happened, over bins.", 4, -1
  ),
  "lift": Metric(
    "Lift at 1 %", "Rate of label 1 in the top hundredth over that of all.", 2
  ),
}


# Of attributes of people: told where that is wanted, or by an attacker.
ATTRIBUTES = {
  "balanced": Metric("Balanced", "Share that is told, by class, averaged."),
  "attack_accuracy": Metric(
    "Attacker", "Accuracy of the best attacker.", 3, -1
  ),
  "above_majority": Metric(
    "Above majority", "What lies above the most frequent class's share.", 3, -1
  ),
  "attack_balanced": Metric(
    "Balanced", "Accuracy of the best attacker, averaged over classes.", 3, -1
  ),
  "attack_auc": Metric("Attacker's AUC", "Of the best attacker.", 3, -1),
}


# Accuracy of a classifier of texts whose words were changed.
WORDS = {
  "accuracy": Metric("Accuracy", "Share of examples answered rightly."),
  "share": Metric("Trained", "Share of the parameters that is trained.", 4, 0),
  "noise": Metric("Noise", "Accuracy on misspelt words."),
  "synonyms": Metric("Synonyms", "Accuracy on random synonyms."),
  "neighbours": Metric("Neighbours", "Accuracy on words used alike."),
  "back_translation": Metric(
    "Back-translation", "Accuracy on texts translated there and back."
  ),
  "search": Metric("Search", "Accuracy on synonyms found by asking the model."),
  "search_random": Metric(
    "Search, random", "Accuracy on as many synonyms without asking."
  ),
}


def metric(column: str) -> Metric:
  """What is known of a column such as "ndcg@10"; unknown ones are unmarked."""
  name, at, _ = column.split("/")[-1].partition("@")
  if not at and name in (without := SAMPLES | CHANCES | ATTRIBUTES | WORDS):
    return without[name]
  return METRICS.get(name, Metric(name, "", 4, 0))


def heading(column: str) -> str:
  """The head of a column: "ndcg@10" -> "nDCG@10"."""
  _, at, cutoff = column.partition("@")
  return metric(column).label + at + cutoff


def value(result: Result, column: str) -> float | None:
  """A result's value: of the test set, as named, or None if there is none."""
  if column == "seconds" and "wall_seconds" in result:
    return number(result["wall_seconds"])
  metrics = result.get("metrics") or {}
  return number(metrics.get(f"test/{column}", metrics.get(column)))


def cell(amount: float | None, column: str, missing: str = "-") -> str:
  """The value as text; a dash where it is missing."""
  if amount is None:
    return missing
  decimals = metric(column).decimals
  if column == "seconds" and amount >= 100:
    decimals = 0
  return f"{amount:,.{decimals}f}"


def best(results: Sequence[Result], column: str) -> set[int]:
  """Rows that hold the best value of a column, as far as it is written out.

  Values that read the same are all the best. A column in which all rows, or
  the only row, read the same has no best.
  """
  values = {i: value(r, column) for i, r in enumerate(results)}
  known = {i: v for i, v in values.items() if v is not None}
  texts = {i: cell(v, column) for i, v in known.items()}
  direction = metric(column).better
  if not direction or len(set(texts.values())) < 2:
    return set()
  top = max(known, key=lambda i: direction * known[i])
  return {i for i, text in texts.items() if text == texts[top]}


def labels(results: Sequence[Result]) -> list[str]:
  """A unique name for each row: its title, with its seed if titles repeat."""
  names = [str(r.get("title") or r.get("name") or "untitled") for r in results]
  count = Counter(names)
  names = [
    name if count[name] == 1 else f"{name}, seed {result.get('seed', '?')}"
    for name, result in zip(names, results, strict=True)
  ]
  seen: Counter[str] = Counter()
  for index, name in enumerate(names):
    seen[name] += 1
    if seen[name] > 1:
      names[index] = f"{name} ({seen[name]})"
  return names


def comparison(
  results: Sequence[Result], columns: Sequence[str] = COLUMNS
) -> str:
  """An aligned table for the terminal, the best of each column with a *.

  Args:
    results: contents of result.json files, one a row.
    columns: metrics of the test set such as "ndcg@10", or "seconds".

  Raises:
    ValueError: there are no results.
  """
  rows = _rows(results, columns, mark="{}*", plain="{} ")
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

  def line(row: Sequence[str]) -> str:
    first, *rest = row
    cells = [first.ljust(widths[0])]
    cells += [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
    return "  ".join(cells).rstrip()

  rule = "  ".join("-" * width for width in widths)
  return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def markdown(
  results: Sequence[Result], columns: Sequence[str] = COLUMNS
) -> str:
  """The same table in Markdown, the best of each column in bold.

  Raises:
    ValueError: there are no results.
  """
  rows = _rows(results, columns, mark="**{}**", plain="{}")
  rows = [[c.strip().replace("|", "\\|") for c in row] for row in rows]
  rule = ["---", *["---:"] * len(columns)]
  lines = [rows[0], rule, *rows[1:]]
  return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def _rows(
  results: Sequence[Result], columns: Sequence[str], mark: str, plain: str
) -> list[list[str]]:
  if not results:
    raise ValueError("no results to compare; give at least one run")
  winners = {column: best(results, column) for column in columns}
  rows = [["Method", *(plain.format(heading(c)) for c in columns)]]
  for index, name in enumerate(labels(results)):
    row = [" ".join(name.split())]
    for column in columns:
      text = cell(value(results[index], column), column)
      row.append((mark if index in winners[column] else plain).format(text))
    rows.append(row)
  return rows
