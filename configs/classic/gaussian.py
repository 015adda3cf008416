"""The least GAN: mu + sigma z against a logistic discriminator.

  python scripts/train.py --config=configs/classic/gaussian.py:steps=2000 --workdir=/tmp/gaussian

What 943 users like, from 100,000 ratings: the share of each genre. A linear
discriminator sees means only, so that sigma is free to be wrong; the figures
show it. Its row of
configs/tables/classic.py has not been run yet.
"""

from adv_rec.experiments import classic, options


def get_config(arg: str = ""):
  """Options: any of the config, as a=1,b.c=2."""
  config = classic.classic_config()
  config.name = "gaussian"
  config.title = "Gaussian GAN"
  config.source = "genres"
  config.model.gaussian = True
  config.model.discriminator = ()
  config.batch_size = 128
  config.learning_rate = {"generator": 1e-3, "discriminator": 1e-3}
  config.steps = 5_000
  config.evaluate_every = config.checkpoint_every = 1_000
  return options.override(config, options.parse(arg))
