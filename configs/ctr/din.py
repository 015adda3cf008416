"""Deep Interest Network (Zhou et al. 2018, arXiv:1706.06978).

  python scripts/train.py --config=configs/ctr/din.py:dataset=movielens_100k --workdir=/tmp/din

What the user had before is seen through the candidate. Needs rows with a
history: movielens_100k, retail, or data.columns.history of your own. A minute
on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import ctr, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = ctr.clicks_config()
  config.name = "din"
  config.title = "DIN"
  config.model.kind = "din"
  config.dataset = "movielens_100k"
  config.model.hidden = (64, 32)
  config.learning_rate = 0.003
  config.l2 = 0.1
  config.batch_size = 1000
  config.epochs = 6
  return options.override(config, options.parse(arg))
