"""Who a household is, by how it shops: children, income, age, composition.

  python scripts/train.py --config=configs/portraits/demographics.py --workdir=/tmp/children
  python scripts/train.py --config=configs/portraits/demographics.py:target=income,attack.name=fgm,attack.epsilon=0.02 --workdir=/tmp/income
  python scripts/train.py --config=configs/portraits/demographics.py:model.kind=boosting --workdir=/tmp/boosting

A perceptron of 150 numbers a household, or logistic regression, boosting,
majority of scikit-learn. Your own customers: dataset=,data.path=FILE,target=COLUMN.
Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, portraits


def get_config(arg: str = ""):
  """Options: target=NAME, model.kind=KIND, or any other of the config."""
  config = portraits.demographics_config()
  config.name = "demographics"
  config.title = "User portraits"
  return options.override(config, options.parse(arg))
