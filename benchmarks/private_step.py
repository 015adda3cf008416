r"""A private step against a plain step, and against Opacus.

  pip install '.[private]'
  python -m venv /tmp/opacus && /tmp/opacus/bin/pip install opacus
  python benchmarks/private_step.py --opacus_python=/tmp/opacus/bin/python \
    --out=runs/benchmark

One step trains a discriminator, a perceptron 128-256-512 with one logit, on a
batch of 256 pairs of a real and a generated row, with Adam. It is private if
the gradient of each real row is clipped and noise is added to their sum; the
generated rows touch no data. A sample is a pair.

Ours are 50 steps of `training.step` compiled into one call, which is how they
train. Opacus steps in eager torch: plain, by hooks, by functorch and by ghost
clipping; it makes one loss of the pair's two and clips both, as it is meant to
be used. Each is clocked by turns in several rounds, ours in this process,
Opacus in one that --opacus_python starts, on the same cores (--cores). A figure
is the median over rounds; the least and the greatest stand beside it. Without
opacus ours are measured alone, and its targets are not judged.

Writes private_step.json to --out and prints a table.
"""

import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import Any

from absl import flags

_BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_BENCHMARKS.parent / "scripts"))

import cli  # noqa: E402

_OUT = flags.DEFINE_string("out", "runs/benchmark", "Where the results go.")
_PYTHON = flags.DEFINE_string(
  "opacus_python", "", "An interpreter that has opacus; this one if it does."
)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Clocked by turns so often.", 1)
_CALLS = flags.DEFINE_integer("calls", 4, "Calls of 50 steps a round.", 1)
_CORES = flags.DEFINE_integer("cores", 2, "Cores that each may use.", 1)

_SETTINGS = {
  "batch": 256,
  "width": 128,
  "hidden": [256, 512],
  "steps": 50,
  "clip": 1.0,
  "noise_multiplier": 1.0,
  "learning_rate": 1e-3,
}

# The peer, as a program: reads JSON lines, each a name and a number of steps,
# and answers with seconds.
_OPACUS = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import torch, opacus
from opacus import PrivacyEngine

s = json.loads(sys.argv[1])
torch.set_num_threads(s["cores"])
torch.manual_seed(0)
real, fake = torch.randn(2, s["batch"], s["width"])

class Pair(torch.nn.Module):
  # Both logits of a pair by one pass over a batch of pairs.
  def __init__(self):
    super().__init__()
    a, b = s["hidden"]
    self.layers = torch.nn.Sequential(
      torch.nn.Linear(s["width"], a), torch.nn.LeakyReLU(0.2),
      torch.nn.Linear(a, b), torch.nn.LeakyReLU(0.2), torch.nn.Linear(b, 1))
  def forward(self, x):
    return self.layers(x)[..., 0]

class Loss(torch.nn.Module):
  def __init__(self, reduction="mean"):
    super().__init__()
    self.reduction = reduction
  def forward(self, logits, sign):
    each = torch.nn.functional.softplus(logits * sign).sum(dim=1)
    return each.mean() if self.reduction == "mean" else each

pairs = torch.stack([real, fake], dim=1)
sign = torch.tensor([-1.0, 1.0]).expand(s["batch"], 2)
rows = torch.utils.data.TensorDataset(pairs, sign)
programs = {}

def make(name):
  model, loss = Pair(), Loss()
  optimizer = torch.optim.Adam(model.parameters(), lr=s["learning_rate"])
  if name != "plain":
    made = PrivacyEngine(accountant="rdp").make_private(
      module=model, optimizer=optimizer, criterion=loss,
      data_loader=torch.utils.data.DataLoader(rows, batch_size=s["batch"]),
      noise_multiplier=s["noise_multiplier"], max_grad_norm=s["clip"],
      poisson_sampling=False, grad_sample_mode=name)
    if name == "ghost":
      model, optimizer, loss, _ = made
    else:
      model, optimizer, _ = made
  def step():
    optimizer.zero_grad()
    loss(model(pairs), sign).backward()
    optimizer.step()
  return step

print(json.dumps([torch.__version__, opacus.__version__]), flush=True)
for line in sys.stdin:
  name, steps = json.loads(line)
  step = programs.setdefault(name, None) or make(name)
  programs[name] = step
  start = time.perf_counter()
  for _ in range(steps):
    step()
  print(json.dumps(time.perf_counter() - start), flush=True)
