"""Kim's convolutional network (2014, arXiv:1408.5882), words from scratch.

  python scripts/train.py --config=configs/sentiment/cnn.py --workdir=/tmp/cnn
  python scripts/train.py --config=configs/sentiment/cnn.py:attack.name=fgm --workdir=/tmp/cnn_fgm

The second is adversarial training (Miyato et al. 2017, arXiv:1605.07725). Other
data: dataset=NAME, or reviews of your own with dataset=,data.path=FILE, a text
and a label. Half a minute on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import options, sentiment


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = sentiment.words_config()
  config.name = "cnn"
  config.title = "Text CNN"
  return options.override(config, options.parse(arg))
