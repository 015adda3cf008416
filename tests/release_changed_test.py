"""A release that somebody changed is not verified."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import release_toy as toy
from bad_input_test import refused
from programs import run as run_script

from adv_rec.privacy import accounting
from adv_rec.privacy.accounting import Gaussian
from adv_rec.release import make, verify

pytest_plugins = ("release_toy",)

# What is changed in a folder, and what says so; first as it is, then by
# someone who mends the hashes.


def more_noise(folder):
  toy.edit(
    folder, lambda c: c["ledger"][1]["gaussian"].update(noise_multiplier=9)
  )


def other_sampler(folder):
  toy.edit(
    folder, lambda c: c["ledger"][1]["gaussian"].update(sampler="epochs")
  )


def one_spend_less(folder):
  def drop(card):
    del card["ledger"][0]
    card["guarantee"]["epsilon"] = accounting.epsilon(
      [Gaussian(**card["ledger"][0]["gaussian"])], 1e-5, "rdp"
    )

  toy.edit(folder, drop)
  toy.edit(
    folder,
    lambda m: m.update(epsilon=verify.card(folder)["guarantee"]["epsilon"]),
    "verify.json",
  )


def no_spends(folder):
  toy.edit(folder, lambda c: c.update(ledger=[]))


def smaller_epsilon(folder):
  toy.edit(folder, lambda c: c["guarantee"].update(epsilon=1.0, budget=1.0))


def smaller_promise(folder):
  toy.edit(folder, lambda m: m.update(epsilon=1.0), "verify.json")


def other_page(folder):
  page = folder / "card.html"
  page.write_text(page.read_text().replace("Limits", "No limits"))


def other_rows(folder):
  path = folder / "data/own.csv"
  path.write_text(path.read_text().replace("never", "often"))


def fewer_rows(folder):
  path = folder / "data/own.parquet"
  pq.write_table(pq.ParquetFile(path).read().slice(1), path)


def real_rows(folder):
  """As they are: off the grid."""
  path = folder / "data/own.parquet"
  pq.write_table(toy.made(400), path)


def other_columns(folder):
  path = folder / "data/own.parquet"
  table = pq.ParquetFile(path).read()
  pq.write_table(table.append_column("id", pa.array(range(400))), path)


def lost_rows(folder):
  (folder / "data/own.csv").unlink()


def secret_beside(folder):
  (folder / "secret").write_bytes(bytes(32))


def ledger_beside(folder):
  (folder / "data/ledger.jsonl").write_text("")


def no_card(folder):
  (folder / "card.json").write_text("{}")


CHANGED = {
  more_noise: ("is not the file", "says epsilon 2.9.*and the ledger"),
  other_sampler: ("is not the file", "covers the sampler 'epochs'"),
  one_spend_less: ("is not the file", "were probed, and the ledger has"),
  no_spends: ("is not the file", "has no spend"),
  smaller_epsilon: ("is not the file", "above the budget of 1"),
  smaller_promise: ("verify.json says epsilon 1", "verify.json says epsilon 1"),
  other_page: ("is not the file", "is not the page of card.json"),
  other_rows: ("is not the file", "'often' in row"),
  fewer_rows: ("is not the file", "has 399 rows, the card says 400"),
  real_rows: ("is not the file", "not among the 5 values"),
  other_columns: ("is not the file", "the schema"),
  lost_rows: ("own.csv is missing", "one file of rows"),
  secret_beside: ("is no part of a release", "is no part of a release"),
  ledger_beside: ("is no part of a release", "is no part of a release"),
  no_card: ("is not the file", "is not a card"),
}


@pytest.mark.parametrize("change", CHANGED, ids=lambda c: c.__name__)
def test_a_changed_release_is_not_verified(change, toy_release, tmp_path):
  folder = tmp_path / "changed"
  shutil.copytree(toy_release, folder)
  change(folder)
  before, mended = CHANGED[change]
  with pytest.raises(ValueError, match=before) as caught:
    verify.verify(folder)
  assert "\n" not in str(caught.value)
  toy.edit(
    folder, lambda m: m.update(files=verify.files(folder)), "verify.json"
  )
  if change is lost_rows:
    return  # a release in one format is one
  with pytest.raises(ValueError, match=mended) as caught:
    verify.verify(folder)
  assert "\n" not in str(caught.value)


def test_the_program_verifies_and_refuses_in_one_line(toy_release, tmp_path):
  done = run_script("release", f"--verify={toy_release}", cwd=tmp_path)
  assert done.status == 0, done.stderr
  assert done.stdout.splitlines()[-1].startswith("verified: epsilon, hashes")
  assert make.fingerprint(toy_release) in done.stdout
  refused(tmp_path, "release", f"--verify={tmp_path}", says="is not there")
