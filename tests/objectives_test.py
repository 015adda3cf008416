"""GANs on known modes, through the one way to run an experiment."""

import json

import numpy as np
import pytest

from adv_rec.experiments import experiment, gan, options

SMALL = {
  "steps": "60",
  "evaluate_every": "30",
  "checkpoint_every": "30",
  "batch_size": "32",
  "model.generator": "(16,)",
  "model.discriminator": "(16,)",
  "evaluation.samples": "200",
}


def config(**given):
  made = gan.gan_config()
  made.name = made.title = "test"
  made.experiment = "adv_rec.experiments.objectives.gaussians"
  return options.override(made, SMALL | given)


@pytest.mark.parametrize("objective", gan.OBJECTIVES)
def test_every_objective_runs_and_is_measured(objective, tmp_path):
  result = experiment.run(
    config(objective=objective), tmp_path / "run", progress=False
  )
  metrics = result["metrics"]
  assert 0 <= metrics["test/modes"] <= 25
  for name in ("high_quality", "precision", "recall", "coverage"):
    assert 0 <= metrics[f"test/{name}"] <= 1
  rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
  values = {k: v for row in rows for k, v in json.loads(row)["values"].items()}
  assert 0 <= values["train/discriminator/accuracy"] <= 1
  assert values["train/generator/gradient_norm"] > 0
  assert "validation/modes" in values


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_generator(tmp_path):
  whole = experiment.run(
    config(average="0.9"), tmp_path / "whole", progress=False
  )
  half = config(average="0.9", steps="30")
  experiment.run(half, tmp_path / "parts", progress=False)
  (tmp_path / "parts" / "result.json").unlink()
  (tmp_path / "parts" / "config.json").write_text(
    config(average="0.9").to_json()
  )
  parts = experiment.run(
    config(average="0.9"), tmp_path / "parts", progress=False
  )
  assert parts["metrics"] == whole["metrics"]


@pytest.mark.slow
def test_a_generator_spreads_over_the_grid(tmp_path):
  given = {"steps": "300", "batch_size": "128", "evaluate_every": "0"}
  given |= {"learning_rate.generator": "2e-3", "objective": "relativistic"}
  given |= {"learning_rate.discriminator": "2e-3", "checkpoint_every": "300"}
  given |= {"penalty.r1": "0.01", "penalty.r2": "0.01"}
  given |= {"model.generator": "(32,32)", "model.discriminator": "(32,32)"}
  found = []
  for steps in ("1", "300"):
    made = config(**(given | {"steps": steps, "checkpoint_every": steps}))
    run = experiment.run(made, tmp_path / steps, progress=False)
    found.append(run["metrics"])
  assert found[0]["test/recall"] < 0.3  # all in the middle at first
  assert found[1]["test/recall"] > 0.7


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"objective": "lecun"}, "objective='lecun': choose minimax"),
    ({"pack": "3"}, "must be a multiple of pack x updates = 3"),
    ({"penalty.r1": "-1.0"}, "penalty.r1=-1.0: must be at least 0"),
    ({"average": "1.0"}, "average=1.0"),
    ({"evaluation.samples": "5"}, "evaluation.samples=5: must be at least 10"),
  ],
)
def test_bad_options_leave_nothing_behind(given, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    experiment.run(config(**given), tmp_path / "run", progress=False)
  assert not (tmp_path / "run").exists()


def test_dispatches_end_where_something_must_happen():
  made = config(steps="1000", evaluate_every="150", checkpoint_every="100")
  dispatch = gan._dispatch(made)
  assert dispatch == 50
  made = config(steps="20000", evaluate_every="0", checkpoint_every="4000")
  assert np.gcd(gan._dispatch(made), 4000) == 200
