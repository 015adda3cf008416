"""Made-up households with user-level privacy, on first purchases.

  python scripts/reproduce.py --table=private_retail

2,389 households, few for user-level privacy. A recommender is trained on a
release alone. Minutes a run on 2 CPU cores; `pip install '.[private]'`.
"""

_CONFIG = "configs/private/behaviour.py"
_DATA = (
  "dataset=completejourney,fit=train+validation,"
  "model.dim=128,item_exponent=0.0,l2=160.0"  # as of Ridge SVD in the table
)
_DESIGNS = (
  ("Popularity", "popularity"),
  ("Co-occurrences, low rank", "gram,top=200,rank=12"),
  ("Clusters of households", "clusters,top=300,rank=8,clusters=8"),
)


def get_table():
  return {
    "title": "Private behaviour, retail: recommenders of made-up households",
    "protocol": """First purchases, 10-core, temporal split. The unit of privacy
      is a household with all rows, delta 1e-5. Made-up households are the
      release; Ridge SVD of 128 factors is trained on it alone and ranks for the
      real households, by their own histories. Beside it the same Ridge SVD
      trained on the real rows (real), popularity in the release (popular), and
      the share of the real one's nDCG that the release reaches.""",
    "metrics": ["ndcg@20", "recall@20"],
    "extra": ["share_ndcg@20", "real_ndcg@20", "popular_ndcg@20"],
    "seeds": 3,
    "runs": [
      {
        "method": f"{title}, {what}",
        "config": _CONFIG,
        "options": f"{_DATA},design={design}{more}",
      }
      for title, design in _DESIGNS
      for what, more in (
        ("epsilon 8", ""),
        ("without noise", ",privacy.noise=False"),
      )
    ],
  }
