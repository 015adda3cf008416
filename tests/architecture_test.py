"""Which part may import which. The tables are the architecture; read them.

  types <- {data, models, losses, attacks, privacy} <- games <- training
        <- evaluation <- experiments <- release <- scripts

`training` plays any game and knows none: the loop gets players, batches and
evaluators as arguments. `report` reads the files that runs leave behind, so
it needs nothing of the code that made them.
"""

import ast
import functools
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Parts that know nothing of each other: any of them can be taken out and used
# alone. Only `types`, the contract between them, is common.
PARTS = {"models", "losses", "attacks", "privacy"}

# Room -> the rooms it may import, beside itself where it is a folder.
# "adv_rec" is the package itself, for its version and place.
ROOMS = {
  "adv_rec": set(),
  "types": set(),
  "data": {"adv_rec"},  # numpy and Ibis: knows no model
  **{part: {"types"} for part in PARTS},
  "games": {"types", *PARTS},
  "training": {"types"},
  "evaluation": {"types"},
  "report": set(),
}
ROOMS["experiments"] = ROOMS.keys() - {"report"}  # where all comes together
ROOMS["release"] = set(ROOMS)  # hands on what an experiment has made
ROOMS["configs"] = {"experiments"}
ROOMS["scripts"] = ROOMS.keys() - {"configs", "scripts"}

# Library -> the only places that may know it: folders or files.
LIBRARIES = {
  "absl": {"scripts"},
  "ml_collections": {
    "configs",
    "adv_rec/experiments",
    "scripts/train.py",
    "scripts/release.py",
  },
  "orbax": {"adv_rec/training/checkpoint.py"},
  "jax.sharding": {"adv_rec/training/parallel.py"},
  "jax.distributed": {"adv_rec/training/parallel.py"},
  "jax.experimental.multihost_utils": {"adv_rec/training/parallel.py"},
  "tensorboardX": {"adv_rec/training/metrics.py"},
  "ibis": {"adv_rec/data"},
  "duckdb": {"adv_rec/data"},
  "pyspark": {"adv_rec/data"},
  "matplotlib": {"adv_rec/report"},
  "jax_privacy": {"adv_rec/privacy"},
  "dp_accounting": {"adv_rec/privacy"},
  "mbi": {"adv_rec/privacy/estimation.py"},
  "optuna": {"adv_rec/experiments/space.py"},
}

# Rooms of the host: no accelerator, no compilation.
WITHOUT_JAX = ("data", "report")

LONGEST_FILE = 400  # lines; a file has one subject


def source_files():
  files = []
  for folder in ("adv_rec", "configs", "scripts"):
    files += sorted((ROOT / folder).rglob("*.py"))
  return [path.relative_to(ROOT) for path in files]


FILES = source_files()


def room(path: pathlib.Path) -> str:
  if path.parts[0] != "adv_rec":
    return path.parts[0]
  return path.with_suffix("").parts[1].replace("__init__", "adv_rec")


@functools.cache
def uses(path: pathlib.Path) -> set[str]:
  """Dotted names that a file imports, or reaches as attributes of modules.

  Imports inside functions count, and `jax.sharding.Mesh` in an annotation
  counts as much as `from jax.sharding import Mesh`.
  """
  return names_in(ast.parse((ROOT / path).read_text()), path)


def names_in(tree: ast.AST, path: pathlib.Path) -> set[str]:
  found, modules = set(), {}
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        found.add(alias.name)
        bound = alias.name if alias.asname else alias.name.split(".")[0]
        modules[alias.asname or bound] = bound
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, (
        f"{path}: write adv_rec.ROOM, not a relative import"
      )
      for alias in node.names:
        name = f"{node.module}.{alias.name}"
        found.add(name)
        modules[alias.asname or alias.name] = name
  for node in ast.walk(tree):
    parts = []
    while isinstance(node, ast.Attribute):
      parts.append(node.attr)
      node = node.value
    if parts and isinstance(node, ast.Name) and node.id in modules:
      found.add(".".join([modules[node.id], *reversed(parts)]))
  return found


def module_file(name: str) -> pathlib.Path:
  """The file of the longest prefix of a dotted name that is a module."""
  parts = name.split(".")
  while parts:
    base = pathlib.Path(*parts)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
      if (ROOT / path).is_file():
        return path
    parts.pop()
  raise AssertionError(f"{name} is no module of this repository")


def imported(path: pathlib.Path) -> set[pathlib.Path]:
  """The files of adv_rec that a file imports."""
  return {
    module_file(name) for name in uses(path) if name.split(".")[0] == "adv_rec"
  }


def test_every_room_has_its_rule():
  assert {room(path) for path in FILES} <= ROOMS.keys()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_one_way(path):
  own = room(path)
  for other in imported(path):
    assert room(other) in {*ROOMS[own], own}, (
      f"{path} imports {other}: {own} may import {sorted(ROOMS[own])}"
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_known_where_it_belongs(library):
  for path in FILES:
    if any(f"{name}.".startswith(f"{library}.") for name in uses(path)):
      assert any(path.is_relative_to(place) for place in LIBRARIES[library]), (
        f"{path} uses {library}, known only to {sorted(LIBRARIES[library])}"
      )


def test_the_rooms_of_the_host_do_without_jax():
  for path in FILES:
    if room(path) in WITHOUT_JAX:
      libraries = {name.split(".")[0] for name in uses(path)}
      assert not libraries & {"jax", "flax", "optax", "orbax"}, path


def test_no_import_runs_in_a_circle():
  graph = {path: imported(path) - {path} for path in FILES}
  done = set()

  def visit(path, trail):
    assert path not in trail, " -> ".join(map(str, [*trail, path]))
    if path not in done:
      for other in graph[path]:
        visit(other, [*trail, path])
      done.add(path)

  for path in FILES:
    visit(path, [])
  assert done == set(FILES)


def test_files_are_short():
  for path in FILES:
    lines = (ROOT / path).read_text().count("\n")
    assert lines <= LONGEST_FILE, f"{path} has {lines} lines: two subjects?"


def test_no_script_imports_a_script_but_the_common_start():
  scripts = {path.stem for path in FILES if room(path) == "scripts"}
  for path in FILES:
    names = {name.split(".")[0] for name in uses(path)} & scripts
    assert names <= ({"cli"} if room(path) == "scripts" else set()), path


def test_the_test_sees_what_it_should():
  """The rules would be worthless if uses() overlooked a way to import."""
  code = """
import jax, os.path as p
from jax.sharding import Mesh
import orbax.checkpoint as ocp
from adv_rec.data import dataset as d
def f(x: jax.sharding.NamedSharding):
  import absl.flags
  return d.load(ocp.args.X, p.join)
"""
  assert names_in(ast.parse(code), pathlib.Path("x.py")) >= {
    "jax.sharding.NamedSharding",
    "jax.sharding.Mesh",
    "orbax.checkpoint.args.X",
    "adv_rec.data.dataset.load",
    "absl.flags",
    "os.path.join",
  }
  assert module_file("adv_rec.data.dataset.load") == pathlib.Path(
    "adv_rec/data/dataset.py"
  )
