# Every target sets itself up: its own virtual environment, the exact versions of requirements.lock.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
ARGS ?=

.PHONY: setup export parity contract bench test coverage test-slow lint docs site trained scenes-trained digits scenes half zoo precision ready fast costs speed runtimes faults fuzz trial clean

setup: $(READY)

export: $(READY)
	$(VENV)/bin/mocovit-export $(ARGS)

parity: $(READY)
	$(VENV)/bin/mocovit-parity $(ARGS)

contract: $(READY)
	@rm -rf build/reports
	$(VENV)/bin/mocovit-parity --contract parity.toml --report-dir build/reports $(ARGS)

bench: $(READY)
	$(VENV)/bin/mocovit-bench $(ARGS)

test: lint
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

coverage: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered $(ARGS)

test-slow: $(READY)
	$(VENV)/bin/python -m pytest -m slow $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports --no-cache

docs: $(READY)
	$(VENV)/bin/python docs/make_architecture.py
	$(VENV)/bin/python docs/make_cli_reference.py
	$(VENV)/bin/python docs/make_figures.py

site: $(READY)
	$(VENV)/bin/sphinx-build -W --keep-going -q -b html docs build/site
	@echo "open build/site/index.html"

trained: $(READY)
	$(VENV)/bin/python -m examples.digits.train $(if $(ARGS),$(ARGS),--all)

scenes-trained: $(READY)
	$(VENV)/bin/python -m examples.scenes.train $(ARGS)

digits: $(READY)
	$(VENV)/bin/python -m examples.digits.report $(ARGS)

scenes: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.scenes $(ARGS)

half: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.half $(ARGS)

zoo: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.zoo $(ARGS)

precision: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.precision $(ARGS)

ready: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.ready $(ARGS)

fast: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.fast $(ARGS)

speed: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.export_speed $(ARGS)

costs: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.operator_costs $(ARGS)

runtimes: $(READY)
	$(VENV)/bin/python -m benchmarks.studies.runtime_matrix $(ARGS)

faults: $(READY)
	PYTHONPATH=.:tests/helpers $(VENV)/bin/python -W ignore -m planting $(ARGS)

fuzz: $(READY)
	PYTHONPATH=tests/fuzz OMP_NUM_THREADS=1 $(VENV)/bin/python -W ignore -m hostile $(ARGS)

trial: $(READY)
	PYTHONPATH=.:tests/helpers:tests/trial OMP_NUM_THREADS=1 $(VENV)/bin/python -W ignore -m campaign $(ARGS)

# torch comes last and without a hash: a CPU build that pip can find is taken, and everything it needs is there.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say which with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) build
