"""Cold items by the popularity of their segment: category, type or brand.

  python scripts/train.py --config=configs/cold/segment.py:segment=product_type --workdir=/tmp/cold_segment

How many of the segment's items a household has, on average over these; with
personal=false, how many everybody has. Seconds on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import cold, options


def get_config(arg: str = ""):
  """Options: segment=COLUMN, personal=false, or any other of the config."""
  config = cold.default_config(arg)
  config.name = "segment"
  config.title = "Segment popularity"
  config.experiment = "adv_rec.experiments.cold_baselines.segment"
  config.segment = "category"
  config.personal = True
  return options.override(config, options.parse(arg))
