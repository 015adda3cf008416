"""The conditional GAN: next purchases, given history and favourite category.

  python scripts/train.py --config=configs/classic/conditional.py:objective=hinge --workdir=/tmp/conditional

Dollars of a household on 64 categories in the last quarter of the year, given
those before and the category it spent most on (Mirza & Osindero 2014,
arXiv:1411.1784). Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import classic, options


def get_config(arg: str = ""):
  """Options: any of the config, as a=1,b.c=2."""
  config = classic.classic_config()
  config.name = "conditional"
  config.title = "Conditional GAN"
  config.source = "next_purchases"
  config.model.latent = 32
  config.model.generator = (256, 256)
  config.model.discriminator = (256, 256)
  config.batch_size = 64
  config.learning_rate = {"generator": 2e-4, "discriminator": 2e-4}
  return options.override(config, options.parse(arg))
