# Every command that people and CI use. All of them make their own environment in .venv first.
.PHONY: demo run test lint types imports format bench lock clean
SHELL := /bin/bash
PY := .venv/bin/python
ROOMS := payments formats extractors curation transfer reconciliation runtime dashboard functions local tieout cdk
# Test processes; xdist gives each its own servers and folders.
JOBS ?= $(shell nproc)
# The whole suite also measures branch coverage of the stages and of payments/, and fails below 90 %.
COVERED := --cov --cov-report=term:skip-covered --cov-fail-under=90

demo: .venv/run.stamp
	$(PY) -m tieout demo $(ARGS)

run: .venv/run.stamp
	$(PY) -m tieout run $(ARGS)

test: .venv/dev.stamp
	scripts/test-servers
	$(PY) -m pytest -n $(JOBS) $(if $(ARGS),$(ARGS),$(COVERED))

lint: .venv/dev.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: .venv/dev.stamp
	$(PY) -m mypy

imports: .venv/dev.stamp
	.venv/bin/lint-imports --no-cache

format: .venv/dev.stamp
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: .venv/dev.stamp
	scripts/bench $(ARGS)

# Compiles requirements/*.txt from pyproject.toml, with hashes and without index addresses.
lock:
	scripts/lock

.venv/run.stamp: requirements/run.txt pyproject.toml
	scripts/venv requirements/run.txt
	touch $@

.venv/dev.stamp: requirements/dev.txt pyproject.toml
	scripts/venv requirements/dev.txt
	touch $@ .venv/run.stamp

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
