"""Bad input: one line that says what, where and what to do; nothing written."""

import hashlib
import json
import os
import pathlib
import re
import shutil

import programs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

CONFIGS = programs.ROOT / "configs" / "recommend"
HEADER = "user,item,time\n"
GRID = "".join(f"u{u},i{i},{9 * i + u}\n" for u in range(9) for i in range(12))
TWICE = GRID + "".join(
  f"u{u},i{i},{999 + i}\n" for u in range(9) for i in range(12)
)
TRAINING = "epochs=2,batch_size=32,"
OPTIONS = f"dataset=,{TRAINING}data.k_core=0,evaluation.ks=(2,5)"
# What may come before the error: the counts after each step of a preparation.
PROGRESS = re.compile(r"split: \w+|[^:]+: [\d,]+ (interactions|users)(, .*)?")


def bpr(options: str = "") -> tuple[str, ...]:
  """Arguments of a run that would succeed, but for the options given."""
  return _command("bpr", options, OPTIONS)


def closed_form(name: str, options: str = "") -> tuple[str, ...]:
  """The same for a model without epochs and batches."""
  return _command(name, options, OPTIONS.replace(TRAINING, ""))


def _command(name: str, options: str, usual: str) -> tuple[str, ...]:
  # Of an option given twice the last counts.
  arg = f"{usual},{options}".strip(",")
  return (f"--config={CONFIGS}/{name}.py:{arg}", "--config.data.path=log.csv")


def snapshot(folder: pathlib.Path) -> dict[str, str]:
  """Everything below a folder: path -> hash, or "" for directories."""
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    if path.is_file()
    else ""
    for path in folder.rglob("*")
  }


def refused(folder, script, *arguments, says):
  """Runs a program that must fail as promised; returns its error."""
  before = snapshot(folder)
  done = programs.run(script, *arguments, cwd=folder)
  *others, error = done.stderr.splitlines() or [""]
  assert done.status == 1, done
  assert error.startswith("error: "), done.stderr
  assert all(PROGRESS.fullmatch(line) for line in others), done.stderr
  for words in [says] if isinstance(says, str) else says:
    assert words in error, error
  assert len(error) < 400, error
  assert snapshot(folder) == before
  return error


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "log.csv").write_text(HEADER + GRID)
  return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
  """A finished run: log.csv and run/; the arguments that made it work."""
  folder = tmp_path_factory.mktemp("trained")
  (folder / "log.csv").write_text(HEADER + GRID)
  done = programs.run("train", *bpr(), "--workdir=run", cwd=folder)
  assert done.status == 0, done.stderr
  assert {"test/ndcg@2", "test/ndcg@5"} <= json.loads(done.stdout).keys()
  return folder


@pytest.fixture
def run(trained, tmp_path):
  """A copy of the finished run, to be damaged; its folder is the cwd."""
  shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
  return tmp_path / "run"


