"""EASE (Steck 2019, arXiv:1905.03375): closed-form, hard to beat.

  python scripts/train.py --config=configs/recommend/ease.py:l2=1000 --workdir=/tmp/ease

Seconds on 2 CPU cores: the smaller of the user and the item system is solved.
Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part, or on one cut from train.
L2 = {
  "apr_amazon": 100.0,
  "apr_movielens_100k": 300.0,
  "cfgan_ml100k": 500.0,
  "completejourney": 1000.0,
  "gowalla": 80.0,  # of the published run, BARS-Match
  "ml100k_random": 300.0,
  "movielens_100k": 200.0,
}


def get_config(arg: str = ""):
  """Options: dataset=NAME, l2=NUMBER, or any other of the config."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "ease"
  config.title = "EASE"
  config.experiment = "adv_rec.experiments.baselines.ease"
  config.l2 = L2.get(given.get("dataset", str(config.dataset)), 500.0)
  return options.override(config, given)
