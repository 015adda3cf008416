"""Ridge SVD: low-rank ridge regression on normalised interactions.

  python scripts/train.py --config=configs/recommend/ridge_svd.py:dataset=movielens_100k --workdir=/tmp/ridge_svd

PureSVD with cells divided by powers of the activity of their user and of the
popularity of their item (as in Shen et al. 2021, arXiv:2108.07567), and factors
shrunk by a ridge penalty (Jin et al. 2021, arXiv:2105.12937): an EASE in few
factors, for catalogues of any size. A second on 2 CPU cores. Ours: see
docs/results.md (generated).
"""

from adv_rec.experiments import options, recommend

# Chosen by nDCG@10 on the validation part.
TUNED = {
  "completejourney": {
    "model": {"dim": 128},
    "item_exponent": 0.0,
    "l2": 160.0,
  },
  "ml100k_random": {"model": {"dim": 40}, "l2": 6.0},
}


def get_config(arg: str = ""):
  """Options: dataset=NAME, l2=NUMBER, or any other of the config."""
  given = options.parse(arg)
  config = recommend.default_config()
  config.name = "ridge_svd"
  config.title = "Ridge SVD"
  config.experiment = "adv_rec.experiments.baselines.svd"
  config.model = {"dim": 64}
  config.user_exponent = 0.25  # 0: none, 0.5: as in the graph's Laplacian
  config.item_exponent = 0.25
  config.l2 = 5.0  # in squared singular values of the normalised matrix
  config.sketch = 2.0  # columns of the randomised SVD, in units of dim
  config.passes = 5  # of its subspace iteration
  config.update(TUNED.get(given.get("dataset", str(config.dataset)), {}))
  return options.override(config, given)
