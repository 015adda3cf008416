"""iALS: implicit alternating least squares (Hu et al. 2008).

  python scripts/train.py --config=configs/recommend/ials.py:dataset=movielens_100k --workdir=/tmp/ials

With the weights and the penalty of Rendle et al. 2022 (arXiv:2110.14037).
Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part.
TUNED = {
  "completejourney": {
    "model": {"dim": 32},
    "unobserved_weight": 10.0,
    "l2": 0.043,
  },
  "gowalla": {
    "model": {"dim": 192},
    "unobserved_weight": 0.01,
    "l2": 0.1,
    "epochs": 8,
  },
  "ml100k_random": {"l2": 0.35},
  "movielens_100k": {"l2": 0.2},
}


def get_config(arg: str = ""):
  """Options: dataset=NAME, l2=NUMBER, or any other of the config."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "ials"
  config.title = "iALS"
  config.experiment = "adv_rec.experiments.baselines.ials"
  config.model = {"dim": 64}
  config.unobserved_weight = 0.5
  config.l2 = 0.2
  config.exponent = 0.5  # 0: the same penalty for all rows, 1: by weight
  config.epochs = 16
  config.update(TUNED.get(given.get("dataset", str(config.dataset)), {}))
  return options.override(config, given)
