"""A release of what households do, event by event: the run of configs/private/events.py, whose folder may be handed on.

  python scripts/release.py --config=configs/release/events.py --epsilon=8 --delta=1e-5 --out=/tmp/events_release
  python scripts/release.py --verify=/tmp/events_release

The run alone, without a release of it:

  python scripts/train.py --config=configs/release/events.py --workdir=/tmp/events_private

The unit is a household with all rows. The model is the chain of noisy counts, the better one at any epsilon that we measured (docs/results.md); the network is model.kind=recurrent. A log of your own, with what is declared of it (adv_rec/data/declared_events.py) in a file that was written without a look at its values:

  python scripts/release.py --config=configs/release/events.py:data.path=log.csv,data.declared=log.json,data.columns.user=customer --epsilon=8 --delta=1e-5 --out=/tmp/own_release
"""

import pathlib

from adv_rec.experiments import options

_PRIVATE = pathlib.Path(__file__).parents[1] / "private" / "events.py"


def get_config(arg: str = ""):
  """Options: model.kind=recurrent, data.path=FILE, or any other of the config."""
  config = options.load(_PRIVATE, "model.kind=markov")
  config.title = "Event sequences"
  return options.override(config, options.parse(arg))
