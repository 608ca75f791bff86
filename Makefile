# Everything a newcomer needs; `make` alone lists it. Each target sets up what it uses.
PYTHON ?= $(shell sh tools/need.sh which)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Stories and browsers wait for others much of the time: one process more than the two cores they need.
JOBS   ?= 3
# Processes are started by the hundred: each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo test lint bench drill screenshots format locks clean

help:            ## List the targets
	@awk -F '##' '/^[a-z]+:.*##/ {split($$1, t, ":"); printf "  make %-12s%s\n", t[1], $$2}' Makefile

$(VENV)/.run: requirements-build.lock requirements.lock pyproject.toml
	@sh tools/need.sh python "$(PYTHON)"
	@echo "Setting up $(VENV) from the hashed lock files (about half a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements-build.lock
	@$(PIP) install --use-pep517 --require-hashes --no-build-isolation -r requirements.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-test.lock
	@$(PIP) install --use-pep517 --require-hashes --no-build-isolation -r requirements-test.lock
	@touch $@

run: $(VENV)/.run ## Start the gateway with a demo organisation and inbox (Ctrl-C stops it)
	@test -f relay.toml || $(BIN)/letterlock init --demo
	@exec $(BIN)/letterlock run

demo: $(VENV)/.run ## Send a realistic conversation through the running gateway and print the links
	@$(BIN)/letterlock demo

test: $(VENV)/.test ## Run every test (names the system packages that are missing)
	@sh tools/need.sh system
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test ## Formatting, lint, types, import contracts, what must not be committed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/tracked.py

bench: $(VENV)/.test ## Measure against Postfix in one run and print the ratios
	@sh tools/need.sh system
	@$(BIN)/python -m tests.benchmarks.compare

drill: $(VENV)/.test ## Kill, fuzz and fault runs (about an hour)
	@sh tools/need.sh system
	@LETTERLOCK_DRILL=1 LETTERLOCK_FUZZ_EXAMPLES=20000 $(BIN)/python -m pytest --timeout 3600 \
		-s tests/drill tests/faults tests/faults/drill.py tests/fuzz tests/unit/relay/queue/test_peer_faults.py tests/unit/relay/store/test_kill.py
	@LETTERLOCK_SLOW_LINE=0.3 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/browser tests/gallery

screenshots: $(VENV)/.test ## Take the pictures of docs/gallery.md anew
	@LETTERLOCK_GALLERY=anew $(BIN)/python -m pytest tests/gallery

format: $(VENV)/.test ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

locks: $(VENV)/.test ## Resolve the dependencies anew into the hashed lock files (needs uv)
	@sh tools/locks.sh

clean:           ## Remove what was built; keeps var/ and relay.toml
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache tests/benchmarks/bin tests/benchmarks/mail
