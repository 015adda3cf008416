"""The other programs: implicit and cornac, fitted as their documents advise.

Their settings were chosen by nDCG@10 on the validation part, from grids like
those in search.py, which prints what each point reaches: for BPR on
ml100k_random from the whole grids, on completejourney at 64 dimensions from
rates .01 to .1 with penalties of about .01; for ALS from 16 to 64 factors
(retail: 16 and part of 32) and penalties 1 to 100, alpha .3, 1 and 10. Both
get their own kind of matrix and all cores that the benchmark has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from adv_rec.data.dataset import Dataset

# (queries [U, D], keys [I, D]): the score of user and item is their product.
Tables = tuple[Any, Any]

SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
  "completejourney": {
    "implicit ALS": {"factors": 16, "regularization": 10.0},
    "implicit BPR": {
      "factors": 64,
      "learning_rate": 0.01,
      "regularization": 0.01,
    },
    "cornac BPR": {"k": 64, "learning_rate": 0.01, "lambda_reg": 0.01},
  },
  "ml100k_random": {
    "implicit ALS": {"factors": 32, "regularization": 10.0},
    "implicit BPR": {
      "factors": 64,
      "learning_rate": 0.01,
      "regularization": 0.003,
    },
    "cornac BPR": {"k": 64, "learning_rate": 0.03, "lambda_reg": 0.01},
  },
}
# (epochs between two looks at the validation part, most epochs)
LOOKS = {
  "implicit ALS": (1, 24),
  "implicit BPR": (5, 100),
  "cornac BPR": (5, 100),
}
MISSING = (
  "the peers are not installed: pip install '.[benchmark]', and run again"
)


class Peer:
  """A program that can be fitted, and fitted on.

  Attributes:
    matrix: what its fit function takes.
  """

  def __init__(
    self, matrix: Any, new: Callable[[int], Any], tables: Callable[..., Tables]
  ):
    """Takes what the programs differ in.

    Args:
      matrix: what its fit function takes.
      new: epochs -> a model that plays that many in a call of its fit.
      tables: model -> its tables.
    """
    self.matrix = matrix
    self._new, self._tables = new, tables

  def ready(self, epochs: int) -> Callable[[], Tables]:
    """One uninterrupted fit from the start, to be called."""
    model = self._new(epochs)
    return lambda: self._tables(_fit(model, self.matrix))

  def curve(
    self, every: int, most: int, visit: Callable[[int, Tables], None]
  ) -> None:
    """Shows the tables after each `every` epochs, up to `most`."""
    model = self._new(every)  # its tables stay from one call to the next
    for epochs in range(every, most + 1, every):
      visit(epochs, self._tables(_fit(model, self.matrix)))


def make(
  method: str, settings: dict[str, Any], data: Dataset, cores: int, seed: int
) -> Peer:
  """A peer and its matrix of the train part, not yet fitted.

  Args:
    method: one of `LOOKS`.
    settings: arguments of its model.
    data: the prepared data.
    cores: threads it may use.
    seed: of its start; the order in which two threads write is free.

  Raises:
    ValueError: the package is not installed, or there is no such method.
  """
  make_one = {
    "implicit ALS": _implicit_als,
    "implicit BPR": _implicit_bpr,
    "cornac BPR": _cornac_bpr,
  }
  if method not in make_one:
    raise ValueError(f"no peer {method!r}; choose {', '.join(make_one)}")
  try:
    return make_one[method](settings, data, cores, seed)
  except ImportError as error:
    raise ValueError(f"{MISSING} ({error})") from error


def _implicit_als(settings, data, cores, seed) -> Peer:
  from implicit.cpu.als import AlternatingLeastSquares

  def new(epochs):
    return AlternatingLeastSquares(
      **settings, iterations=epochs, num_threads=cores, random_state=seed
    )

  return Peer(_csr(data), new, _implicit_tables)


def _implicit_bpr(settings, data, cores, seed) -> Peer:
  from implicit.cpu.bpr import BayesianPersonalizedRanking

  def new(epochs):
    return BayesianPersonalizedRanking(
      **settings, iterations=epochs, num_threads=cores, random_state=seed
    )

  return Peer(_csr(data), new, _implicit_tables)


def _cornac_bpr(settings, data, cores, seed) -> Peer:
  import cornac

  users, items = _cells(data)
  matrix = cornac.data.Dataset(
    data.num_users,
    data.num_items,
    {user: user for user in range(data.num_users)},
    {item: item for item in range(data.num_items)},
    (users, items, np.ones(len(users), np.float32)),
  )

  def new(epochs):
    # With a seed of its own cornac uses one thread only; so give it the start.
    rng = np.random.default_rng(seed)
    shapes = {"U": data.num_users, "V": data.num_items}
    start = {
      name: ((rng.random((rows, settings["k"])) - 0.5) / settings["k"]).astype(
        np.float32
      )
      for name, rows in shapes.items()
    }
    return cornac.models.BPR(
      **settings,
      max_iter=epochs,
      num_threads=cores,
      verbose=False,
      init_params=start,
    )

  return Peer(matrix, new, _cornac_tables)


def _fit(model: Any, matrix: Any) -> Any:
  if type(model).__module__.startswith("implicit"):
    model.fit(matrix, show_progress=False)
  else:
    model.fit(matrix)
  return model


def _implicit_tables(model: Any) -> Tables:
  # The last column of a BPR model is the items' bias, with ones for users.
  return model.user_factors, model.item_factors


def _cornac_tables(model: Any) -> Tables:
  ones = np.ones((len(model.u_factors), 1), np.float32)
  bias = np.asarray(model.i_biases, np.float32)[:, None]
  return (
    np.concatenate([model.u_factors, ones], axis=1),
    np.concatenate([model.i_factors, bias], axis=1),
  )


def _cells(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
  indptr, items = data.history("train")
  users = np.repeat(np.arange(data.num_users, dtype=np.int32), np.diff(indptr))
  return users, items


def _csr(data: Dataset) -> scipy.sparse.csr_matrix:
  users, items = _cells(data)
  shape = data.num_users, data.num_items
  ones = np.ones(len(users), np.float32)
  return scipy.sparse.csr_matrix((ones, (users, items)), shape=shape)
