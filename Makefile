# make setup   an environment in .venv (once; at once when it is up to date)
# make demo    train, export, run in Lava, compare; results in OUT (default: demo)
# make test    lint, types and tests
# Variables: PYTHON (a Python 3.10), VENV (default .venv), OUT, PYTEST_ARGS

# Not from the environment of the shell, where VENV may mean something else.
VENV := .venv
OUT ?= demo
# A file per worker: Lava tests start processes, and two workers fill two cores.
PYTEST_ARGS ?= -n 2 --dist loadfile

# not ".": scripts that users put into the checkout are their own
SOURCES := lava_mlsnn netx_export tests tools tutorials
BIN := $(VENV)/bin

export VENV
ifdef PYTHON
export PYTHON
endif

.PHONY: help setup demo test lint clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

setup:
	@bash tools/setup.sh

demo: setup
	$(BIN)/mlsnn demo --out "$(OUT)"

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find lava_mlsnn netx_export tests tools -type d -name __pycache__ -prune -exec rm -rf {} +
