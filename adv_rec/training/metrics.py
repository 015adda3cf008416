"""Where metrics go: JSON lines, TensorBoard and a progress bar."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping

import tensorboardX
import tqdm


class MetricWriter:
  """Writes scalars by step; a resumed run continues the same files.

  Attributes:
    path: metrics.jsonl, one object a line: {"step", "wall_seconds", "values"}.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    first_step: int,
    last_step: int,
    progress: bool = True,
    watch: str = "",
  ):
    """Opens the files of a run.

    Args:
      workdir: directory of the run.
      first_step: where training (re)starts; what was written for later steps,
        by a process that died before its checkpoint, is cut off.
      last_step: where the progress bar ends.
      progress: whether to show a bar.
      watch: the metric to show beside the bar with the training losses.
    """
    self.path = workdir / "metrics.jsonl"
    kept = [row for row in read(self.path) if row["step"] <= first_step]
    temporary = self.path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
    os.replace(temporary, self.path)
    self._watch = watch
    self._shown: dict[str, str] = {}
    self._file = self.path.open("a")
    self._board = tensorboardX.SummaryWriter(
      str(workdir / "tensorboard"),
      purge_step=first_step + 1 if first_step else None,
    )
    self._bar = tqdm.tqdm(
      total=last_step,
      initial=first_step,
      unit="step",
      desc=workdir.name,
      disable=not progress,
      dynamic_ncols=True,
    )

  def write(
    self, step: int, wall_seconds: float, values: Mapping[str, float]
  ) -> None:
    """Writes one row everywhere."""
    row = {
      "step": step,
      "wall_seconds": round(wall_seconds, 3),
      "values": dict(values),
    }
    self._file.write(json.dumps(row) + "\n")
    self._file.flush()
    for name, value in values.items():
      self._board.add_scalar(name, value, step)
    self._bar.update(step - self._bar.n)
    self._shown |= {
      name.split("/", 1)[-1]: f"{value:.4f}"
      for name, value in values.items()
      if name.startswith("train/") or name == self._watch
    }
    self._bar.set_postfix(self._shown)

  def close(self) -> None:
    """Flushes and closes everything."""
    self._bar.close()
    self._board.close()
    self._file.close()


def read(path: pathlib.Path) -> list[dict]:
  """The rows of a metrics.jsonl, less a last line that a kill cut short."""
  if not path.exists():
    return []
  rows = []
  for line in path.read_text().splitlines():
    try:
      rows.append(json.loads(line))
    except json.JSONDecodeError:
      break
  return rows
