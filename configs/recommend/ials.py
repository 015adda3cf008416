"""iALS: implicit alternating least squares (Hu et al. 2008).

  python scripts/train.py --config=configs/recommend/ials.py:dataset=movielens_100k --workdir=/tmp/ials

With the weights and the penalty of Rendle et al. 2022 (arXiv:2110.14037).
Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part.
TUNED = {
  "ml100k_random": {
    "model": {"dim": 64},
    "unobserved_weight": 0.5,
    "l2": 0.35,
    "exponent": 0.5,
  },
}


def get_config(arg: str = ""):
  """Options: dataset=NAME, l2=NUMBER, or any other of the config."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "ials"
  config.title = "iALS"
  config.experiment = "adv_rec.experiments.baselines.ials"
  config.model = {"dim": 32}
  config.unobserved_weight = 0.3
  config.l2 = 0.01
  config.exponent = 1.0  # 0: the penalty is the same for every user and item
  config.epochs = 16
  config.update(TUNED.get(given.get("dataset", str(config.dataset)), {}))
  return options.override(config, given)
