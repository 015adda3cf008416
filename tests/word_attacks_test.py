"""Attacks on words in whole runs: training on copies, evaluation, script."""

import json
import pathlib

import numpy as np
import programs
import pytest

from adv_rec.experiments import experiment, options, word_attacks

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMALL = (
  "dataset=,model.dim=8,model.filters=6,model.widths=(2,),data.length=8,"
  "batch_size=32,evaluation.block=64"
)


MEASURED = (
  'evaluation.words=("noise",),evaluation.robustness=0.5,'
  'evaluation.attacks=("fgm","random")'
)


def train(folder, seed, more=""):
  config = options.load(
    ROOT / "configs/sentiment/cnn.py",
    f"{SMALL},data.path={folder / 'reviews.csv'},fit=train+validation,"
    f"epochs=4,learning_rate=0.03,seed={seed},augment.name=noise,"
    f"augment.share=0.5,{more}",
  )
  experiment.run(config, folder / str(seed), progress=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """A run, 0, on reviews whose label one word says."""
  folder = tmp_path_factory.mktemp("runs")
  rng = np.random.default_rng(0)
  said = {"bad": ("poorly", "broken"), "good": ("finely", "lovely")}
  fill = ["cups", "mugs", "pots", "jars", "lids", "pans", "boxes", "bags"]
  rows = ["text,label"]
  for n in range(400):
    label = ("bad", "good")[n % 2]
    words = [*rng.choice(fill, 4), said[label][rng.integers(2)]]
    rows.append(f"{' '.join(rng.permutation(words))} {n},{label}")
  (folder / "reviews.csv").write_text("\n".join(rows))
  train(folder, 0, MEASURED)
  return folder


@pytest.fixture(scope="module")
def other(runs):
  """The folder of another seed's run on the same reviews."""
  train(runs, 1)
  return runs / "1"


def test_a_result_has_what_words_and_embeddings_do(runs):
  result = json.loads((runs / "0" / "result.json").read_text())
  assert result["metrics"]["test/accuracy"] > 0.95
  (row,) = result["words"]
  assert row["attack"] == "noise" and row["part"] == "test"
  assert row["clean_accuracy"] == result["metrics"]["test/accuracy"]
  assert row["accuracy"] == result["metrics"]["test/noise"]
  assert row["queries"] == 8.0  # evaluation.tries
  assert 0 < row["changed"] <= 0.2 + 1e-9  # one word of five or six
  moved = [r for r in result["robustness"] if r["relative_epsilon"] == 0.5]
  assert [r["attack"] for r in moved] == ["fgm", "random"]
  assert all(r["metric"] == "accuracy" for r in moved)


def test_copies_of_training_texts_are_kept_with_the_run(runs):
  texts, labels = word_attacks.read(runs / "0", "train")
  assert len(texts) == len(labels) == 320  # the copies are none of them
  found = experiment.restore(runs / "0")[0]
  learnt = found.task.parts["train"]["label"]
  assert 400 < len(learnt) < 560
  copied = learnt[320:]
  assert 0.3 < copied.mean() < 0.7


def test_copies_are_a_function_of_the_seed():
  config = options.load(
    ROOT / "configs/sentiment/cnn.py", "augment.name=noise,augment.share=1.5"
  )
  texts = ["some longer words", "others of them"] * 20
  labels = np.arange(40) % 2
  one, codes = word_attacks.augment(config, texts, labels, "en")
  assert (one, codes.tolist()) == (
    word_attacks.augment(config, texts, labels, "en")[0],
    codes.tolist(),
  )
  assert 50 < len(one) < 70
  for text, code in zip(one, codes, strict=True):
    assert text not in texts
    assert text.startswith("s") == (code == 0)


def test_what_is_found_on_the_run_itself_transfers_whole(runs):
  run = runs / "0"
  rows = word_attacks.of_run(run, ["noise"], "test", 8, transfer=run)
  assert rows == json.loads((run / "result.json").read_text())["words"]


@pytest.mark.slow
def test_the_script_attacks_words_through_another_run(runs, other, tmp_path):
  out = tmp_path / "words.json"
  done = programs.run(
    "attack",
    f"--workdir={runs / '0'}",
    "--words=noise",
    "--tries=8",
    f"--transfer={other}",
    f"--out={out}",
    cwd=tmp_path,
  )
  assert done.status == 0, done.stderr
  assert done.stdout.count("\n") == 2
  (moved,) = json.loads(out.read_text())["words"]
  (own,) = json.loads((runs / "0" / "result.json").read_text())["words"]
  assert moved["clean_accuracy"] == own["clean_accuracy"]
  assert moved["success"] <= own["success"]


@pytest.mark.slow
def test_the_script_moves_embeddings_as_another_run_would(
  runs, other, tmp_path
):
  out = tmp_path / "moved.json"
  done = programs.run(
    "attack",
    f"--workdir={runs / '0'}",
    "--attacks=fgm,random",
    "--sizes=1",
    f"--transfer={other}",
    f"--out={out}",
    cwd=tmp_path,
  )
  assert done.status == 0, done.stderr
  assert "Accuracy" in done.stdout.splitlines()[0]
  assert len(json.loads(out.read_text())["robustness"]) == 4
  assert "Accuracy" in out.with_suffix(".svg").read_text()


@pytest.mark.parametrize(
  ("more", "complaint"),
  [
    ("augment.name=search", "choose noise, synonyms"),
    ('evaluation.words=("typos",)', "choose noise, synonyms"),
    ('evaluation.attacks=("typos",)', "choose fgm"),
    ("evaluation.tries=0", "must be at least 1"),
    ("augment.share=-1", "must be at least 0"),
  ],
)
def test_bad_options_are_refused(more, complaint, tmp_path):
  config = options.load(ROOT / "configs/sentiment/cnn.py", f"{SMALL},{more}")
  with pytest.raises(ValueError, match=complaint):
    experiment.build(config, tmp_path)


def test_what_has_no_words_is_refused(tmp_path):
  with pytest.raises(ValueError, match="no run of texts"):
    word_attacks.of_run(tmp_path, ["noise"], "test", 1)
  with pytest.raises(ValueError, match="these texts are Chinese"):
    word_attacks._transform("back_translation", "zh", [])


def test_programs_that_are_missing_are_named_before_training(
  runs, tmp_path, monkeypatch
):
  monkeypatch.setenv("PATH", str(tmp_path))
  config = options.load(
    ROOT / "configs/sentiment/cnn.py",
    f"{SMALL},data.path={runs / 'reviews.csv'},"
    'evaluation.words=("back_translation",)',
  )
  with pytest.raises(FileNotFoundError, match="apt-get install apertium"):
    experiment.run(config, tmp_path / "run", progress=False)
  assert not (tmp_path / "run").exists()
