"""Cold items by the similarity of their content to what the user has.

  python scripts/train.py --config=configs/cold/content_knn.py --workdir=/tmp/cold_knn

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cold, options


def get_config(arg: str = ""):
  """Options: power=NUMBER, or any other of the config, as a=1,b.c=2."""
  config = cold.default_config(arg)
  config.name = "content_knn"
  config.title = "Content kNN"
  config.experiment = "adv_rec.experiments.cold_baselines.knn"
  config.power = 6.0
  config.content.pairs = ""  # no better with them, and slower
  return options.override(config, options.parse(arg))
