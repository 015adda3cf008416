"""DCN-V2 (Wang et al. 2021, arXiv:2008.13535): crosses of all fields.

  python scripts/train.py --config=configs/ctr/dcn_v2.py:dataset=frappe --workdir=/tmp/dcn_v2

A minute on 2 CPU cores. On Frappe .9838 AUC are published, of other negatives
(BARS, Frappe_x1). Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import ctr, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = ctr.clicks_config()
  config.name = "dcn_v2"
  config.title = "DCN-V2"
  config.model.kind = "dcn_v2"
  return options.override(config, options.parse(arg))
