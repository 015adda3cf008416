"""GAR: a generator of item embeddings against a recommender (Chen et al. 2022).

  python scripts/train.py --config=configs/cold/gar.py --workdir=/tmp/cold_gar

A minute or two on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cold_published, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = cold_published.gar_config(arg)
  config.name = "gar"
  config.title = "GAR"
  return options.override(config, options.parse(arg))
