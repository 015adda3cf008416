"""Recommenders that do not tell their users' gender, and what that costs.

  python scripts/reproduce.py --table=removal

A quarter of an hour on a CPU core.
"""

_CONFIG = "configs/portraits/removal.py"
_DATA = "dataset=movielens_100k,base=pure_svd,fit=train+validation"
_METHODS = {
  "": "method=none",
  ", linear erasure (LEACE)": "method=leace",
  ", adversarial removal": "method=adversary",
}
_TOLD = {"PureSVD": "told=1.0", "Half told: PureSVD": "told=0.5"}


def get_table():
  return {
    "title": "Adversarial removal of gender, MovieLens-100K",
    "protocol": """The gender of users is read out of the queries that a
      recommender serves with by fresh classifiers: logistic regression,
      gradient boosting and a perceptron, by five-fold cross-validation over
      users. Shown is the best of the three in each column: accuracy, what of it
      lies above the share of the most frequent class, accuracy balanced over
      classes, AUC (by cross-validation, where nothing can be told, it may fall
      below one half). LEACE is a projection in closed form; the adversarial
      filter plays against linear and nonlinear adversaries. Half told: the
      removal is told the gender of a random half of the users, and the
      attackers learn and are asked of the other half. Settings were chosen
      with BPR-MF fitted on train, by nDCG@10 on validation and the attackers.""",
    "metrics": [
      "ndcg@10",
      "attack_accuracy",
      "above_majority",
      "attack_balanced",
      "attack_auc",
    ],
    "seeds": 5,
    "paired": [
      (f"{title}{name}", title) for title in _TOLD for name in _METHODS if name
    ],
    "runs": [
      {
        "method": f"{title}{name}",
        "config": _CONFIG,
        "options": f"{_DATA},{method},{told}",
      }
      for title, told in _TOLD.items()
      for name, method in _METHODS.items()
    ],
  }
