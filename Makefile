# Each of demo, test and check does all its own set-up, with git, make and Python 3.10 or newer.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint types contracts check docs diagrams format schedules vectors bench oldest package clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Plan an example folder that has a conflict in it
	@$(BIN)/kopia-maint plan docs/examples/shared-repository --now 2024-01-15T10:30:00Z; \
	status=$$?; [ $$status -eq 1 ] && echo "exit status 1: a conflict was found, as the example wants it" \
	|| { echo "exit status $$status, 1 was expected"; exit 1; }

test: $(VENV)/.dev ## Pass the tests
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: $(VENV)/.dev ## What may import what
	$(BIN)/lint-imports

check: lint types contracts docs test ## Everything that CI asks for

docs: $(VENV)/.docs ## Build the pages into docs/_build
	$(BIN)/sphinx-build -W --keep-going -n -q -b html docs docs/_build
	@echo "open docs/_build/index.html"

diagrams: $(VENV)/.dev ## Draw the diagrams of the pages again, from what the code says of itself
	$(BIN)/python -m tests.diagrams

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schedules: $(VENV)/.dev ## Compare a million schedules with the parser that Kubernetes runs (needs Go, see tests/robfig)
	$(BIN)/python -m tests.campaign_schedules

vectors: $(VENV)/.dev ## Write the generated conformance vectors again
	$(BIN)/python -m tests.vectors

bench: $(VENV)/.bench ## Measure what it costs, against what a reader knows
	$(BIN)/python -m tests.benchmarks

oldest: ## Pass the tests with the oldest dependencies that are allowed
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-oldest/bin/pip install --quiet --editable '.[cli,testing]' --group tests attrs==24.1.0 croniter==6.1.0
	$(VENV)-oldest/bin/python -m pytest

package: $(VENV)/.dev ## Build the wheel and the sdist, and install the wheel into an empty environment
	rm -rf dist
	$(BIN)/python -m build
	rm -rf $(VENV)-package
	$(PYTHON) -m venv $(VENV)-package
	$(VENV)-package/bin/pip install --quiet dist/*.whl
	cd / && $(abspath $(VENV)-package)/bin/python -c "import kopia_maint; print(kopia_maint.__version__)"

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-package dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed; name one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[cli]'
	@touch $@

$(VENV)/.docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[testing]' --group docs
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[cli,testing]' --group dev
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[cli]' --group bench
	@touch $@ $(VENV)/.demo
