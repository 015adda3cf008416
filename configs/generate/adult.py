"""A table generator on the census table Adult (after CTGAN, Xu et al. 2019, arXiv:1907.00503).

  python scripts/train.py --config=configs/generate/adult.py --workdir=/tmp/adult
  python scripts/generate.py --workdir=/tmp/adult --rows=10000 --out=more.parquet

A table of your own, CSV or Parquet, with a column of categories to predict:

  python scripts/train.py --config=configs/generate/adult.py:data.path=sales.csv,target=returned --workdir=/tmp/sales

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, tabular


def get_config(arg: str = ""):
  """Options: data.path=FILE, or any other of the config, as a=1,b.c=2."""
  config = tabular.table_config()
  config.name = "adult"
  config.title = "Table GAN, Adult"
  config.target = "income"
  return options.override(config, options.parse(arg))
