"""BPR-MF: matrix factorisation, pairwise (Rendle et al. 2009, arXiv:1205.2618).

  python scripts/train.py --config=configs/recommend/bpr.py:dataset=movielens_100k --workdir=/tmp/bpr

Under a minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = recommend.matrix_factorization_config()
  config.name = "bpr"
  config.title = "BPR-MF"
  return options.override(config, options.parse(arg))
