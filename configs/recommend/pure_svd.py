"""PureSVD: a truncated singular value decomposition (Cremonesi et al. 2010).

  python scripts/train.py --config=configs/recommend/pure_svd.py:dataset=movielens_100k --workdir=/tmp/pure_svd

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part.
DIM = {"completejourney": 25, "ml100k_random": 15, "movielens_100k": 50}


def get_config(arg: str = ""):
  """Options: dataset=NAME, model.dim=NUMBER, or any other of the config."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "pure_svd"
  config.title = "PureSVD"
  config.experiment = "adv_rec.experiments.baselines.svd"
  dim = DIM.get(given.get("dataset", str(config.dataset)), 25)
  config.model = {"dim": dim}
  config.user_exponent = 0.0  # see ridge_svd.py
  config.item_exponent = 0.0
  config.l2 = 0.0
  config.sketch = 2.0
  config.passes = 10
  return options.override(config, given)
