"""How our programs start and fail: `cli.run(main)`."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags
from absl import logging as absl_logging

_HELP = {"--help", "-help", "-h", "--helpshort", "-helpshort"}


def run(main: Callable[[], None]) -> NoReturn:
  """Parses the flags, runs main, and exits.

  What a user can put right (an unknown flag, a missing file, bad data) ends
  in one line on stderr, `error: ...`, and exit status 1; any other exception
  is a fault of ours and shows its traceback.

  Args:
    main: the program; it reads its flags itself.
  """
  _log_to_stderr()

  def guarded(argv: Sequence[str]) -> None:
    if len(argv) > 1:
      _fail(f"unexpected argument {argv[1]!r}; options are --name=value")
    try:
      main()
    except (ValueError, OSError, FloatingPointError) as error:
      _fail(_message(error))

  app.run(guarded, flags_parser=_parse)
  sys.exit(0)


def _log_to_stderr() -> None:
  """Our own progress in plain lines; of others only what goes wrong."""
  logger = logging.getLogger("adv_rec")
  handler = logging.StreamHandler()
  handler.setFormatter(logging.Formatter("%(message)s"))
  logger.addHandler(handler)
  logger.setLevel(logging.INFO)
  logger.propagate = False
  absl_logging.set_verbosity(absl_logging.WARNING)


def _parse(argv: Sequence[str]) -> list[str]:
  if _HELP.intersection(argv[1:]):
    app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
  try:
    return flags.FLAGS(list(argv))
  except flags.Error as error:
    _fail(f"{_last_line(str(error))} (see --help)")
  except Exception as error:  # ml_collections lets these through
    where = traceback.extract_tb(error.__traceback__)[-1]
    if "ml_collections" in where.filename:
      _fail(f"--config has no option {_option(str(error))} (see --help)")
    _fail(
      f"--config: {type(error).__name__}: {error} ({where.filename}, line"
      f" {where.lineno})"
    )


def _option(message: str) -> str:
  r"""'sed' out of: 'sed'\nDid you mean "seed" instead of "sed"?"""
  name, *_ = re.findall(r"\w+", message)
  close = re.search(r'mean "(\w+)"', message)
  return repr(name) + (f"; did you mean {close[1]}?" if close else "")


def _last_line(message: str) -> str:
  """The message, or what is at the bottom of a traceback inside it.

  A config file that raises is reported by ml_collections with its traceback,
  one that is not there with all the places where it was looked for.
  """
  last = message.strip().splitlines()[-1]
  if "Failed loading config file" in message:
    return f"--config: {last.partition('] ')[-1]}"
  if "Traceback (most recent call last)" in message:
    return last.partition("Error: ")[-1]
  return message


def _message(error: Exception) -> str:
  if isinstance(error, OSError) and error.strerror:
    place = f"{error.filename}: " if error.filename else ""
    return place + error.strerror
  return str(error)


def _fail(message: str) -> NoReturn:
  sys.exit("error: " + " ".join(message.split()))
