"""SASRec (Kang & McAuley 2018, arXiv:1808.09781), with a full softmax.

  python scripts/train.py --config=configs/recommend/sasrec.py:dataset=movielens_100k --workdir=/tmp/sasrec

The next item from the newest 50 of a user. Needs a log with times and a split
by time: on a random split, what is asked for lies between what is given, not
after it. Minutes on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import neural, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = neural.sasrec_config()
  config.name = "sasrec"
  config.title = "SASRec"
  return options.override(config, options.parse(arg))
