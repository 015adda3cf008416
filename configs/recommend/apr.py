"""Adversarial personalised ranking (He et al. 2018, arXiv:1808.03908).

  python scripts/train.py --config=configs/recommend/apr.py:dataset=movielens_100k --workdir=/tmp/apr

BPR-MF for the first half of the epochs, then the adversarial term is added:
whole embedding rows are moved by epsilon along their gradient. Under a minute
on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = recommend.matrix_factorization_config()
  config.name = "apr"
  config.title = "APR"
  config.attack.name = "fgm"
  config.attack.start = 0.5
  return options.override(config, options.parse(arg))
