"""Sweeps: what is planted is found; killed and resumed, nothing changes."""

import json
import math
import shlex
import sys

import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import programs
import pytest
from report_samples import Reader

from adv_rec.experiments import experiment, options, space, sweep
from adv_rec.report import sweep as report
from adv_rec.training.loop import Schedule
from adv_rec.types import Player

ROOT = programs.ROOT
SPACE = {
  "attack.name": {"choice": ("fgm", "pgd")},
  "attack.epsilon": {"low": 0.001, "high": 1.0, "log": True},
  "attack.steps": {"low": 1, "high": 9, "when": {"attack.name": ("pgd",)}},
}
KILLED = []  # (trial, step) at which a toy run is killed, once
STEPS = []  # (trial, step) that toy runs evaluated


def get_config(arg=""):
  """What a toy config's file returns."""
  config = ml_collections.ConfigDict(
    {
      "name": "toy",
      "title": "Toy",
      "experiment": "sweep_test.toy",
      "seed": 0,
      "fit": "train",
      "steps": 0,
      "limit": 10.0,  # of epsilon, beyond which training diverges
      "watch": "validation/score",
      "data": {"prepared": ""},
      "attack": {"name": "fgm", "epsilon": 0.5, "steps": 3},
    }
  )
  return options.override(config, options.parse(arg))


def toy(config, workdir):
  """Best with pgd of 5 steps at .1; plain has 0."""
  trial, attack = int(workdir.name), config.attack
  if attack.name == "pgd" and attack.steps == 9:
    raise ValueError("9 steps\nare too many")
  (workdir / "data").mkdir(exist_ok=True)
  (workdir / "data" / "rows").write_text(config.data.prepared)

  def loss(own, everyone, batch, key):
    value = jnp.sum(own**2) * jnp.mean(batch["x"])
    broken = attack.epsilon > config.limit and attack.name != "none"
    return value * (jnp.nan if broken else 1.0), {"loss": value}

  def evaluate(state):
    STEPS.append((trial, int(state.step)))
    if STEPS[-1] in KILLED:
      KILLED.remove(STEPS[-1])
      raise KeyboardInterrupt
    return {}

  def finish(state):
    score = 0.0
    if attack.name != "none":
      score = 1 - math.log10(attack.epsilon / 0.1) ** 2
    if attack.name == "pgd":
      score += 0.5 - abs(attack.steps - 5) / 10
    moved = float(jnp.sum(state.params["model"]))
    metrics = {"validation/score": score, "validation/loss": -score + moved}
    return {"metrics": {**metrics, "test/score": -score}}

  return experiment.Experiment(
    game={"model": Player(lambda key: jnp.ones(2), loss, optax.sgd(0.1))},
    batches=lambda start, stop, part: {"x": np.ones((stop - start, 8), "f")},
    schedule=Schedule(config.steps, evaluate=1, checkpoint=1),
    evaluate=evaluate,
    finish=finish,
    dataset={"name": "toys", "fingerprint": "f"},
    watch=config.watch,
  )


@pytest.fixture
def config(tmp_path):
  """A file of the toy config; where sweeps go is beside it."""
  path = tmp_path / "toy.py"
  path.write_text("from sweep_test import get_config\n")
  return str(path)


@pytest.fixture
def made(tmp_path):
  """The space as its file gives it."""
  return load_space(tmp_path, SPACE)


def load_space(folder, given):
  path = folder / "space.py"
  path.write_text(f"def get_space():\n  return {given!r}\n")
  return space.load(path)


def tried(found):
  return [trial["options"] for trial in found["trials"]]


def outcome(out):
  """What must not depend on interruptions."""
  text = (out / "sweep.json").read_text().replace(str(out), "OUT")
  found = json.loads(text)
  for trial in found["trials"]:
    del trial["seconds"]
  return found


