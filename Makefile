# All that a developer runs. `make help` lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INTEGRATIONS := integrations/langchain integrations/llama_index integrations/litellm
LOCK_GROUPS := demo test docs lint oracle
OLDEST := .venv-oldest
PROXY := .venv-proxy
DISTRIBUTIONS := modeltrail modeltrail-langchain modeltrail-llama-index modeltrail-litellm
# Which slow tests.
SLOW ?= tests
# How many processes run tests side by side; a file's tests stay together.
SIDE_BY_SIDE ?= 2
SPREAD := --numprocesses $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder

export LITELLM_LOCAL_MODEL_COST_MAP := True
# The tests start hundreds of interpreters: none shall compile LiteLLM anew.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test coverage slow slow-alone oldest lint types docs bench bench-peers lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 13

demo: $(VENV)/demo.stamp ## three real applications, one trail: the main job, without key or network
	$(BIN)/python -m examples.demo

test: $(VENV)/dev.stamp $(PROXY)/proxy.stamp ## the tests, documentation included, but for the slow ones
	$(BIN)/python -m pytest -m "not slow and not alone" $(SPREAD) --durations=20
	$(BIN)/python -m pytest -m "not slow and alone" tests

coverage: $(VENV)/dev.stamp $(PROXY)/proxy.stamp ## the same, and which lines and branches they do not reach
	$(BIN)/python -m pytest -m "not slow" $(SPREAD) --cov --cov-report=term

slow: $(VENV)/dev.stamp $(PROXY)/proxy.stamp ## the slow tests, but for those that need the machine for themselves
	$(BIN)/python -m pytest -m "slow and not alone" $(SPREAD) --durations=20 $(SLOW)

slow-alone: $(VENV)/dev.stamp ## those: a million calls, half a minute of eight processes
	$(BIN)/python -m pytest -m "slow and alone" tests

oldest: $(OLDEST)/stamp ## the tests of the integrations with the oldest versions that they may have
	$(OLDEST)/bin/python -m pytest -m "not slow" $(SPREAD) tests/integrations --ignore-glob='*/test_proxy*'

lint: $(VENV)/dev.stamp ## style and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/dev.stamp ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests/typing/api.py

docs: $(VENV)/dev.stamp ## the documentation, strict
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/dev.stamp ## what a call costs, as ratios of one run
	$(BIN)/python -m benchmarks

bench-peers: $(VENV)/dev.stamp ## others that record calls, beside us; takes about an hour
	for step in install survival overhead ingest render; do \
	  $(BIN)/python -m benchmarks.peers $$step || exit 1; \
	done

lock: $(VENV)/dev.stamp ## pin every distribution, extra and group in constraints.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --no-emit-index-url --python-version 3.11 \
	  --custom-compile-command "make lock" --all-extras $(LOCK_GROUPS:%=--group %) \
	  $(DISTRIBUTIONS:%=--no-emit-package %) \
	  pyproject.toml $(INTEGRATIONS:%=%/pyproject.toml) --output-file constraints.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) $(OLDEST) $(PROXY) .venv-peers site dist .mypy_cache .ruff_cache .pytest_cache .coverage

# Each direct dependency in the version that it is declared from.
$(OLDEST)/stamp: $(VENV)/dev.stamp
	rm -rf $(OLDEST)
	$(PYTHON) -m venv $(OLDEST)
	VIRTUAL_ENV=$(abspath $(OLDEST)) $(BIN)/uv pip install --quiet --resolution lowest-direct \
	  $(INTEGRATIONS:integrations/%=--group %) --editable . $(INTEGRATIONS:%=--editable %)
	@touch $@

# LiteLLM's proxy does not go with all that is pinned: it has the versions that it asks for.
$(PROXY)/%.stamp: $(VENV)/dev.stamp
	test -x $(PROXY)/bin/python || $(PYTHON) -m venv $(PROXY)
	VIRTUAL_ENV=$(abspath $(PROXY)) $(BIN)/uv pip install --quiet \
	  --group $* --editable . --editable integrations/litellm
	@touch $@

# A stamp stands for an installation; it is renewed when what is installed changes.
$(VENV)/%.stamp: pyproject.toml constraints.txt $(INTEGRATIONS:%=%/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --constraint constraints.txt \
	  --group $* --editable . $(INTEGRATIONS:%=--editable %)
	@touch $@
