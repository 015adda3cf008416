"""Matrix factorisation with a full softmax (Liang et al. 2018, eq. 2, as loss).

  python scripts/train.py --config=configs/recommend/softmax.py:dataset=movielens_100k --workdir=/tmp/softmax

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = recommend.full_softmax_config()
  config.name = "softmax"
  config.title = "MF, full softmax"
  return options.override(config, options.parse(arg))
