"""Eight CPU devices for every test, and small planted data on disk."""

import jax

jax.config.update("jax_num_cpu_devices", 8)

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

from adv_rec.data import planted, writer  # noqa: E402
from adv_rec.data.dataset import PARTS, Dataset  # noqa: E402

# Helpers with assertions; test modules import them as any other.
pytest.register_assert_rewrite("release_checks", "release_toy")


@pytest.fixture(scope="module")
def own_flags():
  """Flags that a program defines here leave with this module's tests.

  Flags are the process's, and every program has an --out.
  """
  known = set(flags.FLAGS)
  yield
  for name in set(flags.FLAGS) - known:
    delattr(flags.FLAGS, name)


@pytest.fixture(scope="session")
def planted_data() -> Dataset:
  """96 users of four tastes, 64 items, 8 + 2 + 2 interactions each."""
  return planted.dataset(groups=4)


@pytest.fixture(scope="session")
def prepared(planted_data, tmp_path_factory):
  """The same as a directory, for `config.data.prepared`."""
  directory = tmp_path_factory.mktemp("planted") / "data"
  kind = [None, "low", "high"] * (planted_data.num_users // 3)
  writer.write(
    directory,
    planted_data.name,
    {p: pa.table(getattr(planted_data, p)._asdict()) for p in PARTS},
    pa.table({"id": planted_data.users["id"], "kind": kind}),
    pa.table({"id": planted_data.items["id"]}),
    planted_data.protocol,
  )
  return directory


@pytest.fixture(scope="session")
def log(tmp_path_factory):
  """Interactions of four tastes as a CSV log with user, item and time."""
  path = tmp_path_factory.mktemp("log") / "log.csv"
  pairs = planted.tastes(groups=4, per_user=15)
  times = np.arange(len(pairs.user))
  rows = (f"u{u},i{i},{t}" for u, i, t in zip(*pairs, times, strict=True))
  path.write_text("\n".join(["user,item,time", *rows]) + "\n")
  return path
