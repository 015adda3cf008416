"""The Complete Journey: households of whom one purchase is known.

  python scripts/reproduce.py --table=new_users_1

As new_users_3. Half an hour on 2 CPU cores.
"""

import pathlib
import runpy

_TABLE = pathlib.Path(__file__).with_name("new_users_3.py")


def get_table():
  """The table of three purchases, with settings of its own."""
  return runpy.run_path(str(_TABLE))["get_table"](
    known=1, word="one purchase", ridge="l2=400.0"
  )
