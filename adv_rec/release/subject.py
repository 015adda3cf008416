"""What a release is of: rows of a table, made-up users, their events."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.release.claims import Claim
from adv_rec.types import State


class Options(NamedTuple):
  """What of a release is no option of its experiment.

  Attributes:
    rows: to draw; 0: as many as were learnt from.
    csv: whether to write CSV beside Parquet.
    figures: whether what is measured with real rows may travel.
    drop: columns of the source that need not be declared, since nobody reads
      them.
    attacks: of the audit, see `experiments.audit.audit`.
    confidence: of the audit's intervals and bounds.
    progress: whether to show bars.
  """

  rows: int = 0
  csv: bool = True
  figures: bool = True
  drop: tuple[str, ...] = ()
  attacks: int = 1000
  confidence: float = 0.99
  progress: bool = True


def check_log(options: Options, rows: str) -> None:
  """Refuses options that mean nothing where a log was learnt from.

  Args:
    options: of the release.
    rows: what to do instead of asking for a number of rows.

  Raises:
    ValueError: one of them is set.
  """
  if options.rows:
    raise ValueError(f"--rows={options.rows}: {rows}")
  if options.drop:
    raise ValueError(
      f"--drop={','.join(options.drop)}: of a log only the columns of"
      " data.columns are read; leave the flag out"
    )


class Subject(NamedTuple):
  """What a release is of; all else of a release does not know the difference.

  Attributes:
    name: of its files.
    units: what was learnt from, in a word: "rows", "users", "households".
    made_up: (folder, name, whether of half of what may occur) -> the config of
      a run on units that are nobody's, which are written to the folder.
    shown: (experiment, state, workdir) -> rows as such a run would release.
    declared: workdir -> what is declared of the rows (`release.declares`);
      nothing of it is learnt from them.
    learnt: result of a run -> units that were learnt from.
    rows: (workdir, how many are wanted) -> (how many there are, chunks).
    outside: (file of rows, workdir, result, claim) -> what is measured with
      real rows, without noise; raises ValueError where that contradicts the
      claim.
    free: what costs nothing -> why.
    limits: sentences on what is public, and on the noise.
    bound: how one unit is bounded, in a sentence; "": by a clip.
  """

  name: str
  units: str
  made_up: Callable[[pathlib.Path, str, bool], Config]
  shown: Callable[[Experiment, State, pathlib.Path], pa.Table]
  declared: Callable[[pathlib.Path], dict[str, Any]]
  learnt: Callable[[Mapping[str, Any]], int]
  rows: Callable[[pathlib.Path, int], tuple[int, Iterator[pa.Table]]]
  outside: Callable[
    [pathlib.Path, pathlib.Path, Mapping[str, Any], Claim], dict[str, Any]
  ]
  free: Mapping[str, str]
  limits: tuple[str, ...]
  bound: str = ""
