"""Purchase intention: do generated sequences help to predict who buys?

  python scripts/reproduce.py --table=intention --jobs=2

An hour on 2 CPU cores.
"""

_CONFIG = "configs/intention/next_week.py"
_TRAINING = {
  "real": "real rows",
  "oversampled": "positive rows repeated",
  "likelihood": "and sequences of the likelihood generator",
  "adversarial": "and sequences of the adversarial generator",
}
_FEW = "households=0.05,steps=300,adversary.start=250"


def _runs():
  for name, text in _TRAINING.items():
    yield {
      "method": f"All households: {text}",
      "config": _CONFIG,
      "options": f"training={name}",
    }
  for name, text in _TRAINING.items():
    yield {
      "method": f"5 % of them: {text}",
      "config": _CONFIG,
      "options": f"training={name},{_FEW}",
    }


def get_table():
  return {
    "title": "Purchase intention, The Complete Journey",
    "protocol": """Whether a household that did something in the last 4 weeks buys in a
      department in the next week, for the 12 most bought departments, from its
      last 4 weeks. Trained on purchases of 6 weeks before week 41, chosen on
      weeks 41 to 44 (how many generated rows, by average precision), measured
      on the last 8 whole weeks of all households. Generators are fitted on the
      weeks before week 41 of the households learnt from; labels of generated
      rows are what the sequences do. rule: rates by department, weeks with a
      purchase and weeks since the last. 5 %: another 123 households for each
      seed.""",
    "metrics": [
      f"{name}_{metric}"
      for metric in ("auc", "ap", "log_loss")
      for name in ("rule", "logistic", "boosting")
    ],
    "log": False,
    "seeds": 5,
    "paired": [
      (f"{few}: {_TRAINING[name]}", f"{few}: real rows")
      for few in ("All households", "5 % of them")
      for name in ("oversampled", "likelihood", "adversarial")
    ],
    "runs": list(_runs()),
  }
