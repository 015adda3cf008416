r"""Trains an experiment and writes its result.

  python scripts/train.py --config=configs/recommend/bpr.py --workdir=/tmp/bpr

Options of the config come after a colon, or as flags of their own:

  --config=configs/recommend/apr.py:dataset=movielens_100k,epochs=10
  --config.learning_rate=0.1

Your own log, CSV or Parquet (a glob works too):

  --config=configs/recommend/bpr.py:dataset= --config.data.path=sales.csv \
  --config.data.columns=user=customer,item=sku,time=day

The workdir gets config.json, data/, metrics.jsonl, tensorboard/, checkpoints/
and at the end result.json. Killed at any moment, the same command goes on from
the last checkpoint and ends with the same result.
"""

import json
import shlex
import sys

import cli
from absl import flags
from ml_collections import config_flags

from adv_rec.experiments import experiment
from adv_rec.training import parallel

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "File that defines the experiment, with :option=value,..."
)
_WORKDIR = flags.DEFINE_string("workdir", "", "Directory of this run.")
flags.mark_flag_as_required("config")
_MODE = flags.DEFINE_enum(
  "mode", "jit", ["jit", "pmap"], "How steps are compiled; jit unless you know."
)
_MODEL_PARALLEL = flags.DEFINE_integer(
  "model_parallel", 1, "Devices over which large tables are split by rows."
)
_PROGRESS = flags.DEFINE_bool("progress", True, "Show a progress bar.")
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  False,
  "One of several processes: give each the same command and its own --process,"
  " or on a cluster that JAX knows nothing more.",
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator", "", "host:port of process 0, with --distributed."
)
_PROCESSES = flags.DEFINE_integer("processes", 0, "How many processes.")
_PROCESS = flags.DEFINE_integer("process", -1, "Number of this one, from 0.")


def main():
  if not _WORKDIR.value:
    raise ValueError("--workdir=DIR is missing: where should the run go?")
  if _DISTRIBUTED.value:
    parallel.initialize_distributed(
      _COORDINATOR.value, _PROCESSES.value, _PROCESS.value
    )
  result = experiment.run(
    _CONFIG.value,
    _WORKDIR.value,
    _MODE.value,
    _MODEL_PARALLEL.value,
    _PROGRESS.value,
    shlex.join(["python", *sys.argv]),
  )
  print(json.dumps(result["metrics"], indent=2))


if __name__ == "__main__":
  cli.run(main)
