"""Matrix factorisation with a full softmax (Liang et al. 2018, eq. 2, as loss).

  python scripts/train.py --config=configs/recommend/softmax.py:dataset=movielens_100k --workdir=/tmp/softmax

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part, the number of epochs with them.
TUNED = {
  "completejourney": {"learning_rate": 0.005, "l2": 0.05, "epochs": 40},
  "ml100k_random": {"learning_rate": 0.01, "l2": 0.05, "epochs": 60},
}


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  given = options.parse(arg)
  config = recommend.full_softmax_config()
  config.update(TUNED.get(given.get("dataset", str(config.dataset)), {}))
  config.name = "softmax"
  config.title = "MF, full softmax"
  return options.override(config, given)
