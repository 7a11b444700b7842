# Each of demo, test and check does all its own set-up, with git, make and Python 3.10 or newer.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PINS := .ci/constraints.txt
# pip builds in an environment of its own, which --constraint does not reach.
INSTALL := $(BIN)/python -m pip install --quiet --constraint $(PINS) --build-constraint $(PINS)
NOX := $(BIN)/nox --noxfile .ci/noxfile.py --envdir $(CURDIR)/.nox
# The operator's frameworks, which some tests use, cannot be installed on Python 3.10.
CHECKED = src $(shell $(BIN)/python -c 'import kopf' 2>/dev/null && echo tests build/pages)
SERVER := tests/cluster/server
ASSETS := $(or $(KUBEBUILDER_ASSETS),$(SERVER)/bin)
GO_MODULES = $(filter-out $(SERVER)/,$(dir $(shell git ls-files '*go.mod')))

.PHONY: $(shell sed -n 's/^\([a-z]*\):.*/\1/p' Makefile)

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Plan an example folder that has a conflict in it
	@$(BIN)/kopia-maint plan docs/examples/shared-repository --now 2024-01-15T10:30:00Z; \
	status=$$?; [ $$status -eq 1 ] && echo "exit status 1: a conflict was found, as the example wants it" \
	|| { echo "exit status $$status, 1 was expected"; exit 1; }

# --- what CI asks for ------------------------------------------------------------------------------------------------

check: lint types contracts docs test ## Pass everything that needs nothing but Python

test: $(VENV)/.dev ## Pass the tests
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/python -m tests.docs.pages build/pages # what the pages show, as modules
	$(BIN)/mypy $(CHECKED)
	$(BIN)/pyright --pythonpath $(BIN)/python $(CHECKED)
	$(INSTALL) --no-deps --upgrade --target $(VENV)/typed . # as users get it
	PYTHONPATH=$(abspath $(VENV)/typed) $(BIN)/pyright --pythonpath $(BIN)/python --verifytypes kopia_maint --ignoreexternal

contracts: $(VENV)/.dev ## See that modules import only what they may
	$(BIN)/lint-imports

docs: $(VENV)/.docs ## Build the pages into docs/_build
	$(BIN)/sphinx-build -W --keep-going -n -q -b html docs docs/_build
	@echo "open docs/_build/index.html"

go: $(VENV)/.dev ## Pass what needs Go: the package in Go, and what Go says of schedules and hashes
	test -z "$$(gofmt -l docs tests | tee /dev/stderr)"
	$(foreach module,$(GO_MODULES),cd $(CURDIR)/$(module) && go vet ./... && go test ./... &&) true
	$(BIN)/python -m pytest tests/campaigns/go.py

cluster: $(VENV)/.dev $(ASSETS)/kube-apiserver ## Pass the tests on a real API server (needs Go; KUBEBUILDER_ASSETS saves building a server)
	$(BIN)/python -m pytest tests/cluster

proof: $(VENV)/.proof ## Prove the laws of one decision, for any number of tenants and any policy
	$(BIN)/python -m tests.reference.proof

# --- what takes longer -----------------------------------------------------------------------------------------------

coverage: $(VENV)/.dev ## Pass the tests, and see that they leave out no branch of the package
	$(BIN)/python -m pytest --cov

versions: $(VENV)/.versions ## Pass the tests on every Python there is, with the oldest dependencies, and try the package
	$(NOX)

soak: $(VENV)/.dev $(ASSETS)/kube-apiserver ## Explain all that operators do on a real API server while they are killed (needs Go; SECONDS=...)
	$(BIN)/python -m tests.campaigns.soak --seconds $(or $(SECONDS),300)

mutants: $(VENV)/.mutants ## See that a test fails for every small change of the core (MODULES=...)
	$(BIN)/python -m tests.campaigns.mutants $(MODULES)

histories: $(VENV)/.dev ## Check the laws in a million steps of random histories (STEPS=...)
	$(BIN)/python -m tests.campaigns.histories --steps $(or $(STEPS),1000000)

fuzz: $(VENV)/.fuzz ## Fuzz every reader of foreign data, for ten minutes (SECONDS=...)
	$(BIN)/python -m tests.campaigns.fuzz --seconds $(or $(SECONDS),600)

schedules: $(VENV)/.dev ## Compare a million schedules with the parser that Kubernetes runs (needs Go)
	$(BIN)/python -m tests.campaigns.schedules

port: $(VENV)/.dev ## Put 200,000 lines to this package and to the one in Go (needs Go; LINES=...)
	$(BIN)/python -m tests.campaigns.port --lines $(or $(LINES),200000)

bench: $(VENV)/.bench ## Measure what it costs, against what a reader knows
	$(BIN)/python -m tests.campaigns.benchmarks

# --- what writes files -----------------------------------------------------------------------------------------------

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

vectors: $(VENV)/.dev ## Write again what the generated conformance vectors expect
	$(BIN)/python -m tests.conformance.generate

# hatchling builds this package; setuptools and pybind11 build the tools that come as sources.
constraints: $(VENV)/.versions ## Pin the newest versions, once the tests pass with them and with the oldest
	$(NOX) --session tests oldest
	printf '%s\n' pip hatchling setuptools pybind11 | $(BIN)/uv pip compile --quiet --upgrade --universal \
		--python-version 3.10 --no-annotate --custom-compile-command 'make constraints' --output-file $(PINS) \
		--all-extras $(foreach group,dev docs bench fuzz mutants proof versions,--group $(group)) pyproject.toml -

package: $(VENV)/.versions ## Build the wheel and the sdist into dist, and use the wheel in an empty environment
	$(NOX) --session package

clean:
	rm -rf $(VENV) $(SERVER)/bin .nox build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage

# --- set-up ----------------------------------------------------------------------------------------------------------

$(VENV)/.pip: $(PINS)
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed; name one with make PYTHON=..."; exit 1; }
	test -e $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(PINS) pip
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable '.[cli]'
	@touch $@

$(VENV)/.docs: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable '.[testing]' --group docs
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable '.[cli,testing]' --group dev
	@touch $@ $(VENV)/.demo

$(VENV)/.bench $(VENV)/.fuzz $(VENV)/.mutants $(VENV)/.proof $(VENV)/.versions: $(VENV)/.%: $(VENV)/.dev
	$(INSTALL) --group $*
	@touch $@

$(SERVER)/bin/kube-apiserver: $(SERVER)/go.mod $(SERVER)/go.sum
	cd $(SERVER) && version=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes) && go build -trimpath -o bin/ \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$version" tool
	mv $(SERVER)/bin/server $(SERVER)/bin/etcd
	@touch $@
