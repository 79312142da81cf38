# Each target makes the virtual environment by itself, and again only when what it holds has changed.
PYTHON ?= python3
PORT ?= 4200
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help etl serve deploy test sweep mutants lint bench screenshots clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

etl: $(VENV)/ready ## Run the pipeline on a generated sample
	$(BIN)/python -m flows.etl

serve: $(VENV)/ready ## Start a Prefect server with its UI, a worker, and a deployment that needs no AWS
	$(BIN)/python -m deployments.serve --port $(PORT)

deploy: $(VENV)/ready ## Deploy on the Prefect server or Cloud that is configured, with the settings in .env
	$(BIN)/python -m deployments.deploy

test: $(VENV)/ready ## Run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile

sweep: $(VENV)/ready ## Run the long tests: a run killed and cut off everywhere, a dead machine, the image (minutes)
	$(BIN)/python -m pytest -m sweep

mutants: $(VENV)/ready ## Make mistakes in the code, and see whether tests notice them (minutes; N=400 SEED=2 for more)
	$(BIN)/python -m tests.mutants

lint: $(VENV)/ready ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready ## Measure against hand-written DuckDB SQL (minutes)
	$(BIN)/python -m tests.bench

screenshots: $(VENV)/ready ## Take the README's pictures anew, which needs Chromium
	$(BIN)/python -m tests.screenshots

clean: ## Remove what the other targets made, the virtual environment included
	rm -rf $(VENV) .bench .mutants_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build data sparkify.duckdb* report.html
