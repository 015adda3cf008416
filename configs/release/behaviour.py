"""A release of who buys what: the run of configs/private/behaviour.py, whose folder may be handed on.

  python scripts/release.py --config=configs/release/behaviour.py --epsilon=8 --delta=1e-5 --out=/tmp/shop_release
  python scripts/release.py --verify=/tmp/shop_release

The run alone, without a release of it:

  python scripts/train.py --config=configs/release/behaviour.py --workdir=/tmp/shop_private

The unit is a user with all rows, here a household. Another dataset, or a log of your own that scripts/prepare_data.py or data.path and data.columns name:

  python scripts/release.py --config=configs/release/behaviour.py:dataset=gowalla --epsilon=8 --delta=1e-5 --out=/tmp/gowalla_release
  python scripts/release.py --config=configs/release/behaviour.py:dataset=,data.prepared=/tmp/sales --epsilon=8 --delta=1e-5 --out=/tmp/sales_release
  python scripts/release.py --config=configs/release/behaviour.py:dataset=,data.path=sales.csv --config.data.columns=user=customer,item=sku,time=day --epsilon=8 --delta=1e-5 --out=/tmp/sales_release

Options of the model are those of households; few users need fewer lists (top, rank, clusters) and factors (model.dim).
"""

import pathlib

from adv_rec.experiments import options

_PRIVATE = pathlib.Path(__file__).parents[1] / "private" / "behaviour.py"
# As configs/tables/private_retail.py has clusters of households.
_RETAIL = (
  "dataset=completejourney,fit=train+validation,design=clusters,top=300,rank=8,"
  "clusters=8,model.dim=128,item_exponent=0.0,l2=160.0"
)


def get_config(arg: str = ""):
  """Options: dataset=NAME, users=1000, or any other of the config."""
  config = options.load(_PRIVATE, _RETAIL)
  config.title = "Behaviour"
  return options.override(config, options.parse(arg))
