"""A small transformer with the norms before its layers, words from scratch.

  python scripts/train.py --config=configs/sentiment/transformer.py --workdir=/tmp/transformer

Vaswani et al. 2017 (arXiv:1706.03762). A minute on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import options, sentiment


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = sentiment.words_config()
  config.name = "transformer"
  config.title = "Transformer"
  config.model.kind = "transformer"
  return options.override(config, options.parse(arg))
