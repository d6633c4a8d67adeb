# The commands of everyday work; CI (.ci/run) calls the same ones.
VENV ?= .venv
PYTEST_FLAGS ?=
# The virtual environment's tools first; without one, those of the active environment.
export PATH := $(abspath $(VENV))/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install run check lint fix test slow bench weigh mutants

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1	\2/' | expand -t 16

install: ## Make .venv and install what running and checking need
	test -d $(VENV) || python3 -m venv $(VENV)
	python -m pip install --quiet -r requirements-dev.txt

run: ## Start the app
	streamlit run app.py

check: lint test ## Everything that every change pays for: what lint and test ask

lint: ## Format, lint, types, imports, weight
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	python -m bench.weigh --check

fix: ## Repair what can be repaired by itself: format, lint, generated docs
	ruff check --fix .
	ruff format .
	python -m docs.generate

test: ## The fast tests
	pytest $(PYTEST_FLAGS)

slow: ## The slow tests of AREAS (all: no name), whose figures docs/weight.md gets
	python -m tests.slow $(AREAS)

bench: ## Measure against the floor and write docs/performance.md (BENCH_FLAGS: --help says which)
	python -m bench $(BENCH_FLAGS)

weigh: ## Measure what the project weighs and write the table of docs/weight.md
	python -m bench.weigh

mutants: ## Put faults into the code one by one and see whether tests notice; writes docs/mutants.md (MUTANTS: areas and flags)
	python -m pip install --quiet -r requirements-mutants.txt
	python -m tests.mutants $(MUTANTS)
