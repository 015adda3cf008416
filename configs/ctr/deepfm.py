"""DeepFM (Guo et al. 2017, arXiv:1703.04247): will a user take this item here?

  python scripts/train.py --config=configs/ctr/deepfm.py:dataset=frappe,attack.name=fgm --workdir=/tmp/deepfm

Without attack.name=fgm, plain. A minute or two on 2 CPU cores. On Frappe .9839
AUC are published, of other negatives (BARS, Frappe_x1). Rows of your own, CSV
or Parquet, with a label of 0 and 1:

  python scripts/train.py --config=configs/ctr/deepfm.py:dataset=,data.path=clicks.csv,data.columns.categories=user+item+city,data.columns.numbers=age --workdir=/tmp/clicks

Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import ctr, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = ctr.clicks_config()
  config.name = "deepfm"
  config.title = "DeepFM"
  config.model.kind = "deepfm"
  return options.override(config, options.parse(arg))
