"""Every config builds on small data and plays a step; every table's runs do."""

import pathlib
import re

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest

from adv_rec.data import declared, tabular
from adv_rec.data.tabular import Column
from adv_rec.experiments import experiment, options, reproduce
from adv_rec.training import loop, parallel

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted(path.relative_to(ROOT) for path in ROOT.glob("configs/**/*.py"))
TABLES = [path for path in FILES if path.parts[1] == "tables"]
SWEEPS = [path for path in FILES if path.parts[1] == "sweeps"]
CONFIGS = [path for path in FILES if path not in (*TABLES, *SWEEPS)]
RELEASES = [path for path in CONFIGS if path.parts[1] == "release"]
# Options that a release sets, for its data, otherwise than its private config.
OTHERWISE = {
  "behaviour": {
    *("dataset", "fit", "top", "rank", "clusters"),
    *("model", "item_exponent", "l2"),
  },
  "events": {"model"},
}

# What makes a run small, where a config has the option.
SMALL = {
  "batch_size": 32,
  "epochs": 1,
  "model.dim": 4,
  "data.length": 8,
  "model.filters": 4,
  "privacy.accountant": "rdp",
  "most": 3,
  "base.dim": 4,
  "base.model.dim": 4,
  "candidates": 32,
  "model.length": 8,
  "model.hidden": 16,
  "model.latent": 4,
  "model.generator": (8,),
  "model.discriminator": (8,),
  "adversary.start": 0,
  "adversary.dim": 4,
  "adversary.penalty": 0.0,
}


@pytest.fixture(autouse=True, scope="module")
def items(prepared):
  """A table of the planted items, beside the data: their taste is known."""
  rows = [f"{item},k{item % 4}" for item in range(64)]
  prepared.with_name("items.csv").write_text("\n".join(["id,kind", *rows]))


@pytest.fixture(autouse=True, scope="module")
def table(prepared):
  """A declared table of three columns, beside the data."""
  kinds = ("a", "b", "c")
  schema = (
    *(Column(name, "category", "string", kinds) for name in ("income", "job")),
    Column("age", "integer", "int64", (), 17, 90),
  )
  tabular.save(prepared.with_name("table.json"), schema)
  rows = declared.made_up(schema, 200, 0, narrow=False)
  pq.write_table(rows, prepared.with_name("table.parquet"))


@pytest.fixture(autouse=True, scope="module")
def clicks(prepared):
  """Rows of clicks with a history, beside the data."""
  rows = [f"{n % 2},u{n % 5},i{n % 7},i1|i{n % 3}" for n in range(400)]
  text = "\n".join(["label,user,item,before", *rows])
  prepared.with_name("clicks.csv").write_text(text)


@pytest.fixture(autouse=True, scope="module")
def customers(prepared):
  """Customers with a number and whether they have children."""
  rows = [f"{n},{n % 7},{n % 2}" for n in range(100)]
  text = "\n".join(["id,tea,children", *rows])
  prepared.with_name("customers.csv").write_text(text)


def load(path, prepared=None, **changes):
  config = options.load(ROOT / path)
  present = dict(options._leaves(config))
  if prepared and "data.prepared" in present:
    changes |= {"dataset": "", "data.prepared": str(prepared)}
  if prepared and "data.items" in present:
    changes["data.items"] = str(prepared.with_name("items.csv"))
  if prepared and "data.schema" in present:
    changes["data.path"] = str(prepared.with_name("table.parquet"))
    changes["data.schema"] = str(prepared.with_name("table.json"))
  if prepared and "segment" in present:
    changes["segment"] = "kind"
  if prepared and "attribute" in present:
    changes["attribute"] = "kind"
  if prepared and "data.id" in present:
    own = prepared.with_name("customers.csv")
    changes |= {"dataset": "", "data.path": str(own)}
  if prepared and "data.columns.candidate" in present:
    changes["data.prepared"] = ""
    changes["data.path"] = str(prepared.with_name("clicks.csv"))
    columns = {"categories": "user+item", "history": "before"}
    columns["candidate"] = "item"
    changes |= {f"data.columns.{n}": value for n, value in columns.items()}
  changes |= {n: str(v) for n, v in SMALL.items() if n in present}
  arg = ",".join(f"{name}={value}" for name, value in changes.items())
  return options.load(ROOT / path, arg)


def docstring(path):
  return (ROOT / path).read_text().split('"""')[1]


@pytest.mark.parametrize(
  "path", [path for path in CONFIGS if path not in RELEASES], ids=str
)
def test_a_config_builds_and_plays_a_step(path, prepared, tmp_path):
  config = load(path, prepared)
  try:
    built = experiment.build(config, tmp_path)
  except FileNotFoundError as error:
    pytest.skip(str(error))
  mesh = parallel.make_mesh(1, jax.devices()[:1])
  state = loop.train(
    built.game,
    built.batches,
    loop.Schedule(steps=min(built.schedule.steps, 1)),
    tmp_path,
    config.seed,
    mesh=mesh,
    progress=False,
  )
  leaves = jax.tree.leaves(jax.device_get(state.params))
  assert all(np.isfinite(x).all() for x in leaves)
  if built.schedule.steps:
    assert state.step == 1
    before = loop.init_state(built.game, jax.random.key(config.seed)).params
    for player in built.game:
      old, new = (jax.tree.leaves(p[player]) for p in (before, state.params))
      changed = [np.any(a != b) for a, b in zip(old, new, strict=True)]
      assert any(changed), f"the step left {player} as it was"


@pytest.mark.parametrize("path", RELEASES, ids=str)
def test_a_release_is_of_a_private_config_that_builds(path):
  private = load(pathlib.Path("configs", "private", path.name)).to_dict()
  released = load(path).to_dict()
  of_its_own = {"title", "release"} | OTHERWISE.get(path.stem, set())
  assert released.keys() - private.keys() <= of_its_own
  assert all(released[n] == private[n] for n in private.keys() - of_its_own)


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_a_config_says_how_to_run_it(path):
  commands = [
    line.split() for line in docstring(path).splitlines() if "train.py" in line
  ]
  assert commands
  for python, script, config, workdir in commands:
    assert (python, script) == ("python", "scripts/train.py")
    file, _, arg = config.removeprefix("--config=").partition(":")
    assert pathlib.Path(file) == path
    options.load(ROOT / file, arg)  # its options exist
    assert re.fullmatch(r"--workdir=/tmp/\w+", workdir)


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_a_config_is_complete(path):
  config = options.load(ROOT / path)
  assert config.name and config.title
  assert config.name == path.stem
  assert options.load(ROOT / path, "seed=7").seed == 7
  with pytest.raises(ValueError, match="no option 'sed'; did you mean seed"):
    options.load(ROOT / path, "sed=7")


@pytest.mark.parametrize("path", TABLES, ids=str)
def test_a_table_is_made_of_configs_with_options_that_exist(path):
  assert f"--table={path.stem}" in docstring(path)
  table = reproduce.load(ROOT / path)
  for run in table["runs"]:
    assert pathlib.Path(run["config"]) in CONFIGS
    config = options.load(ROOT / run["config"], run.get("options", ""))
    # What a table reports is computed.
    for metric in table["metrics"]:
      _, at, k = metric.partition("@")
      assert not at or int(k) in config.evaluation.ks
