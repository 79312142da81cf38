# Each target creates the virtual environment by itself, and updates it only when its requirements have changed. The file
# `ready` marks an environment that can run the flows, `dev` one that can also run tests and notebooks, `explore` one
# that has an explorer.
PYTHON ?= python3
PORT ?= 4200
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help etl report explore serve deploy test check sweep mutants format lint bench screenshots docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(call install,.)

$(VENV)/dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $(VENV)/ready

$(VENV)/explore: pyproject.toml constraints.txt
	$(call install,.[explore])
	@touch $(VENV)/ready

# uv takes a fifth of pip's time. pip steps in where uv fails: no wheel for this system, an index that only pip knows.
define install
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d. Use 3.11 or newer, for example make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Installing into $(VENV): under half a minute on a good connection."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --only-binary uv uv && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(1)' || \
	$(PIP) --editable '$(1)'
	@touch $@
endef

etl: $(VENV)/ready ## Run the pipeline on a generated sample
	$(BIN)/python -m flows.etl

report: $(VENV)/ready ## Answer the questions in a page, report.html, from sparkify.duckdb; load the sample if there is none
	@test -e sparkify.duckdb || $(BIN)/python -m flows.etl
	$(BIN)/python -m flows.analytics
	@echo 'Open file://$(CURDIR)/report.html'

explore: $(VENV)/explore ## Open the tables of sparkify.duckdb in an explorer, Harlequin, on a copy that is only read
	@test -e sparkify.duckdb || $(BIN)/python -m flows.etl
	@mkdir -p .explore && rm -f .explore/sparkify.duckdb
	@$(BIN)/python -c "import duckdb; connection = duckdb.connect('.explore/sparkify.duckdb'); \
	  connection.execute('attach \'sparkify.duckdb\' as loaded (read_only)'); \
	  connection.execute('copy from database loaded to sparkify')"
	$(BIN)/harlequin --read-only .explore/sparkify.duckdb

serve: $(VENV)/ready ## Start a Prefect server with its UI, a worker, and a deployment that needs no AWS
	$(BIN)/python -m deployments.serve --port $(PORT)

deploy: $(VENV)/ready ## Deploy to the configured Prefect server or Cloud workspace, with the settings in .env
	$(BIN)/python -m deployments.deploy

test: $(VENV)/dev ## Run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: lint ## Check style and types, and run the tests that need no server or other process (a minute)
	$(BIN)/python -m pytest -n auto -m 'not sweep and not served'

sweep: $(VENV)/dev ## Run the long tests: runs killed or cut off at every point, a dead machine, the image (an hour)
	$(BIN)/python -m pytest -m sweep -n 2 --dist loadfile --no-loadscope-reorder --override-ini=faulthandler_timeout=0

mutants: $(VENV)/dev ## Put mistakes into the code and see whether tests notice (minutes; N=400 SEED=2 for more)
	$(BIN)/python -m tests.long.mutants

format: $(VENV)/dev ## Fix the style where that can be done without a person
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: $(VENV)/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql

bench: $(VENV)/dev ## Compare the speed with hand-written DuckDB SQL (minutes)
	$(BIN)/python -m tests.long.bench

screenshots: $(VENV)/dev ## Retake the pictures in docs/images (needs Chromium)
	$(BIN)/python -m tests.long.screenshots

docs: $(VENV)/dev ## Rewrite docs/copy-rules.md from COPY's test cases, and docs/data-dictionary.md from the SQL files
	$(BIN)/python -m tests.support.copy_rules
	$(BIN)/python -m tests.support.data_dictionary

lock: $(VENV)/dev ## Rewrite constraints.txt with the newest versions that work on every supported Python
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --all-extras \
	  --no-annotate --custom-compile-command 'make lock' --output-file constraints.txt pyproject.toml

clean: ## Remove what the other targets created, including the virtual environment
	rm -rf $(VENV) .bench .explore .mutants_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build data sparkify.duckdb* report.html
