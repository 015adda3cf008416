"""The Complete Journey: products a household buys for the first time.

  python scripts/reproduce.py --table=retail

A product never bought before is hard to predict; the everyday task beside it
is configs/tables/retail_repeat.py. The rows of other programs are our
measurements of them on the same prepared data. Minutes on 2 CPU cores.
"""

_DATA = "dataset=completejourney,fit=train+validation"
_CURVE = "evaluation.robustness=(0.25,0.5,1.0)"


def _peer(method, program, ndcg, recall):
  return {
    "method": method,
    "kind": "measured",
    "source": f"{program}, measured by us",
    "metrics": {"ndcg@10": ndcg, "recall@10": recall},
  }


def get_table():
  return {
    "title": "Retail, first purchases",
    "protocol": """A year of grocery transactions. Settings were chosen on
      the validation part with models fitted on train, but EASE's penalty was
      carried over.""",
    "metrics": ["ndcg@10", "recall@10", "hr@10", "coverage@10", "aplt@10"],
    "seeds": 3,
    "published": [
      _peer("ALS", "implicit", 0.105, 0.021),
      _peer("BPR", "implicit", 0.094, 0.019),
      _peer("BPR", "cornac", 0.093, 0.018),
    ],
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
        "method": "MF, full softmax",
        "config": "configs/recommend/softmax.py",
        "options": f"{_DATA},{_CURVE}",
      },
      {
        "method": "BPR-MF",
        "config": "configs/recommend/bpr.py",
        "options": f"{_DATA},{_CURVE}",
      },
      {
        "method": "APR",
        "config": "configs/recommend/apr.py",
        "options": f"{_DATA},{_CURVE}",
      },
      {
        "method": "Mult-VAE",
        "config": "configs/recommend/mult_vae.py",
        "options": _DATA,
      },
      {
        "method": "SASRec",
        "config": "configs/recommend/sasrec.py",
        "options": _DATA,
      },
    ],
  }
