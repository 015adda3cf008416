"""Marginals that agree with each other, from noisy ones: `mbi`, apart.

Private-PGM (McKenna et al. 2019, arXiv:1901.09136): the graphical model whose
marginals are closest to noisy ones, in squares over their variances, by mirror
descent. It sees nothing but noisy tables, so that it costs nothing.

mbi needs JAX with 64 bits and many small programs, which everything else here
does without; so it runs in a process of its own, this file as a program.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

ITERATIONS = 500  # three times as many change no digit of a use


def available() -> bool:
  """Whether mbi is installed."""
  return importlib.util.find_spec("mbi") is not None


def estimate(
  sizes: Sequence[int],
  measured: Sequence[tuple[tuple[int, ...], np.ndarray, float]],
  rows: int,
  wanted: Sequence[tuple[int, ...]],
) -> list[np.ndarray]:
  """Marginals of one distribution that is close to all that was measured.

  Args:
    sizes: cells of each column.
    measured: (columns, noisy counts with an axis for each, deviation).
    rows: the sum of each table; public.
    wanted: columns of the marginals to return, in any order.

  Returns:
    Counts, an axis for each column.

  Raises:
    RuntimeError: the program failed.
  """
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    about = {
      "sizes": list(map(int, sizes)),
      "rows": rows,
      "wanted": [list(map(int, clique)) for clique in wanted],
      # Exact ones have no deviation; they then count alike.
      "measured": [[list(c), float(d) or 1.0] for c, _, d in measured],
    }
    (folder / "about.json").write_text(json.dumps(about))
    np.savez(folder / "given.npz", *(x for _, x, _ in measured))
    # -P: the files beside this one are no modules of the program.
    done = subprocess.run(
      [sys.executable, "-P", __file__, name],
      env={**os.environ, "JAX_PLATFORMS": "cpu"},
      capture_output=True,
      text=True,
      check=False,
    )
    if done.returncode:
      raise RuntimeError(f"mbi failed: {done.stderr[-2000:]}")
    with np.load(folder / "found.npz") as found:
      return [found[f"arr_{i}"] for i in range(len(wanted))]


def _main(folder: pathlib.Path) -> None:
  import jax

  jax.config.update("jax_enable_x64", True)
  jax.config.update("jax_enable_compilation_cache", False)
  import mbi

  about = json.loads((folder / "about.json").read_text())
  sizes = about["sizes"]
  domain = mbi.Domain(range(len(sizes)), sizes)
  with np.load(folder / "given.npz") as given:
    measured = [
      mbi.LinearMeasurement(given[f"arr_{i}"].ravel(), tuple(clique), deviation)
      for i, (clique, deviation) in enumerate(about["measured"])
    ]
  fitted = mbi.estimation.MirrorDescent().estimate(
    domain, measured, known_total=float(about["rows"]), iters=ITERATIONS
  )
  np.savez(
    folder / "found.npz",
    *(
      np.asarray(fitted.project(tuple(clique)).datavector(flatten=False))
      for clique in about["wanted"]
    ),
  )


if __name__ == "__main__":
  _main(pathlib.Path(sys.argv[1]))
