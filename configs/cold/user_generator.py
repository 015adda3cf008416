"""A generator of new users, from their first few items.

  python scripts/train.py --config=configs/cold/user_generator.py --workdir=/tmp/user_generator
  python scripts/train.py --config=configs/cold/user_generator.py:data.known=1,critic.weight=10.0 --workdir=/tmp/user_generator_critic

Ours: a closed form (ridge SVD) of the few items, and what a network that
learned from cut histories adds to it; with attack.epsilon under attack (FGM,
Miyato et al. 2017, arXiv:1605.07725), and with critic.weight against a critic
that compares it with the answer to the whole history. A minute on 2 CPU cores. Results:
docs/results.md (generated).
"""

from adv_rec.experiments import options, user_generator


def get_config(arg: str = ""):
  """Options: dataset=NAME, data.known=NUMBER, or any other, as a=1,b.c=2."""
  given = options.parse(arg)
  config = user_generator.user_generator_config()
  config.name = "user_generator"
  config.title = "Generator of new users"
  return options.override(config, given)
