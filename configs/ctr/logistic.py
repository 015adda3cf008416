"""Logistic regression of one-hot fields: will a user take this item here?

  python scripts/train.py --config=configs/ctr/logistic.py:dataset=frappe --workdir=/tmp/logistic

The baseline of every model of clicks. Half a minute on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import ctr, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = ctr.clicks_config()
  config.name = "logistic"
  config.title = "Logistic regression"
  config.model.kind = "logistic"
  config.l2 = 0.0
  config.epochs = 6
  return options.override(config, options.parse(arg))