def test_what_is_planted_is_found_and_plain_training_comes_first(
  config, made, tmp_path
):
  found = sweep.run(config, made, tmp_path / "out", 30)
  best = found["trials"][found["best"]]
  assert best["options"]["attack.name"] == "pgd"
  assert 0.05 < best["options"]["attack.epsilon"] < 0.2
  assert best["value"] > 1.3
  assert max(t["value"] or 0 for t in found["trials"][1:7]) < best["value"]
  plain = found["trials"][0]
  assert (plain["options"], plain["value"]) == ({"attack.name": "none"}, 0.0)
  assert json.loads((tmp_path / "out/sweep.json").read_text()) == found
  for trial in found["trials"][1:]:
    named = trial["options"]
    assert ("attack.steps" in named) == (named["attack.name"] == "pgd")
    assert list(trial["metrics"]) in ([*best["metrics"]], [])
  assert "test/" not in json.dumps(found["trials"])
  # Its command is the best, on all but the test part.
  _, script, asked, workdir = shlex.split(found["command"])
  assert (script, workdir[:10]) == ("scripts/train.py", "--workdir=")
  final = sweep.load(asked.removeprefix("--config="))
  assert final.fit == "train+validation" and final.data.prepared == ""
  assert final.attack.epsilon == best["options"]["attack.epsilon"]
  # Lower is better, where that is asked for.
  other = sweep.run(
    config, made, tmp_path / "loss", 3, metric="validation/loss",
    direction="minimize",
  )  # fmt: skip
  values = [trial["value"] for trial in other["trials"]]
  assert values[other["best"]] == min(values)
  known = sweep.run(
    config, made, tmp_path / "known", 3, metric="validation/loss",
    lower=lambda metric: metric.endswith("loss"),
  )  # fmt: skip
  assert known["direction"] == "minimize"
  assert tried(known) == tried(other)


def test_killed_between_and_within_trials_it_goes_on_as_if_nothing_happened(
  config, made, tmp_path
):
  config += ":steps=3"
  sweep.run(config, made, tmp_path / "whole", 10)
  STEPS.clear()
  sweep.run(config, made, tmp_path / "killed", 4)
  for trial, step in ((4, 2), (8, 3)):
    KILLED.append((trial, step))
    with pytest.raises(KeyboardInterrupt):
      sweep.run(config, made, tmp_path / "killed", 10)
    assert len(outcome(tmp_path / "killed")["trials"]) == trial
  sweep.run(config, made, tmp_path / "killed", 10)
  assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
  # The checkpoint was gone on from: no step before it was played again.
  assert [step for trial, step in STEPS if trial == 4] == [1, 2, 2, 3]
  assert [step for trial, step in STEPS if trial == 8] == [1, 2, 3, 3]


def test_another_seed_tries_other_options(config, made, tmp_path):
  found = [sweep.run(config, made, tmp_path / str(s), 4, s) for s in (0, 1)]
  assert tried(found[0])[0] == tried(found[1])[0]  # plain
  assert all(o not in tried(found[1]) for o in tried(found[0])[1:])
  with pytest.raises(ValueError, match="it differs in seed"):
    sweep.run(config, made, tmp_path / "0", 4, 1)


def test_data_are_prepared_once(config, made, tmp_path):
  out = tmp_path / "out"
  sweep.run(config, made, out, 3)
  rows = [(out / f"trials/{n}/data/rows").read_text() for n in range(3)]
  assert rows == ["", *[str(out / "trials/0/data")] * 2]
  other = load_space(tmp_path, {**SPACE, "seed": {"low": 0, "high": 9}})
  sweep.run(config, other, tmp_path / "seeds", 2)
  assert (tmp_path / "seeds/trials/1/data/rows").read_text() == ""


@pytest.mark.parametrize(
  ("change", "complaint"),
  [
    ({"metric": "test/score"}, "nothing is chosen by the test part"),
    ({"metric": "train/loss"}, "choose a metric validation/"),
    ({"metric": "validation/scor"}, "it has validation/score, validation/loss"),
    ({"options": ":watch=test/score"}, "no metric test/score of the valid"),
    ({"options": ":sed=1"}, "did you mean seed"),
    ({"space": {"l2": {"low": 0.0, "high": 1.0}}}, "no option 'l2'"),
    ({"space": {"attack.steps": {"low": 1.0, "high": 2.0}}}, "expected a int"),
  ],
)
def test_a_bad_sweep_is_refused(change, complaint, config, tmp_path):
  made = load_space(tmp_path, change.get("space", SPACE))
  config += change.get("options", "")
  with pytest.raises(ValueError, match=complaint):
    sweep.run(config, made, tmp_path / "o", 2, metric=change.get("metric", ""))
  assert not (tmp_path / "o/sweep.json").exists()


@pytest.mark.parametrize(
  ("given", "complaint"),
  [
    ({"a": {"low": 1}}, "write a choice, or low and high"),
    ({"a": {"low": 2, "high": 1}}, "low must be below high"),
    ({"a": {"low": 0, "high": 1, "log": True}}, "must be above 0"),
    ({"a": {"choice": (1,), "when": {"b": (1,)}}}, "b, not further up"),
    ({"a": {"choice": ()}}, "a choice of nothing"),
    ({}, "an empty space"),
  ],
)
def test_a_bad_space_is_refused(given, complaint, tmp_path):
  with pytest.raises(ValueError, match=complaint):
    load_space(tmp_path, given)


