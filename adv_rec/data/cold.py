"""The protocol of cold items: products that nobody has bought yet.

A share of the items is held out of training entirely, with all that anybody
ever did with them, and is what a model is judged by; a smaller share likewise
is what settings are chosen by. As in DropoutNet (Volkovs et al. 2017), CLCRec
(Wei et al. 2021) and GAR (Chen et al. 2022).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import NamedTuple

import numpy as np

from adv_rec.data.dataset import PARTS, Dataset, Pairs

WARM, VALIDATION, TEST = 0, 1, 2
# What sells decides most of the figure, and differs from one small draw to the
# next: settings are chosen by the mean over as many draws of validation items.
DRAWS = 5


class Cold(NamedTuple):
  """A dataset whose items are warm or cold.

  Attributes:
    kind: [I] int8, `WARM`, `VALIDATION` or `TEST`.
    data: the dataset with train: the fitted interactions of warm items;
      validation and test: all interactions, of any time, of the cold items of
      that kind.
    later: the interactions of the test part of the dataset as it was, with
      warm items and with the cold ones of `TEST`.
  """

  kind: np.ndarray
  data: Dataset
  later: Pairs


def hold_out(
  dataset: Dataset,
  fit: str,
  validation_share: float,
  test_share: float,
  seed: int,
) -> Cold:
  """Draws cold items and takes their interactions out of training.

  There are `DRAWS` disjoint sets of validation items, which the seeds take in
  turn, and test items are drawn from what is in none of them: no item that
  settings were chosen by is ever reported on, whichever the seed.

  Args:
    dataset: with its interactions in memory.
    fit: "train" or "train+validation": the parts whose interactions with warm
      items are fitted.
    validation_share: of the items, in each of the sets.
    test_share: of the items.
    seed: of the test items; the validation items are those of set seed mod
      `DRAWS`.

  Raises:
    ValueError: the shares are more than there is, one leaves a kind without
      items or interactions, or the dataset is partly on disk.
  """
  if dataset.partial:
    raise ValueError("cold items need the whole dataset in memory: shards=0")
  if DRAWS * validation_share + test_share > 1:
    raise ValueError(
      f"cold items: {DRAWS} validation sets of {validation_share} of the items"
      f" and a test set of {test_share} are more than there are; lower one"
    )
  count = dataset.num_items
  sizes = [round(share * count) for share in (validation_share, test_share)]
  kind = np.full(count, WARM, np.int8)
  order = np.random.default_rng([0, VALIDATION]).permutation(count)
  first = seed % DRAWS * sizes[0]
  kind[order[first : first + sizes[0]]] = VALIDATION
  rest = np.sort(order[DRAWS * sizes[0] :])
  drawn = np.random.default_rng([seed, TEST]).permutation(rest)
  kind[drawn[: sizes[1]]] = TEST

  everything = _of(dataset, PARTS)
  parts = {
    "train": _with(_of(dataset, fit.split("+")), kind == WARM),
    "validation": _with(everything, kind == VALIDATION),
    "test": _with(everything, kind == TEST),
  }
  for part, pairs in parts.items():
    if not len(pairs.user):
      raise ValueError(
        f"cold items: {part} has no interactions, of {count} items with the"
        f" shares {validation_share} for validation and {test_share} for test;"
        " change the shares, or use more data"
      )
  protocol = dataset.protocol | {
    "cold": {"validation_share": validation_share, "test_share": test_share}
  }
  text = json.dumps([dataset.fingerprint, protocol["cold"], fit])
  held_out = dataclasses.replace(
    dataset,
    **parts,
    protocol=protocol,
    fingerprint="cold-" + hashlib.sha256(text.encode()).hexdigest()[:16],
  )
  return Cold(kind, held_out, _with(_of(dataset, ["test"]), kind != VALIDATION))


def lists(pairs: Pairs, num_users: int, items: np.ndarray):
  """The interactions with some items, as CSR over their places among these.

  Args:
    pairs: interactions.
    num_users: U.
    items: [K] item codes.

  Returns:
    (indptr [U + 1], places [n]): place p stands for item items[p].
  """
  known = np.isin(pairs.item, items)
  user, item = pairs.user[known], pairs.item[known]
  place = np.zeros(max(items.max(initial=0), item.max(initial=0)) + 1, np.int32)
  place[items] = np.arange(len(items))
  order = np.lexsort((place[item], user))
  indptr = np.zeros(num_users + 1, np.int64)
  np.cumsum(np.bincount(user, minlength=num_users), out=indptr[1:])
  return indptr, place[item[order]]


def _of(dataset: Dataset, parts) -> Pairs:
  found = [getattr(dataset, part) for part in parts]
  return Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _with(pairs: Pairs, chosen: np.ndarray) -> Pairs:
  return Pairs(*(column[chosen[pairs.item]] for column in pairs))
