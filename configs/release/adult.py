"""A release of Adult: the run of configs/private/adult.py, whose folder may be handed on.

  python scripts/release.py --config=configs/release/adult.py --epsilon=3 --delta=1e-5 --out=/tmp/adult_release
  python scripts/release.py --verify=/tmp/adult_release

The run alone, without a release of it:

  python scripts/train.py --config=configs/release/adult.py --workdir=/tmp/adult_private

A table of your own, with a schema of it that was written without a look at its values:

  python scripts/release.py --config=configs/release/adult.py:data.path=sales.csv,data.schema=sales.json,target=returned --epsilon=3 --delta=1e-5 --out=/tmp/sales_release

Any other private experiment is released in the same way.
"""

import pathlib

from adv_rec.experiments import options

_PRIVATE = pathlib.Path(__file__).parents[1] / "private" / "adult.py"


def get_config(arg: str = ""):
  """Options: privacy.epsilon=1.0, data.path=FILE, or any other of the config."""
  config = options.load(_PRIVATE)
  config.title = "Adult"
  config.release = {"drop": ("fnlwgt",)}  # a weight of the census, undeclared
  return options.override(config, options.parse(arg))
