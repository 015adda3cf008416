"""Maximal marginal relevance (Carbonell & Goldstein 1998) of a recommender.

  python scripts/train.py --config=configs/diversity/mmr.py:base=ease --workdir=/tmp/mmr

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

import pathlib

from adv_rec.experiments import diversity, options

_RECOMMENDERS = pathlib.Path(__file__).parents[1] / "recommend"


def get_config(arg: str = ""):
  """Options: base=NAME, weight=SHARE, or any other of the config."""
  given = options.parse(arg)
  base = diversity.base_config(_RECOMMENDERS, given)
  config = diversity.mmr_config(base)
  config.name = "mmr"
  config.title = "MMR"
  return options.override(config, given)
