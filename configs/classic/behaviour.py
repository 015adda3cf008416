"""The large perceptron GAN: household spending on 2,048 product types.

  python scripts/train.py --config=configs/classic/behaviour.py:objective=hinge --workdir=/tmp/behaviour

A year's dollars of 2,469 households. Generator 100-128-256-512-1024-2048 with a
hyperbolic tangent at its end, the discriminator its mirror image with one
logit. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import classic, options


def get_config(arg: str = ""):
  """Options: any of the config, as a=1,b.c=2."""
  config = classic.classic_config()
  config.name = "behaviour"
  config.title = "Behaviour GAN"
  config.source = "spending"
  config.model.latent = 100
  config.model.generator = (128, 256, 512, 1024)
  config.model.discriminator = (1024, 512, 256, 128)
  config.batch_size = 128
  config.learning_rate = {"generator": 2e-4, "discriminator": 2e-4}
  config.steps = 3_000
  config.evaluate_every = config.checkpoint_every = 1_000
  return options.override(config, options.parse(arg))
