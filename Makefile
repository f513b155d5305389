# make demo: the main job on real models and photographs.  make test: all checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help env demo test test-slurm lint bench evidence edits faults docs zoo clean

help:
	@echo "make demo   set up, run the quickstart (config/config.yaml), print its summary"
	@echo "make test   set up, check style and types, run all tests, those on a SLURM where root on Debian"
	@echo "make test-slurm  only those on a SLURM"
	@echo "make bench  measure speed side by side, write benchmarks/results.json and tables of docs/"
	@echo "make evidence  run the study of docs/evidence.md"
	@echo "make docs   build the documentation site into site/"
	@echo "make faults  stop runs in every way, compare with undisturbed ones, write docs/reliability.md"
	@echo "make edits  edit a finished run in every way, compare with fresh ones"
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
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# Those on a SLURM have a process of their own: they hang on clocks and ports, and whoever types
# pytest alone wants no packages installed. Both are run, whatever becomes of the first.
test: lint
	@$(BIN)/python -m pytest; tests=$$?; \
	$(BIN)/python -m pytest tests/workflow/slurm; slurm=$$?; \
	echo "exit codes: $$tests of the tests, $$slurm of those on a SLURM"; \
	[ $$tests -eq 0 ] && [ $$slurm -eq 0 ]

# A real SLURM on this machine, of Debian's packages, which are installed if they are not there.
# As root; elsewhere all of it is skipped, with a warning.
test-slurm: env
	$(BIN)/python -m pytest tests/workflow/slurm

# docs/evidence.md: hours on two cores, minutes on a GPU.
evidence: env
	$(BIN)/python tools/evidence/fetch_photographs.py data/evidence
	$(BIN)/snakemake --cores $(CORES) --configfile config/evidence.yaml
	$(BIN)/python tools/evidence/page_of_evidence.py results/evidence/tables docs/evidence.md

bench: env
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/chunks.py

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Every edit of a finished run, and every pair of two kinds: two hours. `make test` does a few at once.
edits: env
	METAMERS_ALL_EDITS=1 $(BIN)/python -m pytest tests/workflow/test_edits.py

# An hour: faults of every kind, and 34 runs that are killed three times each; 5,000 configurations that
# were changed at random.
FAULTS ?= 34
faults: env
	METAMERS_FAULTS=$(FAULTS) $(BIN)/python -m pytest tests/faults
	METAMERS_MUTATIONS=2500 $(BIN)/python -m pytest tests/config/test_mutations.py

zoo: env
	$(BIN)/snakemake --cores $(CORES) --configfile config/zoo_check.yaml

clean:
	rm -rf results logs .snakemake