def test_trials_that_fail_are_recorded_and_shown(config, tmp_path):
  given = {
    "attack.name": {"choice": ("pgd",)},
    "attack.steps": {"choice": (5, 9)},
    "attack.epsilon": {"choice": (0.1, 1.0)},
  }
  made = load_space(tmp_path, given)
  found = sweep.run(config + ":steps=1,limit=0.5", made, tmp_path / "out", 12)
  failed = [t for t in found["trials"] if t["state"] == "failed"]
  assert (len(found["trials"]), len(failed)) == (5, 3)
  errors = " ".join(trial["error"] for trial in failed)
  assert errors.count("9 steps are too many") == 2
  assert errors.count("is not finite at step 1") == 1
  for trial in failed:
    assert (trial["value"], trial["metrics"]) == (None, {})
  assert found["trials"][found["best"]]["value"] == 1.5
  text = report.page(found)
  assert text.count("9 steps are too many") == 2

  with pytest.raises(ValueError, match="all 3 trials failed, the first of"):
    sweep.run(config + ":steps=-1", made, tmp_path / "bad", 3)
  kept = outcome(tmp_path / "bad")["trials"]
  assert [trial["state"] for trial in kept] == ["failed"] * 3


def test_a_small_space_ends_and_nothing_is_tried_twice(config, tmp_path):
  given = {
    "attack.name": {"choice": ("none", "pgd")},
    "attack.steps": {"low": 4, "high": 6, "when": {"attack.name": ("pgd",)}},
  }
  out = tmp_path / "out"
  found = sweep.run(config, load_space(tmp_path, given), out, 20)
  names = [tuple(chosen.values()) for chosen in tried(found)]
  assert names[0] == ("none",)
  assert sorted(names[1:]) == [("pgd", 4), ("pgd", 5), ("pgd", 6)]


def test_the_page_says_what_the_file_says(config, made, tmp_path):
  found = sweep.run(config, made, tmp_path / "out", 8)
  text = report.page(found)
  reader = Reader(text)
  best = found["trials"][found["best"]]
  assert found["command"] in reader.all("pre")
  assert f"{best['value']:.4f}" in reader.all("dd")
  rows = [row for row in reader.rows if row[0] != "Trial"]
  assert len(rows) == 8 and rows[0][0] == str(best["number"] + 1)
  values = [float(row[-2]) for row in rows]
  assert values == sorted(values, reverse=True)
  told = reader.all("title")
  chosen = best["options"]
  at = f"{chosen['attack.name']}: {best['value']:.4g} at"
  assert f"{at} {chosen['attack.epsilon']:.4g}" in told
  assert f"{at} {best['number'] + 1}" in told
  for _, name, value in reader.attributes:
    assert name not in ("src", "href") and (
      "//" not in (value or "") or name == "xmlns"
    )


def test_without_optuna_it_says_how_to_get_it(
  config, made, tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, "optuna", None)
  with pytest.raises(ValueError, match=r"pip install 'adv_rec\[sweep\]'"):
    sweep.run(config, made, tmp_path / "out", 1)
  assert not (tmp_path / "out").exists()


def test_the_script_sweeps_a_recommender(log, tmp_path):
  given = (
    f"dataset=,data.path={log},data.k_core=0,epochs=4,evaluate_every=0,"
    "batch_size=64,model.dim=8,learning_rate=0.1,evaluation.ks=(5,10)"
  )
  command = (
    f"--config={ROOT}/configs/recommend/apr.py:{given}",
    f"--space={ROOT}/configs/sweeps/attack.py",
    "--out=out",
  )
  done = programs.run("sweep", *command, "--trials=3", cwd=tmp_path)
  assert done.status == 0, done.stderr
  lines = [x for x in done.stderr.splitlines() if x.startswith("[")]
  assert len(lines) == 3 and "attack.name=none: validation/ndcg@10" in lines[0]
  found = json.loads((tmp_path / "out/sweep.json").read_text())
  assert found["command"] in done.stdout
  assert (tmp_path / "out/report.html").read_text() == report.page(found)
  runs = [
    json.loads((tmp_path / f"out/trials/{n}/result.json").read_text())
    for n in range(3)
  ]
  assert len({run["dataset"]["fingerprint"] for run in runs}) == 1
  for run, trial in zip(runs, found["trials"], strict=True):
    assert run["metrics"]["validation/ndcg@10"] == trial["value"]
  more = programs.run("sweep", *command, "--trials=4", cwd=tmp_path)
  assert more.status == 0 and more.stderr.count("[4/4]") == 1
  again = json.loads((tmp_path / "out/sweep.json").read_text())
  assert again["trials"][:3] == found["trials"]

  refused = programs.run(
    "sweep", *command, "--metric=test/ndcg@10", cwd=tmp_path
  )
  assert refused.status == 1
  assert refused.stderr.startswith("error: --metric=test/ndcg@10: nothing is")
