"""Factorization machine (Rendle 2010, ICDM): all pairs of fields.

  python scripts/train.py --config=configs/ctr/fm.py:dataset=frappe --workdir=/tmp/fm

Half a minute on 2 CPU cores. On Frappe .9671 AUC are published, of other
negatives (BARS, Frappe_x1). Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import ctr, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = ctr.clicks_config()
  config.name = "fm"
  config.title = "FM"
  config.model.kind = "fm"
  config.learning_rate = 0.02
  config.epochs = 12
  return options.override(config, options.parse(arg))
