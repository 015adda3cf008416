"""The items most bought by users of one's own segment.

  python scripts/train.py --config=configs/recommend/segment_popularity.py:segment=income --workdir=/tmp/segment_popularity

For new users of whom something is known, the baseline to beat beside overall
popularity. Seconds on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend


def get_config(arg: str = ""):
  """Options: dataset=NAME, segment=COLUMN of users, or any other."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "segment_popularity"
  config.title = "Segment popularity"
  config.experiment = "adv_rec.experiments.baselines.segment_popularity"
  config.segment = "income"
  return options.override(config, given)
