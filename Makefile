# make setup   an environment in .venv (once; at once when it is up to date)
# make demo    train, export, run in Lava, compare; results in OUT (default: demo)
# make test    lint, types and tests, also on a newer Python without Lava (make test-newer)
# make docs    the documentation as a site, tutorials run and rendered, into docs/_build/html
# make setup-lava   Lava on Python 3.11 to 3.13, in .venv-lava; see docs/lava_on_newer_python.md
# make fuzz    damaged files of every kind, for FUZZ_SECONDS (60); kept files in .fuzz
# make soak    networks, commands, kills, Lava and streaming, for SOAK_SECONDS (600)
# make coverage   branches of our own code that the tests take
# make mutation   which of MUTANTS (100) drawn faults in the integers' code the tests see;
#              behind make coverage without an import for each
# make bench   speed and memory beside other libraries, into benchmarks/results
# Variables: PYTHON (a Python 3.10; for setup-lava 3.11 to 3.13), PYTHON_NEWER (3.11 to 3.13),
#   VENV (default .venv), VENV_LAVA (default .venv-lava), UV (a uv, or "no" for
#   pip alone), OUT, PYTEST_ARGS, BENCH_ARGS

# Not from the environment of the shell, where VENV may mean something else.
VENV := .venv
VENV_LAVA := .venv-lava
OUT ?= demo
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
MUTANTS ?= 100
# which test came through a line: coverage keeps it, mutation takes it where it is there
LINES := .coverage-lines
# A file per worker: Lava tests start processes, and two workers fill two cores.
PYTEST_ARGS ?= -n 2 --dist loadfile

# not ".": scripts that users put into the checkout are their own
SOURCES := benchmarks docs lava_mlsnn netx_export tests tools trust tutorials
BIN := $(VENV)/bin

export VENV
ifdef PYTHON
export PYTHON
endif

.PHONY: help setup setup-lava demo test test-newer fuzz soak coverage mutation docs docs-check
.PHONY: bench lint clean

SITE := $(BIN)/python -m sphinx -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

setup:
	@bash tools/setup.sh

setup-lava:
	@LAVA=yes VENV="$(VENV_LAVA)" bash tools/setup.sh

demo: setup
	$(BIN)/mlsnn demo --out "$(OUT)"

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory docs-check test-newer

test-newer:
	@PYTEST_ARGS="$(PYTEST_ARGS)" PYTHON_NEWER="$(PYTHON_NEWER)" bash tools/test_newer.sh

docs: setup
	$(SITE)
	@echo "docs/_build/html/index.html"

docs-check: setup     # the tutorials were run by the tests
	MLSNN_DOCS_RUN=no $(SITE)

# What is found ends these with code 1; results go into results/trust.
fuzz: setup
	$(BIN)/python -m trust fuzz --seconds $(FUZZ_SECONDS)

soak: setup
	$(BIN)/python -m trust soak --seconds $(SOAK_SECONDS)

mutation: setup
	$(BIN)/python -m trust mutation --count $(MUTANTS) $(addprefix --contexts ,$(wildcard $(LINES)))

coverage: setup
	$(BIN)/python -m trust coverage --contexts $(LINES)

# The other libraries get environments of their own; one that cannot be made is listed.
bench: setup
	@$(BIN)/python -m benchmarks.environments
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf .venv .venv-bench .venv-lava .venv-newer .bench demo build dist docs/_build docs/reference docs/tutorials .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find benchmarks lava_mlsnn netx_export tests tools -type d -name __pycache__ -prune -exec rm -rf {} +
