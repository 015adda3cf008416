"""Popularity: the most bought items for everybody, the floor of every table.

  python scripts/train.py --config=configs/recommend/popularity.py --workdir=/tmp/popularity

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = recommend.default_config()
  config.name = "popularity"
  config.title = "Popularity"
  config.experiment = "adv_rec.experiments.baselines.popularity"
  return options.override(config, options.parse(arg))
