"""A table generator on Adult with a private discriminator (DP-SGD, Abadi et al. 2016, arXiv:1607.00133).

  python scripts/train.py --config=configs/private/adult.py --workdir=/tmp/adult_private
  python scripts/train.py --config=configs/private/adult.py:privacy.epsilon=1.0 --workdir=/tmp/adult_one

Needs `pip install '.[private]'`. A table of your own, with a schema of it that was written without a look at its values:

  python scripts/train.py --config=configs/private/adult.py:data.path=sales.csv,data.schema=sales.json,target=returned --workdir=/tmp/sales_private

The unit is a row; workdir/privacy/ledger.jsonl says what was spent. A minute or two on 2 CPU cores. privacy.enabled=False plays the same game without clip, noise and ledger, to compare with. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, private


def get_config(arg: str = ""):
  """Options: privacy.epsilon=1.0, data.path=FILE, or any other of the config."""
  config = private.private_config()
  config.name = "adult"
  config.title = "Private table GAN, Adult"
  config.target = "income"
  return options.override(config, options.parse(arg))
