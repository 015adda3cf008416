"""A GAN on a grid of 25 Gaussians: does it find all of them?

  python scripts/train.py --config=configs/gan/gaussians.py:objective=minimax --workdir=/tmp/gaussians

A minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import gan, options


def get_config(arg: str = ""):
  """Options: objective=NAME, or any other of the config, as a=1,b.c=2."""
  config = gan.gan_config()
  config.name = "gaussians"
  config.title = "GAN, 25 Gaussians"
  config.model.latent = 2
  config.average = 0.99
  config.learning_rate = {"generator": 3e-3, "discriminator": 3e-3}
  config.steps = 5_000
  config.evaluate_every = config.checkpoint_every = 1_000
  config.watch = "modes"
  config.experiment = "adv_rec.experiments.objectives.gaussians"
  return options.override(config, options.parse(arg))
