"""Who households are, by how they shop.

  python scripts/reproduce.py --table=portraits

Minutes on a CPU core.
"""

_CONFIG = "configs/portraits/demographics.py"
_TARGETS = {
  "children": "Children",
  "income": "Income",
  "age": "Age",
}
_METHODS = {
  "majority": "model.kind=majority",
  "logistic regression": "model.kind=logistic",
  "gradient boosting": "model.kind=boosting",
  "perceptron": "",
  "perceptron + FGM": "attack.name=fgm,attack.epsilon=0.02",
}


def get_table():
  return {
    "title": "User portraits, The Complete Journey",
    "protocol": """The 801 households that have told about themselves, by shares
      of what they spend on, coupons, brands, times and sizes of baskets over a
      year; dealt to five folds with equal shares of the classes. Seed s tests
      fold s, so that five seeds test every household once; a fifth of the others
      is validation, by which settings were chosen. Classes: children or none;
      income under 35K, 35-74K, 75K and more; age under 35, 35-54, 55 and over.
      AUC of several classes is the mean of each against the
      rest.""",
    "metrics": ["accuracy", "balanced", "auc", "log_loss"],
    "log": False,
    "own_data": True,
    "seeds": 5,
    "paired": [
      (f"{title}, {name}", f"{title}, {control}")
      for title in _TARGETS.values()
      for name, control in (
        ("perceptron", "logistic regression"),
        ("perceptron + FGM", "perceptron"),
      )
    ],
    "runs": [
      {
        "method": f"{title}, {name}",
        "config": _CONFIG,
        "options": ",".join(filter(None, (f"target={target}", options))),
      }
      for target, title in _TARGETS.items()
      for name, options in _METHODS.items()
    ],
  }
