"""CFGAN: a generator of interaction vectors (Chae et al. 2018, CIKM).

  python scripts/train.py --config=configs/recommend/cfgan.py:dataset=movielens_100k --workdir=/tmp/cfgan

Zero reconstruction and partial masking (ZP) on item vectors, with the settings
in its authors' code for MovieLens-100K (github.com/Bigdasgit/CFGAN). Minutes on
2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cfgan, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = cfgan.cfgan_config()
  config.name = "cfgan"
  config.title = "CFGAN"
  return options.override(config, options.parse(arg))
