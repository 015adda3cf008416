"""DropoutNet (Volkovs, Yu and Poutanen 2017) for cold items.

  python scripts/train.py --config=configs/cold/dropoutnet.py --workdir=/tmp/cold_dropoutnet

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cold_published, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = cold_published.dropoutnet_config(arg)
  config.name = "dropoutnet"
  config.title = "DropoutNet"
  return options.override(config, options.parse(arg))
