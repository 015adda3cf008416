"""ItemKNN: cosine similarity of items (Sarwar et al. 2001), with shrinkage.

  python scripts/train.py --config=configs/recommend/item_knn.py:dataset=movielens_100k --workdir=/tmp/item_knn

Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part.
TUNED = {
  "completejourney": {"neighbours": 50, "shrink": 20.0},
  "ml100k_random": {"neighbours": 400, "shrink": 5.0},
  "movielens_100k": {"neighbours": 400, "shrink": 20.0},
}


def get_config(arg: str = ""):
  """Options: dataset=NAME, neighbours=NUMBER, shrink=NUMBER, or any other."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "item_knn"
  config.title = "ItemKNN"
  config.experiment = "adv_rec.experiments.baselines.item_knn"
  config.neighbours = 200
  config.shrink = 20.0
  config.update(TUNED.get(given.get("dataset", str(config.dataset)), {}))
  return options.override(config, given)
