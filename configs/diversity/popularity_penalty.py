"""Scores less a penalty on popularity: the simplest way to longer tails.

  python scripts/train.py --config=configs/diversity/popularity_penalty.py:base=ease --workdir=/tmp/penalty

Half a minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

import pathlib

from adv_rec.experiments import diversity, options

_RECOMMENDERS = pathlib.Path(__file__).parents[1] / "recommend"


def get_config(arg: str = ""):
  """Options: base=NAME, weight=NUMBER, or any other of the config."""
  given = options.parse(arg)
  file = _RECOMMENDERS / f"{given.pop('base', 'ridge_svd')}.py"
  dataset = f"dataset={given['dataset']}" if "dataset" in given else ""
  config = diversity.popularity_penalty_config(options.load(file, dataset))
  config.name = "popularity_penalty"
  config.title = "Popularity penalty"
  return options.override(config, given)
