"""Features and labels in which generated pictures are compared with real."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline


def image_classifier(
  pixels: np.ndarray, labels: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
  """A classifier of grey pictures; deterministic, a few seconds.

  Ridge regression on random Fourier features of the pixels (Rahimi & Recht
  2007), from scikit-learn: about .88 of the test articles of Fashion-MNIST.

  Args:
    pixels: [N, D] in [-1, 1].
    labels: [N].

  Returns:
    Pictures [M, D] -> labels [M].
  """
  model = make_pipeline(
    RBFSampler(gamma=0.004, n_components=2000, random_state=0),
    RidgeClassifier(alpha=1.0, solver="cholesky"),
  )
  model.fit(pixels, labels)
  return lambda pictures: model.predict(pictures).astype(np.int64)


def principal_components(
  real: np.ndarray, components: int
) -> Callable[[np.ndarray], np.ndarray]:
  """The projection of [N, D] on the first components of real examples."""
  model = PCA(components, svd_solver="randomized", random_state=0).fit(real)
  return model.transform
