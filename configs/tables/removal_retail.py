"""Recommenders that do not tell whether a household has children.

  python scripts/reproduce.py --table=removal_retail

A quarter of an hour on a CPU core.
"""

_CONFIG = "configs/portraits/removal.py"
_DATA = (
  "dataset=completejourney,base=ridge_svd,fit=train+validation,"
  "attribute=kids_count,value=0"
)
_METHODS = {
  "Ridge SVD": "method=none",
  "Ridge SVD, linear erasure (LEACE)": "method=leace",
  "Ridge SVD, adversarial removal": "method=adversary",
}


def get_table():
  return {
    "title": "Adversarial removal of children, The Complete Journey",
    "protocol": """As in the table of MovieLens-100K: whether a household has
      children is read out of the queries of a recommender of first purchases
      by fresh classifiers, by cross-validation over the 800 households that
      have said so.""",
    "metrics": [
      "ndcg@10",
      "attack_accuracy",
      "above_majority",
      "attack_balanced",
      "attack_auc",
    ],
    "seeds": 5,
    "paired": [(name, "Ridge SVD") for name in _METHODS if name != "Ridge SVD"],
    "runs": [
      {"method": name, "config": _CONFIG, "options": f"{_DATA},{method}"}
      for name, method in _METHODS.items()
    ],
  }
