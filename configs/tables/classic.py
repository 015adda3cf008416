"""The classic GANs, each beside real rows that it has not seen.

  python scripts/reproduce.py --table=classic --jobs=2

Ten minutes on 2 CPU cores.
"""

_ROWS = {
  "Household spending, 2,048 types": "behaviour",
  "Next purchases, conditional": "conditional",
  "Shopping habits, dropout": "habits",
  "Genres, mu + sigma z": "gaussian",
  "Articles, 784 pixels": "articles",
}
_MEASURES = ("density", "coverage", "marginal", "correlation")


def get_table():
  return {
    "title": "Classic GANs",
    "protocol": """Each row has data of its own, a fifth of it held out, the same
      for every seed. Generated rows are compared with held-out ones; real_...:
      so are as many of the rows that the generator learnt from, the best that
      can be asked. Density and coverage by 5 nearest neighbours; marginal:
      Wasserstein distance of a column; correlation: absolute difference of the
      correlation of two columns, both the mean and 0 at best. Networks, rates
      and batches are the classic ones; nothing was chosen.""",
    "metrics": [
      f"{of}{measure}" for measure in _MEASURES for of in ("", "real_")
    ],
    "log": False,
    "own_data": True,
    "seeds": 3,
    "runs": [
      {"method": method, "config": f"configs/classic/{name}.py"}
      for method, name in _ROWS.items()
    ],
  }
