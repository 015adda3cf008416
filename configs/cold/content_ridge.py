"""Cold items by a linear map of their content: closed-form, hard to beat.

  python scripts/train.py --config=configs/cold/content_ridge.py --workdir=/tmp/cold_ridge

To interactions, the item-by-content twin of EASE; or, targets=embeddings, to
those of a collaborative model. Half a minute on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import cold, cold_baselines, options


def get_config(arg: str = ""):
  """Options: targets=embeddings, l2=NUMBER, or any other of the config."""
  config = cold.default_config(arg)
  config.name = "content_ridge"
  config.title = "Content ridge"
  config.experiment = "adv_rec.experiments.cold_baselines.ridge"
  config.targets = "interactions"
  config.l2 = 30.0
  config.base = cold_baselines.base_config()  # whose embeddings
  return options.override(config, options.parse(arg))
