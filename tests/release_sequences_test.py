"""Releases of made-up households: what they say; no broken one passes."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from private_events_test import DECLARED, NEVER, config, given, write
from programs import ROOT
from programs import run as run_script
from release_checks import QUICK, not_released, not_verified

from adv_rec.data import declared_events, event_codes
from adv_rec.evaluation import audit_sequences
from adv_rec.evaluation.audit_sequences import Histories
from adv_rec.experiments import private_events, private_sequences
from adv_rec.privacy import accounting
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release import make, verify

LONG = {"model.length": "12"}  # runs of 8 events fit in
CHAIN = {"model.kind": "markov", **LONG}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return write(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def good(folder):
  """A release as a person makes it; tests change copies of it."""
  path = ROOT / "configs/release/events.py"
  arg = ",".join(f"{n}={v}" for n, v in given(folder, **LONG).items())
  done = run_script(
    "release",
    f"--config={path}:{arg}",
    "--epsilon=8",
    "--delta=1e-5",
    "--out=good",
    "--workdir=work",
    "--noprogress",
    cwd=folder,
  )
  assert done.status == 0, done.stderr
  assert "for each household with all rows" in done.stdout
  return folder / "good"


def test_a_release_is_what_it_says(good, folder):
  card = verify.verify(good)
  (line,) = (folder / "work/privacy/ledger.jsonl").read_text().splitlines()[1:]
  spend = Gaussian(**json.loads(line)["gaussian"])
  total = accounting.epsilon([spend], 1e-5, "rdp")
  assert card["guarantee"]["epsilon"] == pytest.approx(total) and total <= 8
  assert [line["name"] for line in card["ledger"]] == ["counts"]
  assert 0.5 * total < card["probed_epsilon"] <= total
  assert card["guarantee"]["unit"] == private_sequences.UNIT
  made = pq.read_table(good / "data/log.parquet")
  assert made.equals(pq.read_table(folder / "work/synthetic.parquet"))
  assert pyarrow.csv.read_csv(good / "data/log.csv").num_rows == made.num_rows
  learnt = card["guarantee"]["learnt_from"]
  assert learnt == card["table"]["sequences"] == 43
  for path in good.rglob("*.*"):
    for hidden in (NEVER, str(folder)):
      assert hidden.encode() not in path.read_bytes(), (path, hidden)
  page = (good / "card.html").read_text()
  for words in ("43 made-up ones", "at most 3 windows", "2024-01-01 to 2025"):
    assert words in page


@pytest.mark.slow
def test_a_network_is_released_too(folder, tmp_path):
  card = make.release(
    config(folder),
    tmp_path / "out",
    tmp_path / "work",
    QUICK._replace(figures=False),
  )
  (line,) = card["ledger"]
  assert line["name"] == "training" and line["gaussian"]["count"] == 8
  assert line["gaussian"]["units"] == card["guarantee"]["learnt_from"]
  assert card["outside"] is None
  assert (tmp_path / "work/release/audit.json").exists()


# What is broken in the code, and what says so.

counts = private_sequences.behaviour.counts
mean_counts = private_sequences.mean_counts
private = private_sequences.private


def no_noise_on_counts(patch):
  patch.setattr(
    private_sequences.behaviour,
    "counts",
    lambda rows, noise, rng: counts(rows, 0.0, rng),
  )


def counts_of_any_norm(patch):
  patch.setattr(
    private_sequences,
    "mean_counts",
    lambda codes, owners, sizes, bound: (
      1e3 * mean_counts(codes, owners, sizes, bound)
    ),
  )


def counts_that_nobody_probes(patch):
  chain = private_sequences.chain
  patch.setattr(
    private_sequences, "chain", lambda *a: chain(*a)._replace(probes={})
  )


def moments_of_the_log(patch):
  """Times as they occur: a look at the rows."""
  prepared = private_events.prepared

  def looked(config, workdir):
    found = prepared(config, workdir)
    early = DECLARED._replace(first="2023-01-01")
    frame = declared_events.frame(early, found.log.table.column_names)
    return found._replace(log=frame)

  patch.setattr(private_events, "prepared", looked)


def no_noise_on_gradients(patch):
  patch.setattr(
    private_sequences, "private", lambda clip, noise, *a: private(clip, 0.0, *a)
  )


def gradients_of_any_norm(patch):
  patch.setattr(
    private_sequences,
    "private",
    lambda clip, noise, *a: private(1e3 * clip, noise / 1e3, *a),
  )


# The rows of two secrets may be the same ones where noise is next to nothing.
NO_NOISE = "contradicts the claim: the probe of 'counts'|and not on the noise"
BROKEN = {
  no_noise_on_counts: (CHAIN, NO_NOISE),
  counts_of_any_norm: (CHAIN, NO_NOISE),
  counts_that_nobody_probes: (CHAIN, "each mechanism needs its line"),
  moments_of_the_log: (CHAIN, "not as declared.*which is no declared moment"),
  no_noise_on_gradients: ({}, "contradicts the claim: the probe of 'training'"),
  gradients_of_any_norm: ({}, "contradicts the claim: the probe of 'training'"),
}


@pytest.mark.parametrize(
  "broken",
  [
    # A network is played 600 times.
    broken if more else pytest.param(broken, marks=pytest.mark.slow)
    for broken, (more, _) in BROKEN.items()
  ],
  ids=lambda b: b.__name__,
)
def test_a_broken_mechanism_is_refused_before_anything_is_spent(
  broken, folder, tmp_path, monkeypatch
):
  more, says = BROKEN[broken]
  broken(monkeypatch)
  not_released(config(folder, **more), tmp_path, says)


def test_what_real_households_did_is_not_released(
  folder, tmp_path, monkeypatch
):
  """A run that copies what it should have learnt from."""
  tables = private_events.events.tables

  def copying(data, draw):
    train = data.parts["train"]

    def sample(state, rows, seed):
      if len(train.begin) > 100:  # a rehearsal's
        return tables(data, draw)(state, rows, seed)
      rng = np.random.default_rng(0)
      codes = train.windows(12, data.coding.end, rng)
      users = pa.array([f"generated{i}" for i in range(len(codes))])
      return event_codes.decode(codes, data.coding, data.log, users, rng).table

    return sample

  monkeypatch.setattr(private_events.events, "tables", copying)
  out = tmp_path / "out"
  with pytest.raises(ValueError, match=r"made-up households 100\.0% repeat"):
    make.release(config(folder, **CHAIN), out, tmp_path / "work", QUICK)
  assert not out.exists()
  assert (tmp_path / "work/release/audit.json").exists()


@pytest.mark.parametrize(
  ("more", "asked", "says"),
  [
    ({}, {"rows": 10}, "the run draws a sequence for each household"),
    ({}, {"drop": ("day",)}, "only the columns of data.columns are read"),
    ({"privacy.enabled": "False"}, {}, "not accounted for"),
    ({"data.columns.user": "who"}, {}, "'who'"),
    ({"data.declared": "none.json"}, {}, "none.json"),
  ],
)
def test_what_cannot_be_released_is_refused(
  more, asked, says, folder, tmp_path
):
  options = QUICK._replace(**asked)
  not_released(config(folder, **CHAIN, **more), tmp_path, says, options)


def test_an_undeclared_event_stops_it_before_anything_is_spent(
  folder, tmp_path
):
  narrow = DECLARED._replace(kinds={"buy": ("tea",), "view": ("tea",)})
  (tmp_path / "log.json").write_text(json.dumps(narrow._asdict()))
  asked = config(
    folder, **CHAIN, **{"data.declared": str(tmp_path / "log.json")}
  )
  not_released(asked, tmp_path, "not declared of it")


def of_rows(card):
  card["guarantee"]["unit"] = card["guarantee"]["protected"] = "row"


def less_noise_said(card):
  card["ledger"][0]["gaussian"]["noise_multiplier"] *= 2


def fewer_households(card):
  card["table"]["sequences"] = 3


def fewer_kinds(card):
  del card["table"]["events"]["kinds"]["buy"]


def nothing_declared(card):
  del card["table"]["events"]["gaps"]


@pytest.mark.parametrize(
  ("change", "says"),
  [
    (of_rows, "not of 'household, all rows'"),
    (less_noise_said, "and the ledger on the card makes"),
    (fewer_households, "page|no made-up user"),
    (fewer_kinds, "page|not declared"),
    (nothing_declared, "gaps"),
  ],
)
def test_a_changed_card_is_not_verified(change, says, good, tmp_path):
  not_verified(good, tmp_path, change, says)


# The attack.


def sequences(*users):
  codes = np.concatenate([np.array(user, np.int32) for user in users])
  begin = np.cumsum([0, *(len(user) for user in users)])
  return Histories(codes, begin)


def events_of(*kinds):
  return [(kind, 0, 0) for kind in kinds]


def test_shares_of_runs_by_hand():
  users = sequences(
    events_of(9, 1, 2, 3),  # runs of two: 12, 23
    events_of(1, 2),  # none: the first event is left out
    events_of(9, 5, 6, 1, 2),  # 56, 61, 12
  )
  known = sequences(events_of(1, 2), events_of(3, 5, 6))
  found = audit_sequences.shares(users, known, 2)
  np.testing.assert_allclose(found, [1 / 2, np.nan, 2 / 3])
  # 2 and 3 follow each other, but are of two users.
  assert audit_sequences.shares(users, sequences(events_of(2)), 3)[0] == 0


def test_members_are_found_where_they_are_copied_and_nowhere_else():
  rng = np.random.default_rng(0)

  def drawn(num):
    codes = [rng.integers(0, 6, (20, 3)).astype(np.int32) for _ in range(num)]
    return sequences(*codes)

  members, others = drawn(200), drawn(200)

  def attack(released):
    return audit_sequences.attack(
      members, others, released, 1e-5, 0.95, np.random.default_rng(1), 150
    )

  copied = attack(members)
  assert copied["attacks"]["runs_8"]["auc"]["value"] == 1
  assert copied["epsilon"]["lower"] > 2
  assert copied["copies"]["made"]["value"] == 1
  assert copied["copies"]["real"]["value"] == 0
  assert (copied["members"], copied["others"]) == (150, 150)
  fresh = attack(drawn(200))
  assert fresh["epsilon"]["lower"] == 0
  for name in ("runs_2", "runs_4", "runs_8"):
    auc = fresh["attacks"][name]["auc"]
    assert auc["low"] <= 0.5 <= auc["high"], name
