"""The notebook runs from top to bottom, on a slice of the real data."""

import copy
import re

import nbclient
import nbformat
import programs
import pytest

NOTEBOOK = programs.ROOT / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def book():
  return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def outputs(book, tmp_path_factory):
  """First line of each code cell, without spaces -> its outputs."""
  small = copy.deepcopy(book)
  (settings,) = (
    cell
    for cell in small.cells
    if "parameters" in cell.metadata.get("tags", [])
  )
  settings.source = "HOUSEHOLDS = 80\nEPOCHS = 4"
  folder = tmp_path_factory.mktemp("notebook")
  client = nbclient.NotebookClient(
    small, timeout=300, resources={"metadata": {"path": str(folder)}}
  )
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("PYTHONPATH", str(programs.ROOT))
    client.execute()
  codes = [cell for cell in small.cells if cell.cell_type == "code"]
  return {_mark(cell): cell.outputs for cell in codes}


def _mark(cell):
  return cell.source.strip().splitlines()[0]


def _text(outputs, mark):
  (found,) = (out for name, out in outputs.items() if name.startswith(mark))
  return "".join(out.text for out in found if out.get("name") == "stdout")


def test_it_is_stored_without_outputs(book):
  nbformat.validate(book)
  codes = [cell for cell in book.cells if cell.cell_type == "code"]
  assert codes and not any(cell.outputs for cell in codes)
  assert not any(cell.execution_count for cell in codes)


def test_the_repository_is_named_once_and_installed_if_missing(book):
  sources = [cell.source for cell in book.cells if cell.cell_type == "code"]
  assert "".join(sources).count("https://") == 1
  assert "pip install" in sources[0]
  assert 'if importlib.util.find_spec("adv_rec") is None' in sources[0]
  assert not any("pip install" in source for source in sources[1:])


def test_the_data_is_the_slice(outputs):
  text = _text(outputs, "source = sources.find")
  assert re.search(r"^read: [\d,]+ interactions, 80 users", text, re.MULTILINE)


def test_both_models_are_compared(outputs):
  text = _text(outputs, "print(table.comparison")
  rows = {line.split()[0]: line.split() for line in text.splitlines()[2:]}
  assert rows.keys() == {"BPR-MF", "APR"}
  assert all(0 < float(row[1].rstrip("*")) < 1 for row in rows.values())


def test_the_robustness_curves_are_drawn(outputs):
  (found,) = (x for name, x in outputs.items() if name.startswith("runs = "))
  charts = [out.data["image/svg+xml"] for out in found if "data" in out]
  assert len(charts) == 3
  for chart in charts:
    assert "BPR-MF" in chart and "APR" in chart and "random noise" in chart


def test_one_household_gets_ten_products_and_is_attacked(outputs):
  household, *lines = _text(outputs, "USER = 0").splitlines()
  assert re.fullmatch(r"household \d+", household)
  assert [int(line.split()[0]) for line in lines] == list(range(1, 11))
  assert len({line.split()[1] for line in lines}) == 10  # products
  _, *rows = _text(outputs, "indptr, items").splitlines()
  kept = {tuple(row.split()[:2]): row.split()[2:] for row in rows}
  assert len(kept) == 4
  for name in ("bpr", "apr"):
    attack, random = (
      list(map(int, kept[name, kind])) for kind in ("attack", "random")
    )
    assert len(attack) == len(random) == 4
    assert all(0 <= n <= 10 for n in attack + random)
    assert sum(attack) < sum(random)
