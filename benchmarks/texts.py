"""The text CNN against the same network in PyTorch, for `classify.py`.

Kim's network on 50 batches of random words, in ours and in eager torch, plain
and with FGM on the word vectors, the loss and Adam included. All four are
clocked by turns in several rounds, ours in this process, torch in one of its
own, on the same cores; a figure is the median over rounds.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

SETTINGS = {
  "words": 10_000,
  "dim": 128,
  "length": 128,
  "widths": [3, 4, 5],
  "filters": 100,
  "dropout": 0.5,
  "batch": 64,
  "steps": 50,
  "learning_rate": 1e-3,
  "epsilon": 1.0,
}
_ROUNDS = 15

# The peer, as a program: reads JSON lines, "plain" or "fgm", plays the steps
# of a call and answers with seconds.
_TORCH = """
import json, sys, time
import torch

s = json.loads(sys.argv[1])
torch.set_num_threads(s["cores"])
torch.manual_seed(s["seed"])

class Network(torch.nn.Module):
  def __init__(self):
    super().__init__()
    self.word = torch.nn.Embedding(s["words"], s["dim"], padding_idx=0)
    self.layers = torch.nn.ModuleList(
      torch.nn.Conv1d(s["dim"], s["filters"], k, padding=k - 1)
      for k in s["widths"]
    )
    self.drop = torch.nn.Dropout(s["dropout"])
    self.last = torch.nn.Linear(len(s["widths"]) * s["filters"], 1)
  def forward(self, x):
    x = x.transpose(1, 2)
    found = [torch.relu(layer(x)).amax(dim=2) for layer in self.layers]
    return self.last(self.drop(torch.cat(found, dim=1)))[:, 0]

network = Network()
optimizer = torch.optim.Adam(network.parameters(), s["learning_rate"])
loss = torch.nn.BCEWithLogitsLoss()
tokens = torch.randint(1, s["words"], (s["steps"], s["batch"], s["length"]))
labels = torch.randint(0, 2, (s["steps"], s["batch"])).float()

def step(i, fgm):
  optimizer.zero_grad()
  x = network.word(tokens[i])
  total = loss(network(x), labels[i])
  if fgm:
    g, = torch.autograd.grad(total, x, retain_graph=True)
    size = g.flatten(1).norm(dim=1)[:, None, None] + 1e-12
    total = total + loss(network(x + s["epsilon"] * g / size), labels[i])
  total.backward()
  optimizer.step()

print(json.dumps(torch.__version__), flush=True)
for line in sys.stdin:
  start = time.perf_counter()
  for i in range(s["steps"]):
    step(i, json.loads(line) == "fgm")
  print(json.dumps(time.perf_counter() - start), flush=True)
"""


def measure(python: str, cores: int, seed: int) -> dict[str, Any]:
  """Samples a second of ours and of torch's.

  Args:
    python: an interpreter that has torch.
    cores: for torch; JAX takes those that this process may use.
    seed: of everything random.

  Raises:
    ValueError: torch's process ended.
  """
  asked = json.dumps({**SETTINGS, "cores": cores, "seed": seed})
  process = subprocess.Popen(
    [python, "-c", _TORCH, asked],
    env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )

  def answer() -> Any:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
      raise ValueError(f"torch: its process ended with {process.wait()}")
    return json.loads(line)

  def asking(name: str) -> Callable[[], float]:
    def seconds() -> float:
      assert process.stdin is not None
      process.stdin.write(json.dumps(name) + "\n")
      process.stdin.flush()
      return answer()

    return seconds

  version = answer()
  programs = {
    **{("ours", name): run for name, run in _ours(seed).items()},
    **{("torch", name): asking(name) for name in ("plain", "fgm")},
  }
  taken = {name: [] for name in programs}
  for turn in range(_ROUNDS + 1):  # the first one compiles
    for name, run in programs.items():
      seconds = run()
      if turn:
        taken[name].append(seconds)
  assert process.stdin is not None
  process.stdin.close()
  process.wait()
  samples = SETTINGS["steps"] * SETTINGS["batch"]
  speed = {
    name: samples / statistics.median(seconds)
    for name, seconds in taken.items()
  }
  return {
    "ours": {name: speed["ours", name] for name in ("plain", "fgm")},
    "torch": {
      "samples_per_second": speed["torch", "plain"],
      "fgm": speed["torch", "fgm"],
      "torch": version,
    },
    "rounds": _ROUNDS,
    "settings": SETTINGS,
    "load": list(os.getloadavg()),
  }


def _ours(seed: int) -> dict[str, Callable[[], float]]:
  """Name -> plays the steps of a call, in seconds."""
  import jax
  import numpy as np
  import optax

  from adv_rec.attacks import gradients
  from adv_rec.games.classify import classify
  from adv_rec.losses.pointwise import cross_entropy
  from adv_rec.models import text
  from adv_rec.training.step import init_state, make_step

  s = SETTINGS
  rng = np.random.default_rng(seed)
  shape = (s["steps"], s["batch"])
  batches = {
    "tokens": rng.integers(1, s["words"], (*shape, s["length"]), np.int32),
    "label": rng.integers(0, 2, shape).astype(np.float32),
  }
  predictor = text.predictor(
    text.CNN(tuple(s["widths"]), s["filters"], s["dropout"]),
    np.ones(s["words"]),
    s["dim"],
  )

  def program(attack) -> Callable[[], float]:
    game = classify(
      predictor, cross_entropy, optax.adam(s["learning_rate"]), attack=attack
    )
    step = make_step(game)
    run = jax.jit(lambda state: jax.lax.scan(step, state, batches)[0])
    state = init_state(game, jax.random.key(seed))

    def seconds() -> float:
      start = time.perf_counter()
      jax.block_until_ready(run(state))
      return time.perf_counter() - start

    return seconds

  fgm = gradients.whole(gradients.fgm(s["epsilon"]))
  return {"plain": program(None), "fgm": program(fgm)}
