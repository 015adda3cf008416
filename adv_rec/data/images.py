"""Product images: Fashion-MNIST, and stacks of three of them.

Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 60,000 + 10,000 pictures of
28 x 28 grey pixels in 10 categories of articles. MIT licence. Debian package
dataset-fashion-mnist.
"""

from __future__ import annotations

import gzip
import os
import pathlib
import zlib
from typing import NamedTuple

import numpy as np

from adv_rec.data import locate

CATEGORIES = 10
_DEBIAN = pathlib.Path("/usr/share/datasets/fashion-mnist")


class Images(NamedTuple):
  """Pictures and what they show.

  Attributes:
    pixels: [N, H, W] uint8.
    labels: [N] uint8.
  """

  pixels: np.ndarray
  labels: np.ndarray


def fashion_mnist(
  path: str | os.PathLike[str] | None = None,
) -> tuple[Images, Images]:
  """The training and the test images.

  Args:
    path: the folder of the four IDX files; None looks in the usual places.

  Raises:
    FileNotFoundError: the files are not here; the message says how to get them.
    ValueError: a file is damaged.
  """
  names = [
    f"{part}-{what}-ubyte"
    for part in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
  ]
  files = locate.files(
    "fashion_mnist",
    names,
    [path, locate.environment("fashion-mnist"), _DEBIAN],
    "apt install dataset-fashion-mnist",
  )
  arrays = [_idx(file) for file in files]
  parts = []
  for file, pixels, labels in zip(
    files[::2], arrays[::2], arrays[1::2], strict=True
  ):
    if pixels.ndim != 3 or labels.shape != pixels.shape[:1]:
      raise ValueError(
        f"{file} holds {pixels.shape} for {labels.shape} labels: expected"
        " [N, H, W] for [N]"
      )
    parts.append(Images(pixels, labels))
  return parts[0], parts[1]


def scaled(images: Images) -> np.ndarray:
  """The pixels as [N, H W] in [-1, 1]."""
  flat = images.pixels.reshape(len(images.pixels), -1)
  return flat.astype(np.float32) / np.float32(127.5) - 1


def stack(images: Images, num: int, rng: np.random.Generator) -> np.ndarray:
  """Three random pictures as the colours of one. -> [num, 3 H W] in [-1, 1].

  Of 10 categories these are 1,000 modes, alike in number: the stacked digits
  of Metz et al. 2017 (arXiv:1611.02163), with articles in their place.
  """
  chosen = rng.integers(len(images.pixels), size=(num, 3))
  pixels = images.pixels[chosen].reshape(num, -1)
  return pixels.astype(np.float32) / np.float32(127.5) - 1


def _idx(file: pathlib.Path) -> np.ndarray:
  """An IDX file of bytes: two zeros, 8, the rank, the sizes, the values."""
  try:
    raw = file.read_bytes()
    data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
  except (OSError, EOFError, zlib.error) as error:
    raise ValueError(f"{file} cannot be read: {error}") from error
  rank = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
  shape = tuple(np.frombuffer(data[4 : 4 + 4 * rank], ">u4"))
  values = np.frombuffer(data[4 + 4 * rank :], np.uint8)
  if not rank or len(shape) != rank or values.size != np.prod(shape):
    raise ValueError(
      f"{file} is not an IDX file of bytes, or is cut off; get it again"
    )
  return values.reshape(shape)
