"""A generator of what households do: purchases, coupons, campaigns, in their order.

  python scripts/train.py --config=configs/generate/events.py --workdir=/tmp/events
  python scripts/generate.py --workdir=/tmp/events --rows=1000 --out=events.parquet

There --rows counts sequences, each of one household. A log of your own, CSV or
Parquet, by the names of its columns:

  python scripts/train.py --config=configs/generate/events.py:data.path=log.csv,data.columns.user=customer,data.columns.type=event --workdir=/tmp/own

Three minutes on 2 CPU cores, of which the critic takes a third. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import event_generator, options


def get_config(arg: str = ""):
  """Options: data.path=FILE, or any other of the config, as a=1,b.c=2."""
  config = event_generator.events_config()
  config.name = "events"
  config.title = "Event sequences, The Complete Journey"
  return options.override(config, options.parse(arg))
