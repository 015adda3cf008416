"""Whether generated examples are like the real ones, and as varied.

A generator that has collapsed draws good examples of few kinds: the measures
of fidelity (high_quality, precision, density) stay high, and those of variety
(modes, recall, coverage) fall. Each needs the other beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def modes(
  samples: np.ndarray, centers: np.ndarray, std: float
) -> dict[str, float]:
  """Modes of a known mixture of Gaussians that are covered, and how well.

  The convention of Srivastava et al. 2017 (arXiv:1705.07761) and Lin et al.
  2018 (arXiv:1712.04086): a sample is of high quality if it lies within three
  standard deviations of the nearest center, and a mode is covered if at least
  one sample of high quality is nearest to it. Of a perfect sampler of two
  dimensions 1 - exp(-9 / 2) = .989 are of high quality.

  Args:
    samples: [N, D].
    centers: [K, D], of equally likely modes.
    std: of each coordinate about a center.

  Returns:
    "modes" (from 0 to K), "high_quality" (share of the samples), and
    "mode_kl", KL(q || uniform) in nats of the shares q of the modes among the
    samples of high quality: ln(K / m) if m modes are met equally often. It is
    left out where no sample is of high quality.

  Raises:
    ValueError: there are no samples, they are not finite, or of other width.
  """
  samples, centers = _arrays(samples=samples, centers=centers)
  count = np.zeros(len(centers))
  for _, squared in _blocks(samples, centers):
    good = squared.min(axis=1) <= (3 * std) ** 2
    nearest = squared.argmin(axis=1)
    count += np.bincount(nearest[good], minlength=len(centers))
  result = {
    "modes": float((count > 0).sum()),
    "high_quality": float(count.sum() / len(samples)),
  }
  if count.any():
    q = count[count > 0] / count.sum()
    result["mode_kl"] = float(q @ np.log(q * len(centers)))
  return result


def label_modes(labels: np.ndarray, classes: int) -> dict[str, float]:
  """Modes among combinations of labels, such as the digits of a stack.

  Metz et al. 2017 (arXiv:1611.02163), section 3.3.

  Args:
    labels: [N, P] integers below `classes`: P labels of each sample.
    classes: C; there are C^P modes, equally likely among the real ones.

  Returns:
    "modes" met at least once, and "mode_kl", KL(q || uniform) in nats of their
    shares q.
  """
  weights = classes ** np.arange(labels.shape[1])
  count = np.bincount(labels @ weights)
  q = count[count > 0] / count.sum()
  total = classes ** labels.shape[1]
  return {"modes": float(len(q)), "mode_kl": float(q @ np.log(q * total))}


def neighbours(
  real: np.ndarray, fake: np.ndarray, k: int = 5, block: int = 256
) -> dict[str, float]:
  """Precision, recall, density and coverage by nearest neighbours.

  With B(x) the closed ball about x that reaches its k-th nearest neighbour of
  its own kind, itself not counted, for real x and generated y:

    precision  share of the y that lie in the ball of some x
    recall     share of the x that lie in the ball of some y
    density    mean over y of the number of balls of x that hold it, over k
    coverage   share of the x whose ball holds some y

  Kynkäänniemi et al. 2019 (arXiv:1904.06991); Naeem et al. 2020
  (arXiv:2002.09797). Equal distributions do not give 1 everywhere: publish
  two sets of real examples beside these. There density is 1 on average, and
  coverage is `expected_coverage`. Precision and recall trust outliers, whose
  balls are large; density and coverage do so less.

  Args:
    real: [N, D], features in which the Euclidean distance means something.
    fake: [M, D].
    k: neighbours, less than N and M.
    block: rows whose distances are held at once; changes no result.

  Returns:
    "precision", "recall", "density", "coverage".

  Raises:
    ValueError: too few examples, not finite, or of different width.
  """
  real, fake = _arrays(real=real, fake=fake)
  for name, x in (("real", real), ("generated", fake)):
    if not 1 <= k < len(x):
      raise ValueError(
        f"k is {k}: must be from 1 to the number of {name} examples less one"
        f" ({len(x) - 1})"
      )
  center = real.mean(axis=0)
  real, fake = real - center, fake - center
  # Distances that are equal, of copies and on grids, differ by rounding.
  slack = 1e-12 * max((real**2).sum(axis=1).max(), (fake**2).sum(axis=1).max())
  real_radius = _radii(real, k, block) + slack
  fake_radius = _radii(fake, k, block) + slack
  balls = np.zeros(len(fake))  # of real examples, about each generated one
  recalled = covered = 0
  for rows, squared in _blocks(real, fake, block):
    inside = squared <= real_radius[rows, None]
    balls += inside.sum(axis=0)
    covered += inside.any(axis=1).sum()
    recalled += (squared <= fake_radius).any(axis=1).sum()
  return {
    "precision": float((balls > 0).mean()),
    "recall": float(recalled / len(real)),
    "density": float(balls.mean() / k),
    "coverage": float(covered / len(real)),
  }


def expected_coverage(num_real: int, num_fake: int, k: int) -> float:
  """Coverage of `neighbours` if both sets come from one distribution.

  Naeem et al. 2020 (arXiv:2002.09797), lemma 2: of the other real and the
  generated examples, the k nearest to a real one are all real with chance
  prod_i (N - i) / (M + N - i), i = 1..k. Exact without ties.
  """
  i = np.arange(1, k + 1)
  return float(1 - np.prod((num_real - i) / (num_fake + num_real - i)))


def _arrays(**named: np.ndarray) -> list[np.ndarray]:
  """As float64 [N, D], checked."""
  arrays = [np.asarray(x, np.float64) for x in named.values()]
  for name, x in zip(named, arrays, strict=True):
    if x.ndim != 2 or not len(x):
      raise ValueError(f"{name} has shape {x.shape}, must be [N, D] with N > 0")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if bad.size:
      raise ValueError(f"{name}: row {bad[0]} holds a value that is not finite")
  widths = [x.shape[1] for x in arrays]
  if len(set(widths)) > 1:
    raise ValueError(f"{' and '.join(named)} are of different width: {widths}")
  return arrays


def _blocks(
  a: np.ndarray, b: np.ndarray, block: int = 256
) -> Iterator[tuple[slice, np.ndarray]]:
  """Squared distances of some rows of a to all of b: (rows, [block, M])."""
  norms = (b**2).sum(axis=1)
  for start in range(0, len(a), block):
    rows = slice(start, start + block)
    own = (a[rows] ** 2).sum(axis=1)[:, None]
    yield rows, np.maximum(own + norms - 2 * a[rows] @ b.T, 0.0)


def _radii(x: np.ndarray, k: int, block: int) -> np.ndarray:
  """Squared distance to the k-th nearest other row. [N, D] -> [N]."""
  radii = np.empty(len(x))
  for rows, squared in _blocks(x, x, block):
    # Each row is its own nearest, at distance 0: place 0.
    radii[rows] = np.partition(squared, k, axis=1)[:, k]
  return radii
