"""Adversarial personalised ranking on MovieLens-100K, leave one out.

  python scripts/reproduce.py --table=apr_movielens_100k

APR is He et al. 2018 (arXiv:1808.03908); numbers and split are of Anelli, Di
Noia and Merra 2021 ("The Idiosyncratic Effects of Adversarial Training on Bias
in Personalized Recommendation Learning", RecSys), each the best of their grid
by the test part. Minutes on 2 CPU cores.
"""

_DATA = "dataset=apr_movielens_100k"
_CURVE = "evaluation.robustness=(0.25,0.5,1.0)"
_TRAINED = f"{_DATA},epochs=400,{_CURVE}"
_METRICS = ("hr@10", "ndcg@10", "coverage@10", "aplt@10")
_PUBLISHED = (
  ("BPR-MF", 0.1347, 0.0689, 691, 0.099),
  ("APR-MF", 0.1368, 0.0734, 804, 0.148),
)


def get_table():
  return {
    "title": "APR on MovieLens-100K",
    "protocol": """Leave one out, the split of Anelli et al. 2021; every rating
      is a positive. Settings were chosen by nDCG@10 on a tenth cut from train;
      BPR-MF and APR take equally many updates.""",
    "metrics": list(_METRICS),
    "seeds": 3,
    "published": [
      {
        "method": method,
        "source": "Anelli et al. 2021, best of their grid by test",
        "metrics": dict(zip(_METRICS, values, strict=True)),
      }
      for method, *values in _PUBLISHED
    ],
    "paired": [("APR", "BPR-MF")],
    "runs": [
      {
        "method": "Popularity",
        "config": "configs/recommend/popularity.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "EASE",
        "config": "configs/recommend/ease.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "BPR-MF",
        "config": "configs/recommend/bpr.py",
        "options": f"{_TRAINED},l2=0.005",
      },
      {
        "method": "APR",
        "config": "configs/recommend/apr.py",
        "options": f"{_TRAINED},l2=0.002,attack.epsilon=0.4",
      },
    ],
  }