OPTION_CASES = {
  # options of bpr.py -> words of the error
  "sed=1": "no option 'sed'; did you mean seed?",
  "attack.epslon=1": "did you mean attack.epsilon?",
  "epochs": "'epochs' has no value",
  "epochs=many": ("epochs=many", "expected a int like 40"),
  "epochs=2.5": "epochs=2.5",
  "epochs=0": ("epochs=0", "at least 1"),
  "epochs=-3": ("epochs=-3", "at least 1"),
  "batch_size=0": ("batch_size=0", "at least 1"),
  "evaluate_every=-1": ("evaluate_every=-1", "at least 0"),
  "checkpoint_every=0": ("checkpoint_every=0", "at least 1"),
  "model.dim=0": ("model.dim=0", "at least 1"),
  "learning_rate=0": ("learning_rate=0", "above 0"),
  "learning_rate=-0.1": ("learning_rate=-0.1", "above 0"),
  "learning_rate=1e999": ("learning_rate=inf", "finite"),
  "optimizer=adamm": ("optimizer='adamm'", "adagrad, adam or sgd"),
  "l2=-1": ("l2=-1", "at least 0"),
  "seed=-1": ("seed=-1", "at least 0"),
  "fit=trian": ("fit='trian'", "train or train+validation"),
  "attack.name=fgmm": ("attack.name='fgmm'", "none, fgm, fgsm, pgd"),
  "attack.name=fgmm,attack.epsilon=0": "attack.name='fgmm'",
  "attack.name=fgm,attack.epsilon=-1": ("attack.epsilon=-1", "at least 0"),
  "attack.name=pgd,attack.steps=0": ("attack.steps=0", "at least 1"),
  "attack.name=pgd,attack.norm=l3": ("attack.norm='l3'", "l2 or linf"),
  "evaluation.ks=()": "evaluation.ks=()",
  "evaluation.ks=(0)": "evaluation.ks=(0,)",
  "evaluation.ks=(5,2.5)": "evaluation.ks=(5, 2.5)",
  "evaluation.ks=(5,13)": ("13", "the catalogue of 12 items", "(5,)"),
  "evaluation.user_block=0": "evaluation.user_block=0",
  "evaluation.robustness=(-1)": "evaluation.robustness=(-1,)",
  "dataset=movilens_100k": "did you mean movielens_100k?",
  "data.split=temporary": "split 'temporary' is not one of temporal",
  "data.split=given": "use feedback='all' and k_core=0",
  "data.test_fraction=1.5": "test_fraction is 1.5",
  "data.k_core=some": ("data.k_core=some", "expected a int"),
  "data.k_core=99": ("nothing is left", "99-core", "ask for less"),
  "data.min_value=3": ("min_value needs a value", "value=COLUMN"),
  "data.prepared=gone": ("gone: no such directory", "prepare_data.py"),
  "experiment=adv_rec.experiments.recommend.gan": "names no builder",
}


@pytest.mark.parametrize("options", OPTION_CASES)
def test_option(folder, options):
  says = OPTION_CASES[options]
  refused(folder, "train", *bpr(options), "--workdir=run", says=says)


FLAG_CASES = {
  ("--workdir=run",): "--config",
  ("--config=gone.py", "--workdir=run"): "No such file or directory: 'gone.py'",
  ("--config=log.csv", "--workdir=run"): ("--config", "log.csv, line 1"),
  bpr(): "--workdir=DIR is missing",
  (*bpr("dataset=completejourney"), "--workdir=run"): (
    "data.path=log.csv is a file",
    "leave the dataset empty",
  ),
  (*bpr(), "--workdri=run"): "Unknown command line flag 'workdri'",
  (*bpr(), "--workdir=run", "more"): "unexpected argument 'more'",
  (*bpr(), "--workdir=run", "--mode=tpu"): ("--mode=tpu", "jit|pmap"),
  (*bpr(), "--workdir=run", "--model_parallel=3"): "1 devices cannot be split",
  (*bpr(), "--workdir=run", "--config.sed=1"): "'sed'; did you mean seed?",
  (*bpr(), "--workdir=run", "--config.epochs=many"): "--config.epochs=many",
  (*bpr(), "--workdir=run", "--config.data.k_core=some"): "data.k_core=some",
  (*bpr(), "--workdir=run", "--config.data.x.y=1"): "no option 'x'",
  (*bpr(), "--workdir=run", "--config.learning_rate=nan"): "learning_rate=nan",
  (*bpr(), "--workdir=run", "--config.evaluation.ks=abc"): "evaluation.ks=",
  (*bpr(), "--workdir=run", "--config.data.columns=user"): "write role=column",
  (*closed_form("ease", "l2=-5"), "--workdir=run"): ("l2=-5", "above 0"),
  (*bpr(), "--workdir=log.csv"): "log.csv is not a directory",
  (*bpr(), "--workdir=log.csv/run"): "log.csv is a file",
  (*bpr(), "--workdir=/proc/adv_rec/run"): "/proc",
}


@pytest.mark.parametrize("arguments", FLAG_CASES, ids=lambda a: " ".join(a[1:]))
def test_flag(folder, arguments):
  refused(folder, "train", *arguments, says=FLAG_CASES[arguments])


