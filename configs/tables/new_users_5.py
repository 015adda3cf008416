"""The Complete Journey: households of whom five purchases are known.

  python scripts/reproduce.py --table=new_users_5

As new_users_3. Half an hour on 2 CPU cores.
"""

import pathlib
import runpy

_TABLE = pathlib.Path(__file__).with_name("new_users_3.py")


def get_table():
  """The table of three purchases, with settings of its own."""
  return runpy.run_path(str(_TABLE))["get_table"](
    known=5,
    word="five purchases",
    ridge="l2=200.0",
    generator="factors.l2=400.0",
    note="""The weights of FGM and of the critic are those chosen with three
      purchases known.""",
  )
