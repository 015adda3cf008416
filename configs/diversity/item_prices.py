"""Prices of items from a zero-sum game: more of the catalogue is shown.

  python scripts/train.py --config=configs/diversity/item_prices.py:base=ease --workdir=/tmp/item_prices

Half a minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

import pathlib

from adv_rec.experiments import diversity, options

_RECOMMENDERS = pathlib.Path(__file__).parents[1] / "recommend"


def get_config(arg: str = ""):
  """Options: base=NAME, strength=NUMBER, or any other of the config."""
  given = options.parse(arg)
  file = _RECOMMENDERS / f"{given.pop('base', 'ridge_svd')}.py"
  dataset = f"dataset={given['dataset']}" if "dataset" in given else ""
  config = diversity.item_prices_config(options.load(file, dataset))
  config.name = "item_prices"
  config.title = "Item prices"
  return options.override(config, given)
