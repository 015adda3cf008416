"""LightGCN (He et al. 2020, arXiv:2002.02126).

  python scripts/train.py --config=configs/recommend/lightgcn.py:dataset=movielens_100k --workdir=/tmp/lightgcn

BPR on embeddings averaged over three hops of the graph of interactions.
Minutes on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import neural, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = neural.lightgcn_config()
  config.name = "lightgcn"
  config.title = "LightGCN"
  return options.override(config, options.parse(arg))
