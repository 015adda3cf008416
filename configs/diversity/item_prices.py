"""Prices of items from a zero-sum game: more of the catalogue is shown.

  python scripts/train.py --config=configs/diversity/item_prices.py:base=ease --workdir=/tmp/item_prices

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

import pathlib

from adv_rec.experiments import diversity, options

_RECOMMENDERS = pathlib.Path(__file__).parents[1] / "recommend"


def get_config(arg: str = ""):
  """Options: base=NAME, strength=NUMBER, or any other of the config."""
  given = options.parse(arg)
  base = diversity.base_config(_RECOMMENDERS, given)
  config = diversity.item_prices_config(base)
  config.name = "item_prices"
  config.title = "Item prices"
  return options.override(config, given)
