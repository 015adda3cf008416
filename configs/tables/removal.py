"""Recommenders that do not tell who their users are, and what that costs.

  python scripts/reproduce.py --table=removal

Half an hour on a CPU core.
"""

_CONFIG = "configs/portraits/removal.py"
_DATA = {
  "Gender, ML-100K": "dataset=movielens_100k,base=pure_svd,attribute=gender",
  "Children, The Complete Journey": (
    "dataset=completejourney,base=ridge_svd,attribute=kids_count,value=0"
  ),
}
_METHODS = {
  "none": "",
  "leace": ", linear erasure (LEACE)",
  "adversary": ", adversarial removal",
}
_TOLD = {"": "", ",told=0.5": ", half told"}


def _blocks():
  for title, data in _DATA.items():
    for half, words in _TOLD.items():
      if not half or "ML-100K" in title:
        yield f"{title}{words}", f"{data}{half}"


def _runs():
  for title, data in _blocks():
    for method, name in _METHODS.items():
      yield {
        "method": f"{title}{name}",
        "config": _CONFIG,
        "options": f"{data},method={method},fit=train+validation",
      }


def get_table():
  return {
    "title": "Adversarial removal of an attribute",
    "protocol": """An attribute of users is read out of the queries that a
      recommender (PureSVD, Ridge SVD) serves with by fresh classifiers:
      logistic regression, gradient boosting and a perceptron, by five-fold
      cross-validation over users. Shown is the best of the three in each
      column: accuracy, what of it lies above the share of the most frequent
      class, accuracy balanced over classes, AUC (by cross-validation, where
      nothing can be told, it may fall below one half).
      LEACE is a projection in closed form; the adversarial filter plays
      against a linear and a nonlinear adversary. Half told: the attribute of a
      random half of those known is told to the removal, and the attackers
      learn and are asked of the other half. Settings were chosen with models
      fitted on train, by a seed that is not in the table.""",
    "metrics": [
      "ndcg@10",
      "attack_accuracy",
      "above_majority",
      "attack_balanced",
      "attack_auc",
    ],
    "log": False,
    "own_data": True,
    "seeds": 5,
    "paired": [
      (f"{title}{name}", title)
      for title, _ in _blocks()
      for name in list(_METHODS.values())[1:]
    ],
    "runs": list(_runs()),
  }
