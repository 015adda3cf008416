r"""Makes pages, and the generated parts of the README, from result files.

A page that compares finished runs:

  python scripts/report.py --runs=/tmp/bpr,/tmp/apr --out=report.html

The README's table and picture, from the quickstart's result file:

  python scripts/report.py --quickstart=docs/results/quickstart.json

docs/results.md, from the tables in docs/results/ (scripts/reproduce.py makes
them; copy one there to accept it):

  python scripts/report.py --results
"""

import json
import pathlib

import cli
from absl import flags

from adv_rec.report import blocks, page, results, robustness, table, tables

_RUNS = flags.DEFINE_list("runs", [], "Directories of finished runs.")
_TITLE = flags.DEFINE_string("title", "Comparison", "Title of the page.")
_OUT = flags.DEFINE_string("out", "", "The page to write, an HTML file.")
_QUICKSTART = flags.DEFINE_string(
  "quickstart", "", "Result file of the quickstart, to update the README from."
)
_RESULTS = flags.DEFINE_bool("results", False, "Update docs/results.md.")

_ROOT = pathlib.Path(__file__).parents[1]
PICTURE = "docs/robustness.svg"


def main():
  asked = [flag for flag in (_RUNS, _QUICKSTART, _RESULTS) if flag.value]
  if len(asked) != 1:
    raise ValueError(
      "say what to do: --runs=DIR,DIR, --quickstart=FILE or --results"
    )
  if _RESULTS.value:
    docs = _ROOT / "docs"
    found = accepted()
    for result in found:
      for file, svg in tables.pictures(result).items():
        (docs / file).write_text(svg, "utf-8")
    (docs / "results.md").write_text(tables.document(found), "utf-8")
    return
  if _QUICKSTART.value:
    result = json.loads(pathlib.Path(_QUICKSTART.value).read_text("utf-8"))
    blocks.update(_ROOT / "README.md", "quickstart", markdown(result))
    (_ROOT / PICTURE).write_text(picture(result), "utf-8")
    return
  if not _OUT.value:
    raise ValueError("say where to write the page: --out=FILE.html")
  page.write(_OUT.value, _TITLE.value, _RUNS.value, curves=_RUNS.value)
  print(table.comparison([results.read(run).result for run in _RUNS.value]))


def accepted() -> list[dict]:
  """The tables in docs/results/."""
  files = sorted((_ROOT / "docs" / "results").glob("*.json"))
  found = [json.loads(file.read_text("utf-8")) for file in files]
  return [result for result in found if "table" in result]


def markdown(result: dict) -> str:
  """The table of the README and what it was measured on."""
  counts = result["dataset"]["counts"]
  first = result["runs"][0]
  kept = {
    run["title"]: shares
    for run in result["runs"]
    if (shares := _kept(run, relative=0.5))
  }
  lines = [
    table.markdown(result["runs"]),
    "",
    f"{counts['users']:,} households, {counts['items']:,} products,"
    f" {counts['train'] + counts['validation']:,} first purchases to learn"
    f" from, {counts['test']:,} to predict; seed {first['seed']}, commit"
    f" {first['commit']}. Under attack at half the median row norm"
    + ",".join(
      f" {title} keeps {100 * shares['fgm']:.0f} % of its nDCG@10 (random"
      f" noise: {100 * shares['random']:.0f} %)"
      for title, shares in kept.items()
    )
    + ".",
  ]
  return "\n".join(lines)


def picture(result: dict) -> str:
  """nDCG@10 against the size of the perturbation, as SVG."""
  runs = {
    run["title"]: results.Run(pathlib.Path(), run, [])
    for run in result["runs"]
    if run.get("robustness")
  }
  colors = {title: i for i, title in enumerate(runs)}
  return robustness.charts(runs, colors)[0]


def _kept(run: dict, relative: float) -> dict[str, float]:
  """Attack -> share of the clean nDCG@10 that is kept at a relative size."""
  rows = robustness.rows(results.Run(pathlib.Path(), run, []))
  return {
    row.attack: row.kept
    for row in rows
    if row.relative == relative and row.kept is not None
  }


if __name__ == "__main__":
  cli.run(main)
