# The one door to the project: `make help` lists what can be done.
# The first target that needs it makes .venv; it is made again when pyproject.toml changes.

VENV ?= .venv
SEEDS ?= 1000
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test check format docs bench bench-rivals sim browser clean
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## start `denizen dev` with the chat example and print the address of its page
	$(BIN)/denizen dev examples/chat.py

test: $(VENV)/.dev ## run the whole test suite; the time of its parts is printed at the end
	$(BIN)/python -m pytest --durations=15

check: $(VENV)/.dev ## format, lint, types, imports, freshness of what is generated
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	for tool in tools/generate_*.py; do $(BIN)/python $$tool --check || exit 1; done

format: $(VENV)/.dev ## put the code into its one format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## write anew what is made from the code
	for tool in tools/generate_*.py; do $(BIN)/python $$tool || exit 1; done

bench: $(VENV)/.dev ## measure this machine's raw limits and Denizen, in one run
	$(BIN)/python -m bench.run

bench-rivals: $(VENV)/.dev ## the same work on Redis and workerd, with ratios
	$(BIN)/python -m bench.rivals

sim: $(VENV)/.dev ## run SEEDS simulated worlds (default 1000), and the safeguards taken out in turn
	$(BIN)/python -m denizen.testing.sim --seeds $(SEEDS)
	$(BIN)/python -m pytest tests/sim/test_removals.py

browser: ## find a Chromium for the browser tests, or install Debian's
	tools/install_browser.sh

clean: ## remove .venv and caches (never data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Denizen needs Python 3.11 or newer, with its venv module." >&2; \
		echo "Install one (Debian: apt install python3 python3-venv) or say make PYTHON=/path/to/python." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.run
