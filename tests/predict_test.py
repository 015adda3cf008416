"""scripts/predict.py: what the world may ask of a trained classifier."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from programs import run

from adv_rec.experiments import experiment, options
from adv_rec.experiments.predict import predict

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
  """A run on reviews of which one word says all."""
  folder = tmp_path_factory.mktemp("reviews")
  rng = np.random.default_rng(0)
  good = rng.integers(0, 2, 400)
  others = rng.integers(0, 30, (400, 5))
  rows = {
    "text": [
      " ".join([f"w{i}" for i in row] + [("bad", "good")[label]])
      for row, label in zip(others, good, strict=True)
    ],
    "label": good,
  }
  pyarrow.csv.write_csv(pa.table(rows), folder / "reviews.csv")
  config = options.load(
    ROOT / "configs/sentiment/cnn.py",
    f"dataset=,data.path={folder / 'reviews.csv'},epochs=20,batch_size=40,"
    "model.dim=8,model.filters=8,model.widths=(2,),learning_rate=0.01,"
    "data.length=16",
  )
  experiment.run(config, folder / "run", progress=False)
  return folder


def test_unknown_empty_and_endless_texts_are_answered(reviews):
  texts = ["a good day", "bad", "", None, "unheard of", "good " * 100_000]
  made = predict(reviews / "run", pa.table({"text": texts, "id": range(6)}))
  assert made.column_names[:3] == ["text", "id", "predicted"]
  said = made["predicted"].to_pylist()
  assert said[0] == said[5] != said[1]
  chances = np.stack([made[name].to_numpy() for name in made.column_names[3:]])
  np.testing.assert_allclose(chances.sum(axis=0), 1, rtol=1e-5)
  # Nothing is known of what is empty, however that is written.
  assert chances[0, 2] == chances[0, 3]


def test_the_program_writes_what_the_function_says(reviews, tmp_path):
  table = pa.table({"text": ["good", "bad"]})
  pyarrow.csv.write_csv(table, tmp_path / "rows.csv")
  given = f"--workdir={reviews / 'run'}", "--path=rows.csv"
  done = run("predict", *given, "--out=made.csv", cwd=tmp_path)
  assert done.status == 0, done.stderr
  made = pyarrow.csv.read_csv(tmp_path / "made.csv")
  expected = predict(reviews / "run", table)
  said = [str(value) for value in made["predicted"].to_pylist()]
  assert said == expected["predicted"].to_pylist()
  shown = run("predict", *given, cwd=tmp_path)
  assert shown.stdout.splitlines()[0].count("chance") == 2


def test_what_cannot_be_predicted_is_said_in_one_line(reviews, tmp_path):
  for table, message in (
    (pa.table({"words": ["good"]}), "no column 'text'"),
    (pa.table({"text": pa.array([], pa.string())}), "no rows"),
    (pa.table({"text": ["x"], "predicted": [1]}), "'predicted' already"),
  ):
    with pytest.raises(ValueError, match=message):
      predict(reviews / "run", table)
  (tmp_path / "rows.csv").write_text("text\ngood\n")
  done = run("predict", "--workdir=nowhere", "--path=rows.csv", cwd=tmp_path)
  assert done.status == 1
  assert "is this a workdir?" in done.stderr
