"""GAN objectives on stacks of three articles: 1,000 modes, how many are met?

  python scripts/reproduce.py --table=stacked_images --jobs=2

Half an hour on 2 CPU cores.
"""

_CONFIG = "configs/gan/stacked_images.py"


def _run(method, options):
  return {"method": method, "config": _CONFIG, "options": options}


def get_table():
  return {
    "title": "GAN objectives, stacked Fashion-MNIST",
    "protocol": """Three pictures of 10 categories of articles as the colours of
      one. Perceptrons with two hidden layers of 256, noise of width 64, batches
      of 64, Adam at .001 with moments .5 and .9, 2,000 steps, the average of
      the generator at .99: what was tried first, on seed 100 of the relativistic
      row. A classifier that is right for .88 of the test
      pictures names what 5,000 samples show; real_...: what as many stacks of
      test pictures show. Precision to coverage: in 64 principal components,
      against stacks of test pictures.""",
    "metrics": [
      "modes",
      "mode_kl",
      "precision",
      "recall",
      "density",
      "coverage",
      "real_modes",
      "real_mode_kl",
    ],
    "log": False,
    "seeds": 3,
    "runs": [
      _run("Minimax", "objective=minimax"),
      _run("Non-saturating", "objective=non_saturating"),
      _run("Least squares", "objective=least_squares"),
      _run(
        "Wasserstein, gradient penalty 10",
        "objective=wasserstein,penalty.gradient=10.0",
      ),
      _run("Hinge, spectral norm", "objective=hinge,model.spectral=True"),
      _run(
        "Relativistic, R1 and R2 .1",
        "objective=relativistic,penalty.r1=0.1,penalty.r2=0.1",
      ),
      _run(
        "Non-saturating, PacGAN of 2",
        "objective=non_saturating,pack=2",
      ),
    ],
  }
