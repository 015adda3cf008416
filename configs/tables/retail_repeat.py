"""The Complete Journey: what a household buys in the next weeks.

  python scripts/reproduce.py --table=retail_repeat

The easier everyday task beside configs/tables/retail.py: nothing is masked, so
that what is bought again counts. Minutes on 2 CPU cores.
"""

_DATA = "dataset=completejourney,data.protocol=repeat,fit=train+validation"
_CURVE = "evaluation.robustness=(0.25,0.5,1.0)"


def get_table():
  return {
    "title": "Retail, the next weeks",
    "protocol": """A year of grocery transactions. Settings were chosen on
      the validation part with models fitted on train, but EASE's penalty was
      carried over.""",
    "metrics": ["ndcg@10", "recall@10", "hr@10", "coverage@10", "aplt@10"],
    "seeds": 3,
    "published": [],
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
        "method": "SASRec",
        "config": "configs/recommend/sasrec.py",
        "options": _DATA,
      },
    ],
  }
