"""Private event sequences: what a household may do, what is spent."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from events_test import NAMES, table
from programs import ROOT
from programs import run as run_script

from adv_rec.data.declared_events import Declared
from adv_rec.data.event_codes import Sequences
from adv_rec.data.poisson import Poisson
from adv_rec.data.values import EVENT_ROLES
from adv_rec.experiments import (
  experiment,
  options,
  private_events,
  private_sequences,
)
from adv_rec.games import sequences as games
from adv_rec.models import event_chains
from adv_rec.models.events import Chain, Recurrent, Sizes, log_likelihood
from adv_rec.privacy import accounting, ledger, probes
from adv_rec.privacy.accounting import Gaussian
from adv_rec.privacy.gradients import private
from adv_rec.training import loop, parallel
from adv_rec.training.step import init_state, make_step

KEY = jax.random.key(3)
SIZES = Sizes(4, 3, 3)
AISLES = ("milk", "never", "nuts", "rope", "soap", "tea")
DECLARED = Declared(
  {"buy": AISLES, "view": AISLES},
  "2024-01-01",
  "2025-01-01",
  gaps=(0, 1, 3, 7, 400),
  amounts=(0, 5, 20, 500),
)
NEVER = "a name of nobody else's"  # of a household of its own habits


def log():
  """A log in which one household stands out."""
  rows = table(users=60)
  own = {"customer": NEVER, "what": "buy", "aisle": "never"}
  times = np.datetime64("2024-07-07T01:02:03", "s") + np.arange(40) * 86_399
  more = {name: [value] * 40 for name, value in own.items()}
  more |= {"when": times, "paid": np.full(40, 123.45)}
  return pa.concat_tables([rows, pa.table(more).cast(rows.schema)])


def write(place):
  """The log, and what is declared of it. -> the folder."""
  pyarrow.csv.write_csv(log(), place / "log.csv")
  (place / "log.json").write_text(json.dumps(DECLARED._asdict()))
  return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return write(tmp_path_factory.mktemp("private"))


def given(folder, **more):
  return (
    {
      f"data.columns.{role}": name
      for role, name in zip(EVENT_ROLES, NAMES, strict=True)
    }
    | {
      "data.path": str(folder / "log.csv"),
      "data.declared": str(folder / "log.json"),
      "privacy.accountant": "rdp",
      "privacy.windows": "3",
      "steps": "8",
      "batch_size": "12",
      "model.dim": "4",
      "model.length": "6",
      "evaluation.samples": "50",
    }
    | more
  )


def config(folder, **more):
  loaded = options.load(ROOT / "configs/private/events.py")
  return options.override(loaded, given(folder, **more))


# The gradient.


def codes_of(rows, length=5, seed=0):
  rng = np.random.default_rng(seed)
  made = [rng.integers(0, size, (rows, length)) for size in SIZES]
  codes = np.stack(made, axis=-1).astype(np.int32)
  codes[..., 0] = np.minimum(codes[..., 0], SIZES.kinds - 2)
  codes[:, 0, 1] = -1
  return codes


def play(game, batch, steps=3):
  step, state = jax.jit(make_step(game)), init_state(game, KEY)
  for _ in range(steps):
    state, _ = step(state, batch)
  return state.params["generator"]


def test_without_noise_and_clip_it_is_the_plain_step():
  model, codes = Recurrent(SIZES, 4), codes_of(8)
  gradient = private(np.inf, 0.0, 8, 8)
  batch = {"codes": jnp.asarray(codes), "mask": jnp.ones(8, bool)}
  adam = optax.adam(0.1)
  ours = play(games.private_likelihood(model, adam, gradient, length=5), batch)
  plain = play(games.likelihood(model, adam, mean_events=5), batch)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def households():
  """Wild ones: (name, codes of all events)."""
  rng = np.random.default_rng(1)
  one = np.array([[1, 2, 2]], np.int32)
  yield "one event", one
  yield "the same event over and over", np.repeat(one, 500, axis=0)
  yield "a long history", codes_of(1, 1000, seed=2)[0]
  yield "two in turn", np.tile([[0, 0, 0], [2, 1, 2]], (40, 1))
  yield "short", codes_of(1, int(rng.integers(2, 5)), seed=3)[0]


@pytest.mark.parametrize("most", [1, 3])
def test_a_household_moves_the_sum_by_the_clip_at_most(most, folder):
  """Whatever its rows are, through the sampler and over all its windows."""
  clip, model = 0.05, Recurrent(SIZES, 4)
  own = [codes for _, codes in households()]
  train = Sequences(np.concatenate(own), np.cumsum([0, *(len(x) for x in own)]))
  given = config(folder, **{"privacy.most": str(most)})
  codes, owners = private_sequences.windows(given, train, SIZES.kinds - 1)
  num = len(own)
  assert np.bincount(owners).max() <= given.privacy.windows
  assert len(
    {(o, c.tobytes()) for o, c in zip(owners, codes, strict=True)}
  ) == len(codes)
  sampler = Poisson(
    {"codes": codes}, num, b"all of them", owners=owners, most=most
  )
  game = games.private_likelihood(
    model,
    optax.sgd(0.1),
    private(clip, 0.0, 1.0, sampler.padded, most),
    length=6,
  )
  player = game["generator"]
  total = jax.jit(player.gradient(player.loss))
  # Parameters as drawn and large ones: of these gradients are large.
  for scale in (1.0, 30.0):
    params = jax.tree.map(lambda x, by=scale: by * x, player.init(KEY))
    batch = {k: jnp.asarray(v[0]) for k, v in sampler(0, 1).items()}
    mask = np.asarray(batch["mask"])
    whole, metrics = total(params, {}, batch, KEY)
    assert set(metrics) == {"gradient_norm"}
    largest = 0.0
    for unit in range(num):
      left = mask & (np.arange(len(mask)) // most != unit)
      without, _ = total(params, {}, {**batch, "mask": left}, KEY)
      moved = optax.tree.norm(optax.tree.sub(whole, without))
      assert moved <= clip * (1 + 1e-4)
      largest = max(largest, float(moved))
    assert largest == pytest.approx(clip, rel=1e-3)


# The chain of noisy counts.


def test_counts_of_a_household_have_norm_1_at_most(folder):
  sizes = SIZES
  for _, own in households():
    train = Sequences(
      np.concatenate([own, codes_of(1, 30)[0]]),
      np.array([0, len(own), len(own) + 30]),
    )
    codes, owners = private_sequences.windows(config(folder), train, 3)
    rows = private_sequences.mean_counts(codes, owners, sizes, 2.0)
    norms = np.sqrt(rows.multiply(rows).sum(axis=1))
    assert rows.shape == (2, 4 * 4 * 2 + 4 * 3 + 4 * 3)
    assert (norms <= 1 + 1e-9).all() and norms[1] == pytest.approx(1)


def test_a_chain_of_exact_counts_is_that_of_the_shares():
  codes = codes_of(4000, 8)
  codes[:, 1:, 0] = (codes[:, :-1, 0] + codes[:, 1:, 0] // 2) % 3
  counts = np.asarray(event_chains.counted(codes, SIZES).sum(axis=0)).ravel()
  assert counts.sum() == 4000 * (8 + 8) + (codes[..., 1] > 0).sum()
  params = event_chains.from_counts(counts, SIZES, 0.0)
  whole = event_chains.markov(codes, SIZES)
  held = codes_of(500, 8, seed=9)
  held[:, 1:, 0] = (held[:, :-1, 0] + held[:, 1:, 0] // 2) % 3
  ours, theirs = (
    log_likelihood(Chain(SIZES), p, jnp.asarray(held)) for p in (params, whole)
  )
  for name in ours:
    a, b = float(ours[name].mean()), float(theirs[name].mean())
    assert a == pytest.approx(b, rel=0.01), name
  for logits in params.values():
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1, atol=1e-5)


# A run.


def test_it_is_written_and_accounted_for_before_noise(folder, tmp_path):
  seen = []
  spend = ledger.Ledger.spend

  def watched(self, name, what, whose):
    found = spend(self, name, what, whose)
    seen.append((name, what, (tmp_path / "privacy/ledger.jsonl").read_text()))
    return found

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(ledger.Ledger, "spend", watched)
    built = experiment.build(config(folder), tmp_path)
  # Nothing was drawn so far, and the spend is on the disk.
  ((name, what, text),) = seen
  assert name == "training" and f'"count": {what.count}' in text
  counts = built.dataset["counts"]
  public = Poisson(
    {"x": np.zeros(counts["train users"])}, 12, b"of another secret"
  )
  assert what == accounting.steps(public, what.noise_multiplier, 8)
  assert 2.9 < accounting.epsilon([what], 1e-5, "rdp") <= 3.0
  # Noise does not come from what is known.
  again = experiment.build(config(folder), tmp_path)
  batch = built.batches(0, 2)
  np.testing.assert_array_equal(batch["noise"], again.batches(0, 2)["noise"])
  other = experiment.build(config(folder), tmp_path / "other")
  assert (batch["noise"] != other.batches(0, 2)["noise"]).any()

  # Another budget for the same workdir is refused; nothing is spent.
  with pytest.raises(ValueError, match="ledger of another budget"):
    experiment.build(config(folder, **{"privacy.epsilon": "1.0"}), tmp_path)


@pytest.mark.parametrize("kind", private_events.MODELS)
def test_a_run_spends_once_and_shows_what_is_declared(kind, folder, tmp_path):
  choice = {"model.kind": kind}
  built = experiment.build(config(folder, **choice), tmp_path)
  secret = (tmp_path / "privacy/secret").read_bytes()
  state = loop.train(
    built.game,
    built.batches,
    built.schedule,
    tmp_path,
    0,
    mesh=parallel.make_mesh(1, jax.devices()[:1]),
    progress=False,
  )
  result = built.finish(state)
  for path in tmp_path.rglob("*"):
    assert path.is_dir() or secret not in path.read_bytes(), path
  (line,) = result["privacy"]["spends"]
  assert {line["name"]} == set(built.probes)
  spent = accounting.epsilon([Gaussian(**line["gaussian"])], 1e-5, "rdp")
  assert result["privacy"]["spent"] == result["metrics"]["test/spent"] == spent
  assert result["privacy"]["unit"] == "household, all rows"
  assert "at most 3 windows of 6 events" in result["privacy"]["bounded"]
  bound = probes.noise_bound(*built.probes[line["name"]](40), 0.99)
  assert bound >= line["gaussian"]["noise_multiplier"]

  made = pq.ParquetFile(tmp_path / "synthetic.parquet").read()
  outside_of_what_is_declared_is_nothing(made)
  # More is drawn when the secret is gone; nothing is spent again.
  ended = experiment.build(config(folder, **choice), tmp_path)
  num = ended.dataset["counts"]["train users"]
  assert ended.sample(state, num, 0).equals(made)
  lines = (tmp_path / "privacy/ledger.jsonl").read_text().splitlines()
  assert len(lines) == 2 and not (tmp_path / "privacy/secret").exists()
  if kind == "recurrent":
    with pytest.raises(ValueError, match="secret is gone"):
      ended.batches(0, 1)
  else:
    (tmp_path / "privacy/bought.npz").unlink()
    with pytest.raises(ValueError, match="secret is gone"):
      experiment.build(config(folder, **choice), tmp_path)


def outside_of_what_is_declared_is_nothing(made):
  source = log()
  assert made.column_names == source.column_names
  assert set(made["what"].to_pylist()) <= set(DECLARED.kinds)
  assert set(made["aisle"].to_pylist()) <= set(AISLES)
  low, high = (np.datetime64(x) for x in (DECLARED.first, DECLARED.last))
  when, paid = made["when"].to_numpy(), made["paid"].to_numpy()
  assert (low <= when).all() and (when <= high).all()
  assert (paid >= 0).all() and (paid <= DECLARED.amounts[-1]).all()
  ids = set(made["customer"].to_pylist())
  assert not ids & set(source["customer"].to_pylist())
  # Times are the frame's, not the source's plus something.
  assert not set(when) & set(source["when"].to_numpy())


def test_what_is_known_of_a_log_is_not_its_values(folder, tmp_path):
  """Another log of the same households and columns: the same but for noise."""
  rows = log()
  moved = pc.add(rows["when"], pa.scalar(10**6, pa.duration("s")))
  other = rows.set_column(3, "when", moved.cast(rows["when"].type))
  other = other.set_column(4, "paid", pc.multiply(other["paid"], 0.5))
  pyarrow.csv.write_csv(other, tmp_path / "log.csv")
  one = experiment.build(config(folder), tmp_path / "one")
  path = {"data.path": str(tmp_path / "log.csv")}
  two = experiment.build(config(folder, **path), tmp_path / "two")
  state = init_state(one.game, KEY)
  assert one.sample(state, 40, 1).equals(two.sample(state, 40, 1))


@pytest.mark.parametrize(
  ("bad", "message"),
  [
    ({"model.kind": "independent"}, "choose recurrent or markov"),
    ({"privacy.most": "0"}, "privacy.most=0: must be at least 1"),
    ({"privacy.clip": "0.0"}, "privacy.clip"),
    ({"data.holdout": "0.5"}, "must be below .5"),
    ({"batch_size": "10_000"}, "expected must be above 0"),
  ],
)
def test_bad_options_are_refused_and_nothing_is_spent(
  bad, message, folder, tmp_path
):
  with pytest.raises(ValueError, match=message):
    experiment.build(config(folder, **bad), tmp_path)
  assert not (tmp_path / "privacy" / "secret").exists()


def test_without_privacy_nothing_is_written_of_it(folder, tmp_path):
  built = experiment.build(
    config(folder, **{"privacy.enabled": "False"}), tmp_path
  )
  assert not (tmp_path / "privacy").exists() and not built.probes


@pytest.mark.slow
def test_a_person_trains_and_draws(folder):
  path = ROOT / "configs" / "private" / "events.py"
  arg = ",".join(f"{n}={v}" for n, v in given(folder).items())
  done = run_script(
    "train",
    f"--config={path}:{arg}",
    "--workdir=run",
    "--noprogress",
    cwd=folder,
  )
  assert done.status == 0, done.stderr
  result = json.loads((folder / "run/result.json").read_text())
  assert result["privacy"]["epsilon"] == 3.0 and result["steps"] == 8
  done = run_script(
    "generate", "--workdir=run", "--rows=30", "--out=a.parquet", cwd=folder
  )
  assert done.status == 0, done.stderr
  made = pq.ParquetFile(folder / "a.parquet").read()
  outside_of_what_is_declared_is_nothing(made)