LOG_CASES = {
  "empty file": ("", ("log.csv is empty",)),
  "header only": (HEADER, ("log.csv has no rows",)),
  "blank first line": ("\n" + GRID, ("log.csv has no header",)),
  "missing column": (
    "user,itm,time\n" + GRID,
    ("log.csv has no column 'item'", "did you mean 'itm'?"),
  ),
  "column twice": ("user,item,item,time\n", ("more than one column 'item'",)),
  "NaN id": (HEADER + GRID + "NaN,i1,3\n", ("'user' (user)", "row 109")),
  "no time": (HEADER + GRID + "u1,i1,\n", ("'time' (time)", "row 109")),
  "time as free text": (
    HEADER + "u1,i1,last Tuesday\n" * 3,
    ("'time' (time) holds 'last Tuesday' in row 1", "ISO 8601"),
  ),
  "not UTF-8": (
    (HEADER + "Jörg,i1,3\n").encode("latin-1") + GRID.encode(),
    ("log.csv", "UTF-8"),
  ),
  "binary": (b"\x00\x01\x02\xff" * 99, ("log.csv", "save it as UTF-8")),
  "one user": (HEADER + "u1,i1,1\nu1,i2,2\nu1,i3,3\n", ("a single user",)),
  "one item": (HEADER + "u1,i1,1\nu2,i1,2\nu3,i1,3\n", ("a single item",)),
  "all rows alike": (HEADER + "u1,i1,1\n" * 50, ("a single user",)),
  "one row each": (
    HEADER + "u1,i1,1\nu2,i2,2\n",
    ("without a training row", "k_core"),
  ),
}


@pytest.mark.parametrize("case", LOG_CASES)
def test_log(folder, case):
  text, says = LOG_CASES[case]
  data = text.encode() if isinstance(text, str) else text
  (folder / "log.csv").write_bytes(data)
  refused(folder, "train", *bpr(), "--workdir=run", says=says)


def test_log_is_not_there(folder):
  (folder / "log.csv").unlink()
  says = "no file is at log.csv"
  refused(folder, "train", *bpr(), "--workdir=run", says=says)


def test_everybody_has_everything(folder):
  (folder / "log.csv").write_text(HEADER + TWICE)
  says = ("has interacted with all 12 items", "drop such users")
  arguments = bpr("data.feedback=all")
  refused(folder, "train", *arguments, "--workdir=run", says=says)


