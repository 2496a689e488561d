# Every command that people and CI use. All of them make their own environment in .venv first.
.PHONY: demo run test lint types imports format bench lock bundle bundle-here synth clean
SHELL := /bin/bash
PY := .venv/bin/python
ROOMS := payments formats extractors curation transfer reconciliation runtime dashboard functions local tieout cdk
# The environment of cdk.json that is deployed.
ENV ?= dev
# Test processes; xdist gives each its own servers and folders. Tests of one group share what is dear to bring up: one process.
# One more than there are cores, because they wait for their servers much of the time.
JOBS ?= $(shell expr $$(nproc) + 1)
# The whole suite also measures branch coverage of the stages and of payments/, and fails below 90 %.
COVERED := --cov --cov-report=term:skip-covered --cov-fail-under=90

demo: .venv/run.stamp
	$(PY) -m tieout demo $(ARGS)

run: .venv/run.stamp
	$(PY) -m tieout run $(ARGS)

test: .venv/dev.stamp .venv-cdk/stamp .venv-ministack/stamp bundle-here
	scripts/test-servers
	$(PY) -m pytest -n $(JOBS) --dist loadgroup $(if $(ARGS),$(ARGS),$(COVERED))

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

# The layers and the code for Lambda, in build/bundle: make bundle ARCH=arm64 PYTHON=3.12. No Docker.
bundle: .venv/run.stamp
	$(PY) -m scripts.bundling $(if $(ARCH),--arch $(ARCH)) $(if $(PYTHON),--python $(PYTHON)) $(ARGS)

# The same for this machine's own Python, in build/bundle-here: for the emulator and for tests.
bundle-here: .venv/run.stamp
	$(PY) -m scripts.bundling --here

# The templates of one environment: make synth ENV=prod. They are written to build/cdk.out.
synth: .venv-cdk/stamp
	rm -rf build/cdk.out
	CDK_OUTDIR=build/cdk.out CDK_CONTEXT_JSON='{"environment": "$(ENV)"}' .venv-cdk/bin/python -m cdk.app

# CDK and the emulator of AWS have environments of their own: both bring versions that are not ours.
.venv-cdk/stamp: requirements/cdk.txt
	scripts/venv requirements/cdk.txt .venv-cdk
	touch $@

.venv-ministack/stamp: requirements/ministack.txt
	scripts/venv requirements/ministack.txt .venv-ministack
	touch $@

.venv/run.stamp: requirements/run.txt pyproject.toml
	scripts/venv requirements/run.txt
	touch $@

.venv/dev.stamp: requirements/dev.txt pyproject.toml
	scripts/venv requirements/dev.txt
	touch $@ .venv/run.stamp

clean:
	rm -rf .venv .venv-cdk .venv-ministack build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
