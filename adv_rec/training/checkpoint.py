"""Checkpoints: the whole state, written so that a kill never breaks one."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

from adv_rec.types import State

_HASHES = "sha256.json"


class Checkpoints:
  """Saves and restores states under one directory; keeps the newest ones.

  Orbax writes to a temporary name and renames at the end, so an interrupted
  save is never taken for a checkpoint. It does not notice every damage done
  later; the hashes that lie beside do.
  """

  def __init__(self, directory: pathlib.Path | str, keep: int = 2):
    self._manager = ocp.CheckpointManager(
      pathlib.Path(directory).absolute(),
      options=ocp.CheckpointManagerOptions(
        max_to_keep=keep, create=True, enable_async_checkpointing=False
      ),
    )

  def latest_step(self) -> int | None:
    """The step of the newest complete checkpoint, or None."""
    return self._manager.latest_step()

  def save(self, step: int, state: State, meta: dict[str, Any]) -> None:
    """Writes one checkpoint and waits until it is complete.

    Args:
      step: the state's step.
      state: what to write.
      meta: JSON values to keep beside it.
    """
    self._manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
      ),
    )
    self._manager.wait_until_finished()
    if jax.process_index() == 0:
      folder = pathlib.Path(self._manager.directory, str(step))
      temporary = folder / f"{_HASHES}.tmp"
      temporary.write_text(json.dumps(_hashes(folder), indent=2))
      temporary.replace(folder / _HASHES)

  def restore(self, like: State) -> tuple[State, dict[str, Any]]:
    """Reads the newest checkpoint.

    Args:
      like: arrays or shapes of the expected state, with their shardings; a
        checkpoint restores onto any number of devices.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: the checkpoint is damaged, or belongs to another game.
    """
    step = self.latest_step()
    if step is None:
      raise FileNotFoundError(
        f"no checkpoint in {self._manager.directory}; train first"
      )
    _verify(pathlib.Path(self._manager.directory, str(step)))
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    try:
      read = self._manager.restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(abstract),
          meta=ocp.args.JsonRestore(),
        ),
      )
    except (KeyError, TypeError, ValueError, OSError) as error:
      raise ValueError(
        f"checkpoint {self._manager.directory}/{step} does not fit this"
        f" config ({type(error).__name__}); use another workdir"
      ) from error
    return read["state"], read["meta"]

  def close(self) -> None:
    """Waits for pending work."""
    self._manager.close()


def _hashes(folder: pathlib.Path) -> dict[str, str]:
  return {
    path.relative_to(folder).as_posix(): _sha256(path)
    for path in sorted(folder.rglob("*"))
    if path.is_file() and path.name != _HASHES
  }


def _sha256(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(folder: pathlib.Path) -> None:
  """Raises ValueError where a file is not what was saved."""
  if not (folder / _HASHES).exists():
    return  # killed between the checkpoint and its hashes
  found = _hashes(folder)
  try:
    saved = dict(json.loads((folder / _HASHES).read_text("utf-8")))
  except (ValueError, TypeError):
    saved = {_HASHES: ""}
  for name, digest in saved.items():
    if found.get(name) != digest:
      raise ValueError(
        f"checkpoint {folder} is damaged ({name} is not what was saved);"
        " remove it to go on from the one before, or use another workdir"
      )
