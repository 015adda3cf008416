"""LARA: generated profiles of an item's users (after Sun et al. 2020).

  python scripts/train.py --config=configs/cold/lara.py --workdir=/tmp/cold_lara

A minute or two on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cold_published, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = cold_published.lara_config(arg)
  config.name = "lara"
  config.title = "LARA"
  return options.override(config, options.parse(arg))
