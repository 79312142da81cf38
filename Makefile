# Each target makes the virtual environment by itself, and again only when what it holds has changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help etl test sweep lint bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

etl: $(VENV)/ready ## Run the pipeline on a generated sample
	$(BIN)/python -m flows.etl

test: $(VENV)/ready ## Run the tests
	$(BIN)/python -m pytest

sweep: $(VENV)/ready ## Kill a run at 200 points, and see that a rerun mends it (minutes)
	$(BIN)/python -m pytest -m sweep

lint: $(VENV)/ready ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready ## Measure against hand-written DuckDB SQL (minutes)
	$(BIN)/python -m tests.bench

clean: ## Remove what the other targets made, the virtual environment included
	rm -rf $(VENV) .bench .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build data sparkify.duckdb* report.html
