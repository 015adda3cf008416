r"""Searches options of a config, such as its attack, by validation.

  python scripts/sweep.py \
    --config=configs/sentiment/cnn.py:dataset=rotten_tomatoes \
    --space=configs/sweeps/attack.py --trials=20 --out=/tmp/sweep

Needs pip install '.[sweep]'. Any config will do; options after the colon hold
for all trials. A space is a file that names options and what they may be; see
configs/sweeps/attack.py and adv_rec/experiments/space.py. The first trial is
plain training. Killed at any moment, the same command goes on; with more
--trials a finished sweep does.

OUT/trials/N are ordinary workdirs. OUT/sweep.json has all trials and
OUT/report.html shows them. Printed at the end is the command that trains the
best options on train and validation; the test part is not looked at to find
them.
"""

import pathlib

import cli
from absl import flags

from adv_rec.experiments import space, sweep
from adv_rec.report import sweep as report
from adv_rec.report import table

_CONFIG = flags.DEFINE_string(
  "config", "", "File that defines the experiment, with :option=value,..."
)
_SPACE = flags.DEFINE_string("space", "", "File that says what is tried.")
_TRIALS = flags.DEFINE_integer("trials", 20, "Runs in all.", 1)
_OUT = flags.DEFINE_string("out", "", "Directory of the sweep.")
_SEED = flags.DEFINE_integer(
  "seed", 0, "Of the proposals; that of the runs is an option of the config.", 0
)
_METRIC = flags.DEFINE_string(
  "metric", "", "validation/NAME; by default what the experiment watches."
)
_DIRECTION = flags.DEFINE_enum(
  "direction",
  "",
  ["", "maximize", "minimize"],
  "What is better; known of metrics that the reports know.",
)


def main():
  for flag in (_CONFIG, _SPACE, _OUT):
    if not flag.value:
      raise ValueError(f"--{flag.name} is missing (see --help)")
  out = pathlib.Path(_OUT.value)
  found = sweep.run(
    _CONFIG.value,
    space.load(_SPACE.value),
    out,
    _TRIALS.value,
    _SEED.value,
    _METRIC.value,
    _DIRECTION.value,
    lambda metric: table.metric(metric).better < 0,
  )
  page = out / "report.html"
  page.write_text(report.page(found), "utf-8")
  print(f"{report.text(found)}\n\nWritten to {page}")


if __name__ == "__main__":
  cli.run(main)
