# Each target makes the virtual environment by itself, and again only when what it holds has changed: `ready` marks what
# a run needs, `dev` what tests and notebooks need too.
PYTHON ?= python3
PORT ?= 4200
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help etl serve deploy test check sweep mutants lint bench screenshots docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(call install,.)

$(VENV)/dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $(VENV)/ready

# uv takes a fifth of pip's time. pip does it where uv cannot: a system without its wheel, an index that only pip knows.
define install
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d: name one of 3.11 or newer, as make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Installing into $(VENV): under half a minute on a good connection."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --only-binary uv uv && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(1)' || \
	$(PIP) --editable '$(1)'
	@touch $@
endef

etl: $(VENV)/ready ## Run the pipeline on a generated sample
	$(BIN)/python -m flows.etl

serve: $(VENV)/ready ## Start a Prefect server with its UI, a worker, and a deployment that needs no AWS
	$(BIN)/python -m deployments.serve --port $(PORT)

deploy: $(VENV)/ready ## Deploy on the Prefect server or Cloud that is configured, with the settings in .env
	$(BIN)/python -m deployments.deploy

test: $(VENV)/dev ## Run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: lint ## Check style and types, and run the tests that need no server and no other process (a minute)
	$(BIN)/python -m pytest -n auto -m 'not sweep and not served'

sweep: $(VENV)/dev ## Run the long tests: a run killed and cut off everywhere, a dead machine, the image (minutes)
	$(BIN)/python -m pytest -m sweep --override-ini=faulthandler_timeout=0

mutants: $(VENV)/dev ## Make mistakes in the code, and see whether tests notice them (minutes; N=400 SEED=2 for more)
	$(BIN)/python -m tests.long.mutants

lint: $(VENV)/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql

bench: $(VENV)/dev ## Measure against hand-written DuckDB SQL (minutes)
	$(BIN)/python -m tests.long.bench

screenshots: $(VENV)/dev ## Take the README's pictures anew, which needs Chromium
	$(BIN)/python -m tests.long.screenshots

docs: $(VENV)/dev ## Write docs/copy-rules.md anew, from the cases that COPY is tested with
	$(BIN)/python -m tests.support.copy_rules

lock: $(VENV)/dev ## Write constraints.txt anew: what resolves on every Python, as new as it goes
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --all-extras \
	  --no-annotate --custom-compile-command 'make lock' --output-file constraints.txt pyproject.toml

clean: ## Remove what the other targets made, the virtual environment included
	rm -rf $(VENV) .bench .mutants_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build data sparkify.duckdb* report.html
