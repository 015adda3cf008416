"""Fashion-MNIST, stacks of its pictures, and the labels of generated ones."""

import gzip

import numpy as np
import pytest

from adv_rec.data import images
from adv_rec.evaluation import extractors, generation


def write_idx(path, array):
  head = bytes([0, 0, 8, array.ndim])
  sizes = np.asarray(array.shape, ">u4").tobytes()
  with gzip.open(path, "wb") as file:
    file.write(head + sizes + array.astype(np.uint8).tobytes())


@pytest.fixture
def folder(tmp_path):
  """Pictures 4 x 4 whose brightness is their label."""
  for part, count in (("train", 40), ("t10k", 20)):
    labels = np.arange(count) % 10
    pixels = np.broadcast_to(labels[:, None, None] * 25, (count, 4, 4))
    write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", pixels)
    write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", labels)
  return tmp_path


def test_pictures_are_read_and_stacked(folder):
  train, test = images.fashion_mnist(folder)
  assert train.pixels.shape == (40, 4, 4) and test.labels.shape == (20,)
  np.testing.assert_array_equal(train.pixels[:, 0, 0], 25 * train.labels)
  np.testing.assert_allclose(images.scaled(train)[9], 225 / 127.5 - 1)
  stacks = images.stack(train, 5000, np.random.default_rng(0))
  assert stacks.shape == (5000, 48) and stacks.dtype == np.float32
  digits = np.rint((stacks.reshape(5000, 3, 16) + 1) * 127.5 / 25)
  assert (digits == digits[..., :1]).all()  # each a whole picture
  found = generation.label_modes(digits[..., 0].astype(int), 10)
  assert found["modes"] > 980  # of 1,000, each missed with chance e^-5
  assert found["mode_kl"] < 0.2


def test_bad_files_are_named(folder, tmp_path_factory):
  empty = tmp_path_factory.mktemp("empty")
  with pytest.raises(FileNotFoundError, match="apt install dataset-fashion"):
    images.fashion_mnist(empty)
  file = folder / "t10k-images-idx3-ubyte.gz"
  file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1]))
  with pytest.raises(ValueError, match=r"t10k-images.* is cut off"):
    images.fashion_mnist(folder)
  file.write_bytes(file.read_bytes()[:-20])
  with pytest.raises(ValueError, match=r"t10k-images.* cannot be read"):
    images.fashion_mnist(folder)


def test_label_modes_of_known_shares():
  labels = np.array([[0, 1], [0, 1], [2, 2], [1, 0]])
  found = generation.label_modes(labels, 3)
  assert found["modes"] == 3
  shares = np.array([0.5, 0.25, 0.25])
  assert found["mode_kl"] == pytest.approx(shares @ np.log(shares * 9))


def test_the_classifier_knows_real_articles():
  try:
    train, test = images.fashion_mnist()
  except FileNotFoundError as error:
    pytest.skip(str(error))
  part = images.Images(train.pixels[:10_000], train.labels[:10_000])
  classify = extractors.image_classifier(images.scaled(part), part.labels)
  right = classify(images.scaled(test)) == test.labels
  assert right.mean() > 0.83  # of 60,000 pictures it learns .88


def test_principal_components_keep_the_directions_of_most_variance():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(500, 6)) * [9, 7, 0.1, 0.1, 0.1, 0.1]
  reduced = extractors.principal_components(x, 2)(x)
  np.testing.assert_allclose(
    np.sort(reduced.std(axis=0))[::-1], x.std(axis=0)[:2], rtol=0.02
  )
