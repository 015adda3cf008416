"""The small GAN with dropout: ten numbers on how a household shops.

  python scripts/train.py --config=configs/classic/habits.py:model.dropout=0.0 --workdir=/tmp/habits

Baskets, spend, discounts and so on, see adv_rec/data/behaviour.py. Ours:
see docs/results.md (generated).
"""

from adv_rec.experiments import classic, options


def get_config(arg: str = ""):
  """Options: any of the config, as a=1,b.c=2."""
  config = classic.classic_config()
  config.name = "habits"
  config.title = "Dropout GAN"
  config.source = "habits"
  config.model.latent = 10
  config.model.generator = (64, 64)
  config.model.discriminator = (64, 64)
  config.model.dropout = 0.3
  config.batch_size = 128
  config.learning_rate = {"generator": 1e-3, "discriminator": 1e-3}
  config.steps = 5_000
  config.evaluate_every = config.checkpoint_every = 1_000
  return options.override(config, options.parse(arg))
