"""A GAN on stacks of three articles: 1,000 modes (Fashion-MNIST).

  python scripts/train.py --config=configs/gan/stacked_images.py:objective=hinge --workdir=/tmp/stacked

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import gan, options


def get_config(arg: str = ""):
  """Options: objective=NAME, or any other of the config, as a=1,b.c=2."""
  config = gan.gan_config()
  config.name = "stacked_images"
  config.title = "GAN, stacked Fashion-MNIST"
  config.watch = "modes"
  config.experiment = "adv_rec.experiments.objectives.stacked_images"
  config.model.latent = 64
  config.model.generator = (256, 256)
  config.model.discriminator = (256, 256)
  config.batch_size = 64
  config.average = 0.99
  config.learning_rate = {"generator": 1e-3, "discriminator": 1e-3}
  config.steps = 2_000
  config.evaluate_every = config.checkpoint_every = 1_000
  return options.override(config, options.parse(arg))