def test_broken_parquet(folder):
  table = pa.table({"user": [1, 2], "item": [1, 2], "time": [1, 2]})
  pq.write_table(table, folder / "log.parquet")
  whole = (folder / "log.parquet").read_bytes()
  (folder / "log.parquet").write_bytes(whole[: len(whole) // 2])
  arguments = (bpr()[0], "--config.data.path=log.parquet", "--workdir=run")
  says = "log.parquet is not a readable Parquet file"
  refused(folder, "train", *arguments, says=says)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(folder):
  (folder / "closed").mkdir(mode=0o500)
  arguments = (*bpr(), "--workdir=closed/run")
  refused(folder, "train", *arguments, says="no permission")


def test_new_workdir_in_new_directories_disappears(folder):
  arguments = (*bpr("data.k_core=99"), "--workdir=a/b/run")
  done = programs.run("train", *arguments, cwd=folder)
  assert done.status == 1
  assert not (folder / "a" / "b" / "run").exists()


def test_empty_workdir_stays_empty(folder):
  (folder / "run").mkdir()
  refused(folder, "train", *bpr("epochs=0"), "--workdir=run", says="epochs=0")


def test_a_corrected_command_succeeds_in_the_same_workdir(folder):
  """Otherwise the failed one has left a config that refuses it."""
  says = "evaluation.ks"
  wrong = closed_form("popularity", "evaluation.ks=(99)")
  refused(folder, "train", *wrong, "--workdir=run", says=says)
  right = closed_form("popularity")
  done = programs.run("train", *right, "--workdir=run", cwd=folder)
  assert done.status == 0, done.stderr


def test_workdir_of_another_config(run):
  says = ("another config", "seed", "choose another workdir")
  refused(run.parent, "train", *bpr("seed=1"), "--workdir=run", says=says)


def test_workdir_with_foreign_files(folder):
  (folder / "run").mkdir()
  (folder / "run" / "thesis.tex").write_text("years of work")
  says = ("run holds other files", "empty or new directory")
  refused(folder, "train", *bpr(), "--workdir=run", says=says)


@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_damaged_json(run, name):
  (run / name).write_text((run / name).read_text()[:50])
  says = (name, "damaged")
  refused(run.parent, "train", *bpr(), "--workdir=run", says=says)


def cut(data: bytes) -> bytes:
  return data[: len(data) // 2]


def flip(data: bytes) -> bytes:
  """One bit in the middle, as a bad disk does; no reader need notice."""
  middle = len(data) // 2
  return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_checkpoint(run, damage):
  """The parameters are the largest file; training and evaluation refuse it."""
  files = [p for p in (run / "checkpoints").rglob("*") if p.is_file()]
  largest = max(files, key=lambda path: path.stat().st_size)
  largest.write_bytes(damage(largest.read_bytes()))
  says = ("checkpoints/4", "damaged", largest.name, "use another workdir")
  refused(run.parent, "evaluate", "--workdir=run", says=says)
  (run / "result.json").unlink()
  refused(run.parent, "train", *bpr(), "--workdir=run", says=says)


@pytest.mark.parametrize("file", ["train.parquet", "dataset.json"])
def test_damaged_data_in_the_workdir(run, file):
  damaged = run / "data" / file
  damaged.write_bytes(damaged.read_bytes()[:-40])
  says = (file, "prepare")
  refused(run.parent, "evaluate", "--workdir=run", says=says)


def test_damaged_prepared_directory(run):
  """A new run refuses prepared data that is not what was written."""
  items = run / "data" / "items.parquet"
  items.write_bytes(items.read_bytes() + b"!")
  arguments = (*bpr("data.prepared=run/data"), "--workdir=new")
  says = ("items.parquet", "sha256 differs", "prepare the dataset again")
  refused(run.parent, "train", *arguments, says=says)
  items.unlink()
  refused(run.parent, "train", *arguments, says="items.parquet is missing")


EVALUATE_CASES = {
  (): "say which run: --workdir=DIR",
  ("--compare=run",): "give two workdirs",
  ("--compare=run,gone",): "gone",
  ("--workdir=gone",): "gone/config.json: no such file; is this a workdir?",
  ("--workdir=run", "--ks=five"): "--ks=five: expected numbers like 5,10,20",
  ("--workdir=run", "--ks=0"): "--ks=0",
  ("--workdir=run", "--ks=5,13"): "the catalogue of 12 items",
  ("--workdir=run", "--out=gone/x.json"): "gone is no directory",
}


@pytest.mark.parametrize("arguments", EVALUATE_CASES, ids=" ".join)
def test_evaluate(trained, arguments):
  refused(trained, "evaluate", *arguments, says=EVALUATE_CASES[arguments])


def test_evaluate_before_training(run):
  shutil.rmtree(run / "checkpoints")
  says = ("run has no checkpoint yet", "train first")
  refused(run.parent, "evaluate", "--workdir=run", says=says)


OWN = "--path=log.csv"
QUICKSTART_CASES = {
  ("--epochs=0", OWN): "--epochs=0",
  ("--epochs=soon", OWN): "--epochs=soon",
  ("--path=gone.csv",): "no file is at gone.csv",
  (OWN, "--columns=user=u"): "item",
  (OWN, "--columns=user=u,item=item"): "no column 'u'",
  (OWN, "--columns=customer"): "write role=column",
  (OWN, "--k_core=99"): "nothing is left",
  (OWN, "--k_core=-1"): "k_core is -1",
  (OWN, "--seed=-1"): "seed=-1",
  ("--dataset=ml-100k",): "no dataset is named 'ml-100k'",
}


@pytest.mark.parametrize("arguments", QUICKSTART_CASES, ids=" ".join)
def test_quickstart(folder, arguments):
  says = QUICKSTART_CASES[arguments]
  refused(folder, "quickstart", *arguments, "--out=run", says=says)


COLUMNS = "--columns=user=user,item=item,time=time"
PREPARE_CASES = {
  (OWN, COLUMNS, "--k_core=99"): "nothing is left",
  (OWN, COLUMNS, "--test_fraction=0"): "test_fraction is 0",
  (OWN, COLUMNS, "--split=weekly"): "--split=weekly",
  (OWN, "--columns=user=user,item=item,when=time"): "unknown role 'when'",
  (OWN, "--columns=user=user,item=user"): "one column two roles",
  (OWN, "--columns=user=user,item=item"): "needs a time",
  (OWN, "--dataset=completejourney"): "log.csv",
}


@pytest.mark.parametrize("arguments", PREPARE_CASES, ids=" ".join)
def test_prepare_data(folder, arguments):
  says = PREPARE_CASES[arguments]
  refused(folder, "prepare_data", *arguments, "--out=run", says=says)
