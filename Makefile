# make demo: the main job on real models and photographs.  make test: all checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help env demo test test-slurm lint bench zoo clean

help:
	@echo "make demo   set up, run the quickstart (config/config.yaml), print its summary"
	@echo "make test   set up, check style and types, run all tests"
	@echo "make test-slurm  run the workflow on a SLURM brought up here (root on Debian)"
	@echo "make bench  measure speed side by side, write benchmarks/results.json"
	@echo "make zoo    run all 31 models of the paper with random weights"
	@echo "make env    set up $(VENV) alone"

env: $(VENV)/.installed

# torch and torchvision first: the largest. The lock is complete, so nothing is resolved: pyiqa asks
# for two builds of opencv, of which the one that needs no screen is enough.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	grep -E '^torch(vision)?==' requirements.lock > $(VENV)/first.txt
	$(BIN)/python -m pip install -q --no-deps -r $(VENV)/first.txt
	$(BIN)/python -m pip install -q --no-deps -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

demo: env
	@$(BIN)/python -m metamers demo --cores $(CORES)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

test: lint
	$(BIN)/python -m pytest

# A real SLURM from Debian's packages, on this machine, as root.
test-slurm: env
	$(BIN)/python -m pytest tests/slurm

bench: env
	$(BIN)/python benchmarks/run.py

zoo: env
	$(BIN)/snakemake --cores $(CORES) --configfile config/zoo_check.yaml

clean:
	rm -rf results logs .snakemake
