# One word for each job; `make` alone lists them. Every word sets up what it needs.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
T      ?= tests
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all fuzz soak soak-processes lint fix types bench check docs clean

help:  ## list the words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: $(READY)  ## environment with everything for development

$(READY): pyproject.toml scripts/make-venv
	@scripts/make-venv $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(READY)  ## start the example application, with reload: chat rooms in the browser
	$(BIN)/perdure dev examples/chat

test: $(READY)  ## every test that needs no root (make test T=tests/unit for some)
	$(BIN)/python -m pytest -n auto --dist worksteal $(T) -m "not browser and not foreign"

test-all: test  ## all tests: also those with a real browser and programs of others
	@scripts/install-test-tools
	$(BIN)/python -m pytest $(T) -m "browser or foreign"

fuzz: $(READY)  ## hostile input for every parser, a hundred times as much as in the tests
	$(BIN)/python -m pytest -n auto --hypothesis-profile long -m fuzz --timeout 3600 tests/unit

soak: $(READY)  ## simulations of the whole engine with new seeds (SECONDS=60; SEED=n replays one)
	@PYTHONPATH=tests $(BIN)/python -m simulation.soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

soak-processes: $(READY)  ## kill -9 of a real server, over and over, under load (SECONDS=60; SEED=n)
	$(BIN)/python tests/system/soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

lint: $(READY)  ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

fix: $(READY)  ## apply formatting and the lint's own fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(READY)  ## strict types, of the package and of what users write
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/typing

bench: $(READY)  ## benchmarks, one file a question, beside workerd where it has an answer
	@$(BIN)/python bench/run.py

docs: $(READY)  ## write the pages that are made from the tests and the code
	$(BIN)/python scripts/compatibility.py
	$(BIN)/python scripts/api.py
	$(BIN)/python scripts/cloudflare.py

check: lint types test  ## all that CI does before `make test-all`

clean:  ## remove the environment and what tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
