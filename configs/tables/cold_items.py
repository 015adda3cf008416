"""The Complete Journey: products that nobody has bought yet.

  python scripts/reproduce.py --table=cold_items

Each seed draws other cold items, so that deviations are those of the task too.
Half an hour on 2 CPU cores.
"""

_DATA = "dataset=completejourney"
_LAST = "evaluate_every=0"
_ALONE = "ridge.scale=0.0"
_FGM = "attack.name=fgm"


def _run(method, config, *options):
  return {
    "method": method,
    "config": f"configs/cold/{config}.py",
    "options": ",".join((_DATA, *options)),
  }


def get_table():
  return {
    "title": "Cold items",
    "protocol": """A year of grocery transactions, first purchases. A product
      is known by its department, category, type, brand, manufacturer and
      package size. Settings were chosen on cold validation items that no seed
      tests: those of the ridge and of the generator on it by the mean of five
      sets of them, the others on the first set. The cold test items are ranked
      among themselves; for All, among all items, where what the household buys
      in the last fifth of its purchases counts, warm or cold. The counts are
      those of seed 0. The generators on top of the ridge add to its scores. LARA
      is made to rank users for an item; asked for items of a user, it knows
      nothing of what sells.""",
    "metrics": [
      "ndcg@10",
      "recall@10",
      "hr@10",
      "coverage@10",
      "all_ndcg@10",
      "cold_share@10",
    ],
    "seeds": 5,
    "published": [],
    "paired": [
      ("Generator on ridge, FGM", "Content ridge"),
      ("Generator on ridge, FGM", "Generator on ridge"),
      ("Generator, FGM", "Generator"),
    ],
    "runs": [
      _run("Random", "random"),
      _run(
        "Popularity of type",
        "segment",
        "segment=product_type",
        "personal=false",
      ),
      _run("Own share of type", "segment", "segment=product_type"),
      _run("Content kNN", "content_knn"),
      _run("Ridge to iALS embeddings", "content_ridge", "targets=embeddings"),
      _run("Content ridge", "content_ridge"),
      _run("DropoutNet", "dropoutnet", _LAST),
      _run("LARA", "lara", _LAST),
      _run("GAR", "gar", _LAST),
      _run("Generator", "generator", _LAST, _ALONE),
      _run("Generator, FGM", "generator", _LAST, _ALONE, _FGM),
      _run("Generator on ridge", "generator", _LAST),
      _run("Generator on ridge, FGM", "generator", _LAST, _FGM),
    ],
  }
