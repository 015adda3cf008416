"""IRGAN, pointwise or pairwise (Wang et al. 2017, arXiv:1705.10513).

  python scripts/train.py --config=configs/recommend/irgan.py:dataset=movielens_100k,form=pairwise --workdir=/tmp/irgan

The generator is trained by likelihood for the first 40 % of the epochs, then
by the rewards of the discriminator, and is what is evaluated. About a minute
on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import irgan, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, form=NAME, or any other of the config."""
  config = irgan.irgan_config()
  config.name = "irgan"
  config.title = "IRGAN"
  return options.override(config, options.parse(arg))
