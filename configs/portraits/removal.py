"""A recommender that does not tell its users' gender, or whether they have children.

  python scripts/train.py --config=configs/portraits/removal.py --workdir=/tmp/removal
  python scripts/train.py --config=configs/portraits/removal.py:method=leace --workdir=/tmp/leace
  python scripts/train.py --config=configs/portraits/removal.py:dataset=completejourney,base=ridge_svd,attribute=kids_count,value=0 --workdir=/tmp/children

Adversarial removal (Ganin et al. 2016; Beigi et al. 2020; Wu et al. 2021) from
the queries of a recommender in closed form, linear erasure (LEACE, Belrose et
al. 2023), or none. A minute or two on 2 CPU cores. Ours: see docs/results.md
(generated).
"""

import pathlib

from adv_rec.experiments import diversity, options, removal

_RECOMMENDERS = pathlib.Path(__file__).parents[1] / "recommend"


def get_config(arg: str = ""):
  """Options: dataset=NAME, base=NAME, method=NAME, or any other of the config."""
  given = {"base": "pure_svd", "dataset": "movielens_100k"} | options.parse(arg)
  base = diversity.base_config(_RECOMMENDERS, given)
  config = removal.removal_config(base)
  config.name = "removal"
  config.title = "Adversarial removal"
  return options.override(config, given)
