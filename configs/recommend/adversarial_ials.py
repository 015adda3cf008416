"""Adversarial iALS: its objective over all cells, under attack from its optimum.

  python scripts/train.py --config=configs/recommend/adversarial_ials.py:dataset=movielens_100k --workdir=/tmp/adversarial_ials

Ours: the idea of adversarial personalised ranking (He et al. 2018,
arXiv:1808.03908) on the objective of iALS (Rendle et al. 2022,
arXiv:2110.14037). Seconds on 2 CPU cores. Results: docs/results.md (generated).
"""

from adv_rec.experiments import ials, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  given = options.parse(arg)
  config = ials.adversarial_ials_config()
  config.name = "adversarial_ials"
  config.title = "Adversarial iALS"
  return options.override(config, given)
