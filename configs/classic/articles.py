"""The small image GAN: articles of 784 pixels (Fashion-MNIST).

  python scripts/train.py --config=configs/classic/articles.py:objective=hinge --workdir=/tmp/articles

Two layers of 128 units with leaky ReLUs on each side. Its row of
configs/tables/classic.py has not been run yet.
"""

from adv_rec.experiments import classic, options


def get_config(arg: str = ""):
  """Options: any of the config, as a=1,b.c=2."""
  config = classic.classic_config()
  config.name = "articles"
  config.title = "Image GAN"
  config.source = "articles"
  config.model.latent = 100
  config.model.generator = (128, 128)
  config.model.discriminator = (128, 128)
  config.model.activation = "leaky_relu"
  config.batch_size = 128
  config.learning_rate = {"generator": 2e-4, "discriminator": 2e-4}
  return options.override(config, options.parse(arg))