"""


def main():
  """Measures, writes and prints."""
  python = _PYTHON.value or sys.executable
  peer = bool(_PYTHON.value) or importlib.util.find_spec("opacus") is not None
  if hasattr(os, "sched_setaffinity"):  # Linux; JAX and torch heed it
    cores = sorted(os.sched_getaffinity(0))[: _CORES.value]
    os.sched_setaffinity(0, cores)
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  programs = {f"ours {name}": run for name, run in _ours().items()}
  versions, process = [], None
  if peer:
    process = _start(python)
    versions = _answer(process)
    programs |= {
      f"opacus {name}": _asking(process, name)
      for name in ("plain", "hooks", "functorch", "ghost")
    }
  found = _by_turns(programs)
  if process is not None and process.stdin is not None:
    process.stdin.close()
    process.wait()
  from adv_rec.experiments import experiment

  written = {
    "samples_per_second": found,
    "targets": targets(found),
    "settings": _SETTINGS,
    "rounds": _ROUNDS.value,
    "calls": _CALLS.value,
    "cores": _CORES.value,
    "load": list(os.getloadavg()),
    **experiment.provenance(),
  }
  written["versions"] |= dict(zip(("torch", "opacus"), versions, strict=False))
  experiment.write_json(out / "private_step.json", written)
  print(f"\n{text(written)}\n\nWritten to {out / 'private_step.json'}")


def _ours() -> dict[str, Any]:
  """Name -> a function of calls that plays 50 steps a call."""
  import jax
  import jax.numpy as jnp
  import optax

  from adv_rec.games.private import private_adversarial
  from adv_rec.losses.gan import non_saturating
  from adv_rec.models.gan import Discriminator
  from adv_rec.privacy.gradients import private
  from adv_rec.training.step import init_state, make_step
  from adv_rec.types import Player, plain

  s = _SETTINGS
  network = Discriminator(tuple(s["hidden"]))
  loss, _ = private_adversarial(
    lambda params, batch, key: batch["fake"],
    lambda params, key, x: network.apply({"params": params}, x),
    non_saturating(),
    lambda batch, key: batch["real"],
    ("real",),
  )

  def together(own, everyone, batch, key):
    """As a GAN without privacy has it."""
    real, fake = (
      network.apply({"params": own}, batch[name]) for name in ("real", "fake")
    )
    return jnp.mean(non_saturating().discriminator(real, fake)), {}

  key, shape = jax.random.key(0), (s["steps"], s["batch"])
  batches = {
    "real": jax.random.normal(key, (*shape, s["width"])),
    "fake": jax.random.normal(jax.random.key(1), (*shape, s["width"])),
    "mask": jnp.ones(shape, bool),
    "noise": jax.random.bits(key, (*shape, 2), jnp.uint32),
  }

  def program(loss, gradient):
    player = Player(
      lambda key: network.init(key, jnp.zeros((1, s["width"])))["params"],
      loss,
      optax.adam(s["learning_rate"]),
      gradient,
    )
    # The fakes stand in for a generator, which takes no part.
    other = Player(
      lambda key: jnp.zeros(()),
      lambda own, everyone, batch, key: (0.0 * own, {}),
      optax.sgd(0.0),
    )
    game = {"discriminator": player, "generator": other}
    state, step = init_state(game, key), make_step(game)
    run = jax.jit(lambda state: jax.lax.scan(step, state, batches)[0])

    def seconds(calls):
      start = time.perf_counter()
      for _ in range(calls):
        jax.block_until_ready(run(state))
      return time.perf_counter() - start

    return seconds

  size = s["batch"]
  dp = private(s["clip"], s["noise_multiplier"], size, size)
  return {
    "plain": program(together, plain),
    "private": program(loss, dp),
    "clipped, no noise": program(loss, private(s["clip"], 0.0, size, size)),
  }


def _start(python: str) -> subprocess.Popen:
  return subprocess.Popen(
    [python, "-c", _OPACUS, json.dumps({**_SETTINGS, "cores": _CORES.value})],
    env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )


def _answer(process: subprocess.Popen) -> Any:
  assert process.stdout is not None
  line = process.stdout.readline()
  if not line:
    raise ValueError(f"opacus: its process ended with {process.wait()}")
  return json.loads(line)


def _asking(process: subprocess.Popen, name: str) -> Any:
  def seconds(calls):
    assert process.stdin is not None
    process.stdin.write(json.dumps([name, calls * _SETTINGS["steps"]]) + "\n")
    process.stdin.flush()
    return _answer(process)

  return seconds


def _by_turns(programs: dict[str, Any]) -> dict[str, dict[str, float]]:
  """Samples a second of each."""
  taken = {name: [] for name in programs}
  for run in programs.values():
    run(1)  # compiles
  for _ in range(_ROUNDS.value):
    for name, run in programs.items():
      taken[name].append(run(_CALLS.value))
  samples = _CALLS.value * _SETTINGS["steps"] * _SETTINGS["batch"]
  return {
    name: {
      "median": samples / statistics.median(seconds),
      "least": samples / max(seconds),
      "greatest": samples / min(seconds),
    }
    for name, seconds in taken.items()
  }


def targets(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
  """What was asked, and what was found."""
  speed = {name: rates["median"] for name, rates in found.items()}
  ratio = speed["ours plain"] / speed["ours private"]
  rows = [("our plain step over our private step", 1.8, ratio, ratio <= 1.8)]
  if "opacus ghost" in speed:
    ratio = speed["ours private"] / speed["opacus ghost"]
    rows.append(
      ("our private step, times Opacus's ghost clipping", 1.0, ratio, ratio > 1)
    )
  return [
    {"target": t, "asked": asked, "found": found, "met": met}
    for t, asked, found, met in rows
  ]


def text(written: dict[str, Any]) -> str:
  """The tables to print."""
  lines = [f"{'samples a second':24} {'median':>8} {'least':>8} {'most':>8}"]
  for name, rates in written["samples_per_second"].items():
    values = (rates[k] for k in ("median", "least", "greatest"))
    lines.append(f"{name:24} " + " ".join(f"{v:8,.0f}" for v in values))
  lines += ["", f"{'target':50} {'asked':>6} {'found':>7}"]
  for row in written["targets"]:
    mark = "met" if row["met"] else "missed"
    lines.append(
      f"{row['target']:50} {row['asked']:>6} {row['found']:7.2f}  {mark}"
    )
  return "\n".join(lines)


if __name__ == "__main__":
  cli.run(main)
