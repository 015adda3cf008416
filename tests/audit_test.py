"""Audits of synthetic tables: a planted leak, attacks by hand, bad input."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from bad_input_test import refused
from programs import run as run_script

from adv_rec.evaluation import (
  audit_copies,
  audit_risks,
  audit_rows,
)
from adv_rec.evaluation.audit_risks import Condition
from adv_rec.experiments import audit
from adv_rec.privacy import canaries

ROWS = 1200


def people(rows, seed):
  """Rows of one population, of every kind of column."""
  rng = np.random.default_rng([seed])
  age = rng.integers(18, 90, rows)
  income = np.round(rng.gamma(2, 20, rows) * (0.5 + age / 60), 2)
  city = np.array(["A", "B", "C", "D"])[rng.integers(0, 4, rows)]
  return pa.table(
    {
      "age": age,
      "city": pa.array(city, mask=rng.random(rows) < 0.05),
      "member": rng.random(rows) < age / 100,
      "income": pa.array(income, mask=rng.random(rows) < 0.05),
      "spent": np.round(income * rng.uniform(0.2, 0.9, rows), 2),
      "visits": rng.poisson(3, rows),
    }
  )


def write(table, path):
  if path.suffix == ".csv":
    pyarrow.csv.write_csv(table, path)
  else:
    pq.write_table(table, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """source.csv, control.csv, clean.parquet, leaky.csv (10 % copied)."""
  folder = tmp_path_factory.mktemp("audit")
  source, control, clean = (people(ROWS, seed) for seed in range(3))
  copied = source.slice(0, ROWS // 10)
  leaky = pa.concat_tables([clean.slice(0, ROWS - ROWS // 10), copied])
  write(source, folder / "source.csv")
  write(control, folder / "control.csv")
  # Another order of the columns, other types of the numbers.
  clean = clean.set_column(0, "age", clean["age"].cast("float64"))
  write(clean.select(clean.column_names[::-1]), folder / "clean.parquet")
  write(leaky, folder / "leaky.csv")
  return folder


def audited(folder, release, **options):
  given = {"attacks": 1200, "secrets": ["income"], "confidence": 0.99}
  return audit.audit(
    folder / release,
    folder / "source.csv",
    folder / "control.csv",
    **(given | options),
  )


def risks(result):
  return {
    **{n: found["risk"] for n, found in result["singling_out"].items()},
    "linkability": result["linkability"]["risk"],
    "inference": result["inference"]["income"]["risk"],
  }


def test_a_release_that_copies_a_tenth_is_found(folder):
  result = audited(folder, "leaky.csv")
  assert result["copies"]["all"]["value"] == pytest.approx(0.1, abs=0.002)
  assert result["copies"]["excess"]["low"] > 0.05
  near = result["closest"]
  assert near["source"]["quantile_0.05"] == 0 < near["control"]["quantile_0.05"]
  assert near["closer"]["value"] == pytest.approx(0.55, abs=0.04)
  for name, risk in risks(result).items():
    # Three columns isolate few rows of so small a table: little is learnt.
    assert risk["low"] > 0 or name == "3", name
    assert risk["low"] < risk["value"] < risk["high"]
  # Who is linked, or has a secret told, is one of the tenth that was copied.
  for name in ("linkability", "inference"):
    assert risks(result)[name]["value"] == pytest.approx(0.1, abs=0.04)
  attacks = result["membership"]["attacks"]
  assert attacks["density_1"]["auc"]["low"] > 0.5
  for name in ("closest", "density_1"):
    for rate in ("tpr@0.01", "tpr@0.001"):
      assert attacks[name][rate]["value"] == pytest.approx(0.1, abs=0.03)
      assert attacks[name][rate]["low"] > 0.05
  assert 1 < result["membership"]["epsilon"]["lower"] < 4


def test_an_independent_sample_is_not(folder):
  result = audited(folder, "clean.parquet", epsilon=0.5, delta=1e-5)
  assert result["columns"]["member"] == "category"
  assert result["copies"]["all"]["value"] == 0
  excess, closer = result["copies"]["excess"], result["closest"]["closer"]
  assert excess["low"] <= 0 <= excess["high"]
  assert closer["low"] < 0.5 < closer["high"]
  for name, risk in risks(result).items():
    assert risk["low"] == 0, name
  for found in result["membership"]["attacks"].values():
    assert found["auc"]["low"] < 0.5 < found["auc"]["high"]
  assert result["membership"]["epsilon"]["lower"] < 0.1
  assert result["claim"]["contradicted"] is False
  json.dumps(result, allow_nan=False)


def test_the_same_seed_gives_the_same_audit(folder):
  options = {"attacks": 100, "quasi": ["age", "city"]}
  one, same, other = (
    audited(folder, "leaky.csv", seed=s, **options) for s in (3, 3, 4)
  )
  assert one == same != other


def test_gowers_distance_by_hand():
  names = ("x", "c", "y")
  source = pa.table([[0.0, 10.0], ["a", "b"], [1, None]], names)
  control = pa.table([[5.0], [None], [3]], names)
  made = pa.table([[0.0], ["a"], [None]], names)
  columns, (real, held, fake) = audit_rows.encode(source, control, made)
  assert columns.widths.tolist() == [10, 1, 2]
  both = np.concatenate([real, held])
  found, order = audit_rows.nearest(fake, both, columns, range(3), 3)
  # (0, same, missing or not), (1, other, same), (.5, missing or not, ...).
  np.testing.assert_allclose(found, [[1 / 3, 2 / 3, 2.5 / 3]], rtol=1e-6)
  assert order.tolist() == [[0, 1, 2]]
  found, order = audit_rows.nearest(fake, both, columns, [0], 1)
  assert (found.tolist(), order.tolist()) == ([[0.0]], [[0]])
  assert audit_rows.keys(real[:1] * [0, 1, 1]) == audit_rows.keys(
    real[:1] * [-0.0, 1, 1]
  )


def test_tables_of_other_types_hold_the_same_rows():
  day = pa.array(["2021-01-01", "2021-05-07"]).cast(pa.date32())
  one = pa.table({"x": [0.1, 0.7], "t": day, "b": ["true", "false"]})
  two = pa.table(
    {
      "x": pa.array([0.1, 0.7], pa.float32()),
      "t": day.cast(pa.timestamp("ns")),
      "b": [True, False],
    }
  )
  _, (first, _, second) = audit_rows.encode(one, one, two)
  assert audit_rows.keys(first) == audit_rows.keys(second)


def test_predicates_isolate_a_row_of_the_release():
  rng = np.random.default_rng(0)
  table = people(500, 7)
  columns, (rows, *_) = audit_rows.encode(table, table, table)
  guesses = [
    audit_risks.univariate(rows, columns, 300, rng),
    audit_risks.multivariate(rows, columns, 300, rng),
  ]
  for guess in guesses:
    assert len({repr(p) for p in guess}) == len(guess) > 100
    assert all(audit_risks.matches(rows, p) == 1 for p in guess)
  # The release is its source: whatever isolates a row in one does in both.
  found = audit_risks.singling_out(rows, rows[:0:-1], guesses[0], 0.95, rng)
  assert found["source"]["value"] > 0.99
  missing = np.array([[np.nan, 1.0], [2.0, 1.0], [3.0, 2.0]])
  assert audit_risks.matches(missing, (Condition(0, "=", np.nan),)) == 1
  both = (Condition(0, "<=", 2.0), Condition(1, ">=", 1.0))
  assert audit_risks.matches(missing, both) == 1
  assert audit_risks.singling_out(rows, rows, [], 0.95, rng) == {"attacks": 0}


def test_a_large_source_hides_no_one_behind_a_small_control():
  """Half of the predicates name one row of the source, half name no one."""
  names = np.arange(3000.0)[:, None]
  source, control = names, names[:1000] + 1e4
  guesses = [
    (Condition(0, "=", float(x)),) for x in (*range(300), *range(-300, 0))
  ]

  def found(real, held):
    rng = np.random.default_rng(0)
    return audit_risks.singling_out(real, held, guesses, 0.95, rng)

  alike = found(source, names + 1e4)
  assert alike["risk"]["value"] == pytest.approx(0.5, abs=0.01)
  few = found(source, control)
  assert few["source"]["value"] == pytest.approx(1 / 6, abs=0.05)
  assert few["risk"]["low"] < 0.5 < few["risk"]["high"]
  assert few["risk"]["low"] > 0.35
  # A row that occurs twice is one person's.
  assert found(np.repeat(source, 2, axis=0), np.repeat(control, 3, axis=0)) == (
    few
  )
  assert found(control, source)["risk"]["value"] == 0
  columns = audit_rows.Columns(("x",), np.array([True]), np.array([1.0]))
  rng = np.random.default_rng(0)
  twice = np.repeat(names[:50], 2, axis=0)
  assert len(audit_risks.univariate(twice, columns, 99, rng)) == 52


def test_the_order_of_a_release_says_nothing(folder):
  """Of equally close rows it is not the first, or the last, that is taken."""
  copied, others = people(ROWS, 0).slice(0, 300), people(ROWS, 2).slice(0, 900)
  rates = []
  for name, parts in (("first", (copied, others)), ("last", (others, copied))):
    write(pa.concat_tables(parts), folder / f"{name}.csv")
    options = {"attacks": 600, "quasi": ["age", "city", "member"]}
    found = audited(folder, f"{name}.csv", **options)
    rates.append(found["linkability"]["source"])
  first, last = rates
  assert last["low"] < first["value"] < last["high"]


def test_a_release_of_one_row_says_one_thing():
  """All rows alike, and alike a real one: no evidence of a leak."""
  rng = np.random.default_rng(0)
  table = people(200, 8)
  columns, (rows, *_) = audit_rows.encode(table, table, table)
  real, held, made = rows[:100], rows[100:], np.repeat(rows[:1], 500, axis=0)
  found = audit_copies.copies(real, held, made, 0.95, rng)
  assert found["source"]["value"] == 1 and found["excess"]["low"] < 0.1
  near = audit_copies.closest(real, held, made, columns, 0.95, rng, 500)
  assert near["closer"]["value"] == 1 and near["closer"]["low"] < 0.5


def test_canaries_bound_epsilon_in_one_run():
  rng = np.random.default_rng(0)
  inside, outside = rng.normal(size=(2, 500))
  assert canaries.epsilon_bound(inside, outside, 1e-5) < 0.1
  # Of the half that judges, 250 guesses of 250 are right: at epsilon, that has
  # the chance (e^epsilon / (1 + e^epsilon))^250.
  perfect = canaries.epsilon_bound(np.ones(500), np.zeros(500), 1e-12)
  q = 0.05 ** (1 / 250)
  assert perfect == pytest.approx(math.log(q / (1 - q)), abs=1e-3)
  above = 0
  for seed in range(60):  # randomised response of epsilon 1
    put = rng.random(400) < 0.5
    said = np.where(rng.random(400) < math.e / (1 + math.e), put, ~put)
    x, y = said[put].astype(float), said[~put].astype(float)
    above += canaries.epsilon_bound(x, y, 1e-9, 0.9, seed) > 1
  assert above <= 6
  with pytest.raises(ValueError, match="included canaries"):
    canaries.epsilon_bound(np.array([np.nan]), outside, 1e-5)
  with pytest.raises(ValueError, match="delta=0"):
    canaries.epsilon_bound(inside, outside, 0)


def arguments(folder, release="leaky.csv", **given):
  paths = {
    "synthetic": folder / release,
    "source": folder / "source.csv",
    "control": folder / "control.csv",
    "attacks": 300,
    "secret": "income",
    "out": "audit",
  }
  return [f"--{k}={v}" for k, v in (paths | given).items() if v is not None]


def test_the_script_writes_and_prints(folder, tmp_path):
  done = run_script("audit", *arguments(folder), cwd=tmp_path)
  assert done.status == 0, done.stderr
  written = json.loads((tmp_path / "audit/audit.json").read_text())
  assert written["rows"] == dict.fromkeys(
    ("source", "control", "synthetic"), ROWS
  )
  least = written["membership"]["epsilon"]["lower"]
  assert f"is at least {least:.3f}" in done.stdout
  assert "inference, income" in done.stdout
  assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_a_claim_that_is_contradicted_fails(folder, tmp_path):
  given = arguments(folder, epsilon=0.1, delta=1e-5, attacks=1200)
  done = run_script("audit", *given, cwd=tmp_path)
  assert done.status == 1
  assert done.stderr.splitlines()[-1].startswith(
    "error: the release contradicts its claim of epsilon 0.1 at delta 1e-05"
  )
  written = json.loads((tmp_path / "audit/audit.json").read_text())
  assert written["claim"]["contradicted"] is True


BAD = {
  # options -> words of the error
  "missing": ({"source": "none.csv"}, "none.csv"),
  "empty": ({"source": "empty.csv"}, "empty.csv is empty"),
  "header": ({"source": "header.csv"}, "has 0 row"),
  "one": ({"synthetic": "one.csv"}, r"one.csv \(synthetic\) has 1 row"),
  "fewer": ({"synthetic": "fewer.csv"}, "no column 'visits'"),
  "more": ({"control": "more.csv"}, "column 'extra' that the source has not"),
  "kinds": ({"control": "kinds.csv"}, "'age' is numbers in the source"),
  "same": ({"control": "source.csv"}, "the same table"),
  "infinite": ({"synthetic": "infinite.csv"}, "infinite number in row 3"),
  "secret": ({"secrets": ["wealth"]}, "'wealth'"),
  "both": ({"quasi": ["income"]}, "both secret and quasi"),
  "all": ({"quasi": people(1, 0).column_names, "secrets": []}, "every column"),
  "delta": ({"delta": 2}, "delta=2"),
  "epsilon": ({"epsilon": -1}, "epsilon=-1"),
  "attacks": ({"attacks": 9}, "attacks=9"),
  "confidence": ({"confidence": 1}, "confidence=1"),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory, folder):
  """A folder of tables that cannot be audited."""
  made = tmp_path_factory.mktemp("bad")
  good = people(ROWS, 0)
  (made / "empty.csv").write_text("")
  write(good.slice(0, 0), made / "header.csv")
  write(good.slice(0, 1), made / "one.csv")
  write(good.drop_columns(["visits"]), made / "fewer.csv")
  write(good.append_column("extra", good["age"]), made / "more.csv")
  words = pa.array(["old"] * ROWS)
  write(good.set_column(0, "age", words), made / "kinds.csv")
  spent = good["spent"].to_numpy().copy()
  spent[2] = np.inf
  write(good.set_column(4, "spent", pa.array(spent)), made / "infinite.csv")
  for name in ("source.csv", "control.csv"):
    (made / name).write_bytes((folder / name).read_bytes())
  return made


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_audited_is_refused(case, bad, monkeypatch):
  monkeypatch.chdir(bad)
  given, says = BAD[case]
  files = {name: "source.csv" for name in ("synthetic", "source")}
  options = {**files, "control": "control.csv", "secrets": ["income"]}
  with pytest.raises((ValueError, FileNotFoundError), match=says):
    audit.audit(**(options | given))


@pytest.mark.parametrize(
  "given, says",
  [
    ({"synthetic": "fewer.csv"}, "no column 'visits'"),
    ({"out": None}, "--out is missing"),
    ({"out": "one.csv"}, "is a file"),
  ],
)
def test_the_script_refuses_in_one_line(given, says, folder, bad):
  refused(bad, "audit", *arguments(folder, **given), says=says)
