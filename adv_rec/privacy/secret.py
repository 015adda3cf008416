"""The secret of a private run: what its noise and its samples are drawn from.

Who knows the noise can take it off again, and who knows which units were in
which batch has no use of the sampling; so neither may follow from the seed of
the run, which its config, checkpoints and result tell. Both come from 32 bytes
of the system's entropy.

They must live as long as the run does: killed and started again, a run replays
the steps since its last checkpoint, and with other noise these would be spent
twice. So they are kept beside the training data, readable by their owner only,
until the run has ended; `forget` then takes them away. No checkpoint, config,
log or result holds them; the ledger holds their digest, by which it knows the
run again. A run whose secret is lost before its end cannot go on.
"""

from __future__ import annotations

import hashlib
import os
import pathlib

import numpy as np

BYTES = 32


def keep(path: pathlib.Path) -> bytes:
  """The secret at a path, drawn if there is none.

  Raises:
    ValueError: the file is damaged.
  """
  if not path.exists():
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
      os.write(file, os.urandom(BYTES))
      os.fsync(file)
    finally:
      os.close(file)
    os.replace(temporary, path)
  found = path.read_bytes()
  if len(found) != BYTES:
    raise ValueError(
      f"{path} is damaged: {len(found)} bytes, not {BYTES}; the run cannot go"
      " on without spending twice: begin a new one"
    )
  return found


def need(path: pathlib.Path) -> None:
  """Raises ValueError if a run asks for noise and its secret is gone."""
  if not path.exists():
    raise ValueError(
      f"{path} is gone: this run has ended, and cannot go on without spending"
      " twice; begin a new one"
    )


def forget(path: pathlib.Path) -> None:
  """Overwrites and removes the secret, as far as the file system lets us."""
  if path.exists():
    with path.open("r+b") as file:
      file.write(bytes(BYTES))
      file.flush()
      os.fsync(file.fileno())
    path.unlink()


def digest(secret: bytes) -> str:
  """What the ledger knows a secret by; says nothing of it."""
  return hashlib.blake2b(secret, digest_size=16, person=b"ledger").hexdigest()


def generator(secret: bytes, purpose: bytes) -> np.random.Generator:
  """Draws for one purpose: another stream for each, the same each time."""
  found = hashlib.blake2b(purpose, key=secret, digest_size=32).digest()
  return np.random.default_rng(int.from_bytes(found))
