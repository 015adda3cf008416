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
_MEASURES = ("recall", "density", "coverage", "marginal", "correlation")


def get_table():
  return {
    "title": "Classic GANs",
    "protocol": """Each row has data of its own, a fifth of it held out, the same
      for every seed. Generated rows are compared with held-out ones; real_...:
      so are as many of the rows that the generator learnt from, the best that
      can be asked. Recall, density and coverage by 5 nearest neighbours (a
      density far above real_density is a crowd in the middle); marginal:
      Wasserstein distance of a column; correlation: absolute difference of the
      correlation of two columns, both the mean and 0 at best. Nothing was
      chosen by these figures.""",
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
