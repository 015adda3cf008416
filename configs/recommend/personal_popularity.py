"""Personal popularity: a user's own most frequent items, then everybody's.

  python scripts/train.py --config=configs/recommend/personal_popularity.py:data.protocol=repeat --workdir=/tmp/personal

GP-TopFreq of Li et al. 2023 (arXiv:2109.14233), the floor where purchases
repeat; where histories are masked it is popularity. Seconds on 2 CPU cores.
Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = recommend.default_config()
  config.name = "personal_popularity"
  config.title = "Personal popularity"
  config.experiment = "adv_rec.experiments.baselines.personal_popularity"
  return options.override(config, options.parse(arg))
