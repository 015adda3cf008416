r"""Which settings of the peers are best on the validation part.

  python benchmarks/search.py --data=PREPARED_DIRECTORY

Prints, for each point of the grids, the best validation nDCG@10 and after how
many epochs it came. The constants in peers.py are the winners. Some minutes to
half an hour, by the data.
"""

from __future__ import annotations

import itertools
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as implicit advises

import contender
import peers
from absl import app, flags

from adv_rec.data import dataset

_DATA = flags.DEFINE_string("data", "", "A directory of prepare_data.py.")
_METHOD = flags.DEFINE_string("method", "", "Only this one, as implicit ALS.")
flags.mark_flag_as_required("data")

GRIDS = {
  "implicit ALS": {
    "factors": (16, 32, 64),
    "regularization": (1.0, 3.0, 10.0, 30.0),
    "alpha": (1.0, 10.0),
  },
  "implicit BPR": {
    "factors": (32, 64),
    "learning_rate": (0.01, 0.03, 0.1),
    "regularization": (0.003, 0.01, 0.03),
  },
  "cornac BPR": {
    "k": (32, 64),
    "learning_rate": (0.01, 0.03, 0.1),
    "lambda_reg": (0.003, 0.01, 0.03),
  },
}


def main(argv):
  """Prints a line for each point of the grids."""
  del argv
  data = dataset.load(_DATA.value)
  quality = contender.validation_quality(data)
  for method, grid in GRIDS.items():
    if _METHOD.value not in ("", method):
      continue
    for values in itertools.product(*grid.values()):
      settings = dict(zip(grid, values, strict=True))
      peer = peers.make(method, settings, data, os.cpu_count() or 1, seed=0)
      curve = contender.curve(peer, *peers.LOOKS[method], quality)
      epochs, ndcg = max(curve, key=lambda point: point[1])
      print(f"{method} {settings}: {ndcg:.4f} after {epochs}", flush=True)


if __name__ == "__main__":
  app.run(main)
