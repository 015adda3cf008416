"""Cold items in an order without sense: the floor of the task.

  python scripts/train.py --config=configs/cold/random.py --workdir=/tmp/cold_random

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cold, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = cold.default_config(arg)
  config.name = "random"
  config.title = "Random"
  config.experiment = "adv_rec.experiments.cold_baselines.random"
  return options.override(config, options.parse(arg))
