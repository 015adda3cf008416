"""Who buys in a category in the next week, with generated sequences to learn from.

  python scripts/train.py --config=configs/intention/next_week.py --workdir=/tmp/intention
  python scripts/train.py --config=configs/intention/next_week.py:training=likelihood,households=0.05 --workdir=/tmp/scarce

Training: real, oversampled, likelihood or adversarial (rows of generated
sequences beside the real ones). Two minutes on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import intention, options


def get_config(arg: str = ""):
  """Options: training=KIND, or any other of the config, as a=1,b.c=2."""
  config = intention.intention_config()
  config.name = "next_week"
  config.title = "Purchase intention, The Complete Journey"
  return options.override(config, options.parse(arg))
