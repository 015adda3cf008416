"""Runs on reviews, from a file to predictions of raw texts."""

import json
import pathlib

import numpy as np
import pytest

from adv_rec.evaluation import classes
from adv_rec.experiments import experiment, options

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMALL = "dataset=,model.dim=8,model.filters=6,data.length=8,batch_size=32"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
  """Reviews whose label one word says."""
  path = tmp_path_factory.mktemp("own") / "reviews.csv"
  rng = np.random.default_rng(0)
  said = {"bad": ("poor", "broken"), "good": ("fine", "lovely")}
  fill = ["cup", "mug", "pot", "jar", "lid", "pan", "box", "bag"]
  rows = ["body,stars"]
  for n in range(400):
    label = ("bad", "good")[n % 2]
    word = said[label][rng.integers(2)]
    words = [*rng.choice(fill, rng.integers(1, 6)), word, f"no{n}"]
    rows.append(f"{' '.join(rng.permutation(words))},{label}")
  path.write_text("\n".join(rows))
  return path


def config(own, more=""):
  columns = "data.columns.text=body,data.columns.label=stars"
  arg = f"{SMALL},data.path={own},{columns},{more}"
  return options.load(ROOT / "configs/sentiment/cnn.py", arg)


def test_a_run_learns_and_then_answers_raw_texts(own, tmp_path):
  more = "epochs=4,learning_rate=0.03,attack.name=fgm,attack.epsilon=0.1"
  result = experiment.run(config(own, more), tmp_path / "run", progress=False)
  assert result["metrics"]["test/accuracy"] > 0.95
  assert result["dataset"]["counts"]["test"] == 40
  built, state = experiment.restore(tmp_path / "run")
  task = built.task
  assert list(task.classes) == ["bad", "good"]
  params = state.params["model"]

  def chances(texts):
    batch = task.encode(texts)
    inputs = task.predictor.lookup(params, batch)
    return np.asarray(task.predictor.logits(params, batch, inputs, None))

  texts = ["Lovely POT!", "poor pot", "", "never seen words", "ü\x00\ufffd手"]
  logits = chances([*texts, "lovely " * 20_000])
  assert logits[0] > 0 > logits[1] and logits[5] > 0
  assert np.isfinite(logits).all()
  words = task.names(task.encode(texts))
  assert words[1][:3] == ["poor", "pot", "<pad>"]
  assert words[3][:3] == ["<unknown>"] * 3


def test_unlabelled_reviews_are_those_of_the_seed(own, tmp_path):
  hidden = []
  for seed in (0, 0, 1):
    found = experiment.build(
      config(own, f"data.labelled=0.25,seed={seed}"), tmp_path / str(seed)
    )
    hidden.append(found.task.parts["train"]["label"] < 0)
  assert 0.65 < hidden[0].mean() < 0.85
  assert (hidden[0] == hidden[1]).all() and (hidden[0] != hidden[2]).any()
  assert found.task.parts["test"]["label"].min() == 0


@pytest.mark.parametrize(
  ("more", "complaint"),
  [
    ("model.kind=lstm", "choose cnn, bigru or transformer"),
    ("data.path=", "no reviews: name a dataset"),
    ("data.length=1", "must be at least 2"),
  ],
)
def test_bad_options_are_refused(more, complaint, own, tmp_path):
  with pytest.raises(ValueError, match=complaint):
    experiment.build(config(own, more), tmp_path)
  assert not list(tmp_path.iterdir())


def test_minilm_is_not_given_chinese(tmp_path):
  path = tmp_path / "zh.csv"
  rows = [f"手机{n}很{'好差'[n % 2]},{n % 2}" for n in range(60)]
  path.write_text("\n".join(["text,label", *rows]))
  minilm = ROOT / "configs/sentiment/minilm.py"
  asked = options.load(minilm, f"dataset=,data.path={path}")
  with pytest.raises(ValueError, match="these reviews are Chinese"):
    experiment.build(asked, tmp_path / "run")


def test_scores_of_classes():
  label = np.array([0, 1, 2, 2])
  logits = np.log(
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]]
  )
  found = classes.scores(label, logits)
  assert found["accuracy"] == 0.75
  expected = -np.mean(np.log([0.7, 0.3, 0.8, 0.6]))
  assert found["log_loss"] == pytest.approx(expected)
  assert found["f1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
  two = classes.scores(np.array([0, 1.0]), np.array([-1.0, 3.0]))
  assert json.loads(json.dumps(two))["accuracy"] == 1.0
