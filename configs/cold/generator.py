"""A generator of the keys of cold items, on top of a closed form.

  python scripts/train.py --config=configs/cold/generator.py --workdir=/tmp/cold_generator

Content (and noise, model.latent) -> key, trained by the softmax loss of all
users, with adversaries: attacks on the generated keys (attack.*), a critic of
pairs of content and key (critic.*). What it adds to is the content ridge, of
each training item fitted without that item; ridge.scale=0 leaves it out. A few
minutes on 2 CPU cores. Ours: see docs/results.md (generated).
"""

from adv_rec.experiments import cold_generators, options


def get_config(arg: str = ""):
  """Options: dataset=NAME, or any other of the config, as a=1,b.c=2."""
  config = cold_generators.generator_config(arg)
  config.name = "generator"
  config.title = "Item generator"
  return options.override(config, options.parse(arg))
