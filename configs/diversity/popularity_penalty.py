"""Scores less a penalty on popularity: the simplest way to longer tails.

  python scripts/train.py --config=configs/diversity/popularity_penalty.py:base=ease --workdir=/tmp/penalty

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

import pathlib

from adv_rec.experiments import diversity, options

_RECOMMENDERS = pathlib.Path(__file__).parents[1] / "recommend"


def get_config(arg: str = ""):
  """Options: base=NAME, penalty=NUMBER, or any other of the config."""
  given = options.parse(arg)
  base = diversity.base_config(_RECOMMENDERS, given)
  config = diversity.popularity_penalty_config(base)
  config.name = "popularity_penalty"
  config.title = "Popularity penalty"
  return options.override(config, given)
