"""A release of Adult: the run of configs/private/marginals.py, whose folder may be handed on.

  python scripts/release.py --config=configs/release/marginals.py --epsilon=3 --delta=1e-5 --out=/tmp/marginals_release
  python scripts/release.py --verify=/tmp/marginals_release

The run alone, without a release of it:

  python scripts/train.py --config=configs/release/marginals.py --workdir=/tmp/marginals_private

The most useful rows at any epsilon that we measured (docs/results.md); the GAN of configs/release/adult.py is beside it. A table of your own as there.
"""

import pathlib

from adv_rec.experiments import options

_PRIVATE = pathlib.Path(__file__).parents[1] / "private" / "marginals.py"


def get_config(arg: str = ""):
  """Options: privacy.epsilon=1.0, data.path=FILE, or any other of the config."""
  config = options.load(_PRIVATE)
  config.title = "Adult"
  config.release = {"drop": ("fnlwgt",)}  # a weight of the census, undeclared
  return options.override(config, options.parse(arg))
