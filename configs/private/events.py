"""A generator of what households do, each household protected with all of its rows (DP-SGD, Abadi et al. 2016, arXiv:1607.00133).

  python scripts/train.py --config=configs/private/events.py --workdir=/tmp/private_events
  python scripts/train.py --config=configs/private/events.py:model.kind=markov,privacy.epsilon=1.0 --workdir=/tmp/private_chain
  python scripts/generate.py --workdir=/tmp/private_events --rows=1000 --out=events.parquet

Needs `pip install '.[private]'`. A log of your own, with what is declared of it (adv_rec/data/declared_events.py) in a file that was written without a look at its values:

  python scripts/train.py --config=configs/private/events.py:data.path=log.csv,data.declared=log.json,data.columns.user=customer --workdir=/tmp/private_own

workdir/synthetic.parquet is the release, of which configs/release/events.py makes a folder to hand on; workdir/privacy/ledger.jsonl says what was spent. model.kind=markov is a chain of noisy counts, the bar. privacy.enabled=False learns without clip, noise and ledger, to compare with. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, private_events


def get_config(arg: str = ""):
  """Options: privacy.epsilon=1.0, data.path=FILE, or any other of the config."""
  config = private_events.private_config()
  config.name = "events"
  config.title = "Private event sequences, The Complete Journey"
  return options.override(config, options.parse(arg))
