# make demo, make test: both set up what they need in .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARALLEL = $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo examples example-tools example-cellprofiler-image test test-all faults check format docs clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run  ## eight small jobs from start to end on AWS on this computer
	$(BIN)/python run.py local files/exampleJob.json --output demo_output

examples: $(VENV)/.run  ## every example with its real program; one of them: make example-fiji
	$(BIN)/python -m tests.trials

example-tools: $(VENV)/.run
	$(BIN)/python -m tests.trials --install

example-%: $(VENV)/.run
	$(BIN)/python -m tests.trials $* -- $(ARGS)

example-cellprofiler-image: $(VENV)/.test
	$(BIN)/python -m pytest tests/containers/cellprofiler_image.py $(PYTEST)

test: $(VENV)/.test  ## the tests, offline, in minutes
	$(PARALLEL) $(PYTEST)

test-all: $(VENV)/.test example-tools  ## what make test leaves out: containers, a browser, programs, every crash point
	$(PARALLEL) --every-point tests --ignore tests/faults $(PYTEST)

faults: $(VENV)/.test  ## the worker under faults that last: minutes, on a quiet machine
	$(BIN)/python -m pytest tests/faults $(PYTEST)

check: $(VENV)/.test docs  ## everything else that CI checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.plain_english
	$(BIN)/mypy
	$(BIN)/vermin --quiet --violations --no-tips --target=3.8- worker examples/*/worker
	$(BIN)/shellcheck .ci/run worker/run-worker.sh worker/plumbing/install-packages.sh tests/trials/scripts/ImageJ-linux64
	$(BIN)/hadolint worker/Dockerfile examples/*/worker/Dockerfile

format: $(VENV)/.test  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs  ## the documentation as a website in documentation/_build/
	$(BIN)/sphinx-build -q -W --keep-going -b html documentation documentation/_build

clean:  ## remove what make and the programs made here
	rm -rf $(VENV) demo_output local_output examples/.tools examples/*/local_output documentation/_build .runs .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "Error: $(PYTHON) is older than Python 3.10." >&2; \
	  echo "Fix: name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Error: $(PYTHON) cannot make a virtual environment." >&2; \
	  echo "Fix: install its venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  rm -rf $(VENV); exit 2; }
	@touch $@

$(VENV)/.run: $(VENV)/.made files/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r files/requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.made files/requirements.txt tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@ $(VENV)/.run

$(VENV)/.docs: $(VENV)/.made documentation/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r documentation/requirements.txt
	@touch $@
