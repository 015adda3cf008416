"""Which attack to train with, how large, and how much it weighs.

  python scripts/sweep.py --config=configs/sentiment/cnn.py:dataset=rotten_tomatoes --space=configs/sweeps/attack.py --trials=20 --out=/tmp/sweep

For any config with these options. Sizes are in median row norms, so that one
range serves all models. Plain training is the first trial of every sweep, and
so no choice here.
"""


def get_space():
  return {
    "attack.name": {"choice": ("fgm", "pgd")},
    "attack.relative": {"choice": (True,)},
    "attack.epsilon": {"low": 0.005, "high": 0.5, "log": True},
    "attack.weight": {"low": 0.1, "high": 3.0, "log": True},
    # A divergence has no gradient at the clean inputs, where FGM looks.
    "attack.form": {
      "choice": ("loss", "consistency"),
      "when": {"attack.name": ("pgd",)},
    },
    "attack.steps": {"low": 2, "high": 4, "when": {"attack.name": ("pgd",)}},
  }
