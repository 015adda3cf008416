r"""Hands on synthetic rows with what can be said of their privacy.

  python scripts/release.py --config=configs/release/adult.py --epsilon=3 \
    --delta=1e-5 --out=/tmp/release
  python scripts/release.py --verify=/tmp/release

Rows of a table, made-up users, or what made-up households do event by event:
see configs/release/. The folder gets data/ (Parquet and CSV), card.json,
card.html and verify.json, and appears when all of it is true. The run's own
files (rows, ledger, the whole audit) go to --workdir, which stays with you.
Killed, the same command goes on and spends nothing twice.

Exit status 1 and one line, without a folder, where the budget would be
exceeded, a column is unbounded or undeclared, the sampler does not match its
account, or an audit contradicts the claim.
"""

import pathlib

import cli
from absl import flags
from ml_collections import config_flags

from adv_rec.release import make, verify

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "File of a private experiment, with :option=value,..."
)
_EPSILON = flags.DEFINE_float("epsilon", None, "That may be spent.")
_DELTA = flags.DEFINE_float("delta", None, "That may be spent with it.")
_OUT = flags.DEFINE_string("out", "", "The folder to hand on.")
_WORKDIR = flags.DEFINE_string(
  "workdir", "", "Directory of the run, which stays with you; OUT.work if none."
)
_ROWS = flags.DEFINE_integer(
  "rows", 0, "To draw; 0: as many as were learnt from.", 0
)
_CSV = flags.DEFINE_bool("csv", True, "Write CSV beside Parquet.")
_FIGURES = flags.DEFINE_bool(
  "figures",
  True,
  "Put utility and attacks on the card. They are measured with real rows and"
  " without noise, outside of the guarantee; --nofigures keeps them in the"
  " workdir.",
)
_DROP = flags.DEFINE_list(
  "drop", [], "Columns of the source to leave out, unread and undeclared."
)
_EARLIER = flags.DEFINE_list(
  "earlier",
  [],
  "Ledgers of runs before this one on the same rows, which the budget pays too:"
  " those that chose its options, say.",
)
_ATTACKS = flags.DEFINE_integer("attacks", 1000, "Of the audit, each.", 10)
_PROGRESS = flags.DEFINE_bool("progress", True, "Show progress bars.")
_VERIFY = flags.DEFINE_string(
  "verify", "", "A released folder to recompute; nothing else is done."
)


def main():
  if _VERIFY.value:
    folder = pathlib.Path(_VERIFY.value)
    print(make.text(folder, verify.verify(folder)))
    print("verified: epsilon, hashes, rows, schema and page are as they say")
    return
  for flag in (_CONFIG, _EPSILON, _DELTA, _OUT):
    if not flag.value:
      raise ValueError(f"--{flag.name} is missing (see --help)")
  config, out = _CONFIG.value, pathlib.Path(_OUT.value)
  if "privacy" in config:  # any other is refused
    config.privacy.epsilon = _EPSILON.value
    config.privacy.delta = _DELTA.value
    config.privacy.earlier = tuple(_EARLIER.value)
  card = make.release(
    config,
    out,
    pathlib.Path(_WORKDIR.value or out.with_name(f"{out.name}.work")),
    make.Options(
      rows=_ROWS.value,
      csv=_CSV.value,
      figures=_FIGURES.value,
      drop=tuple(_DROP.value),
      attacks=_ATTACKS.value,
      progress=_PROGRESS.value,
    ),
  )
  print(make.text(out, card))


if __name__ == "__main__":
  cli.run(main)
