"""A perceptron of embedded fields, the plainest deep model of clicks.

  python scripts/train.py --config=configs/ctr/dnn.py:dataset=frappe --workdir=/tmp/dnn

A minute on 2 CPU cores. On Frappe .9840 AUC are published, of other negatives
(BARS, Frappe_x1). Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import ctr, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = ctr.clicks_config()
  config.name = "dnn"
  config.title = "DNN"
  config.model.kind = "dnn"
  config.model.scale = 0.1
  config.learning_rate = 0.02
  config.epochs = 16
  return options.override(config, options.parse(arg))
