"""A private release of who buys what: made-up users, real users protected.

  python scripts/train.py --config=configs/private/behaviour.py:dataset=gowalla --workdir=/tmp/behaviour
  python scripts/train.py --config=configs/private/behaviour.py:dataset=gowalla,design=refined,privacy.epsilon=2.0 --workdir=/tmp/behaviour_two

Needs `pip install '.[private]'`. The unit is a user with all rows; workdir/synthetic.parquet is the release, and workdir/privacy/ledger.jsonl says what was spent. A recommender trained on it alone ranks for the real users, beside the same one trained on the real rows. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, private_behaviour


def get_config(arg: str = ""):
  """Options: design=NAME, privacy.epsilon=8.0, or any other of the config."""
  config = private_behaviour.behaviour_config()
  config.name = "behaviour"
  config.title = "Private behaviour"
  return options.override(config, options.parse(arg))
