"""Mult-VAE (Liang et al. 2018, arXiv:1802.05814).

  python scripts/train.py --config=configs/recommend/mult_vae.py:dataset=movielens_100k --workdir=/tmp/mult_vae

An autoencoder of whole histories with a multinomial likelihood; the KL term
grows to its weight over the first epochs. Minutes on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import neural, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = neural.mult_vae_config()
  config.name = "mult_vae"
  config.title = "Mult-VAE"
  return options.override(config, options.parse(arg))
