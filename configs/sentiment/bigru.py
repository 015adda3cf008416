"""A recurrent network that reads a review in both directions.

  python scripts/train.py --config=configs/sentiment/bigru.py --workdir=/tmp/bigru

Gated recurrent units (Cho et al. 2014, arXiv:1406.1078), words from scratch.
A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, sentiment


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = sentiment.words_config()
  config.name = "bigru"
  config.title = "BiGRU"
  config.model.kind = "bigru"
  return options.override(config, options.parse(arg))
