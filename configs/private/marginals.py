"""Rows from noisy marginals of Adult (after MST, McKenna et al. 2021, arXiv:2108.04978).

  python scripts/train.py --config=configs/private/marginals.py --workdir=/tmp/adult_marginals
  python scripts/train.py --config=configs/private/marginals.py:privacy.epsilon=1.0 --workdir=/tmp/adult_marginals_one

Needs `pip install '.[private]'`. A table of your own, with a schema of it that was written without a look at its values:

  python scripts/train.py --config=configs/private/marginals.py:data.path=sales.csv,data.schema=sales.json,target=returned --workdir=/tmp/sales_marginals

Half a minute on 2 CPU cores, no training. What is measured, and how it differs from the paper: adv_rec/privacy/marginals.py. The unit is a row; workdir/privacy/ledger.jsonl says what was spent. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import marginals, options


def get_config(arg: str = ""):
  """Options: privacy.epsilon=1.0, data.path=FILE, or any other of the config."""
  config = marginals.marginals_config()
  config.name = "marginals"
  config.title = "Noisy marginals, Adult"
  config.target = "income"
  return options.override(config, options.parse(arg))
