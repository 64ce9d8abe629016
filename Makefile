# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv if need be.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
COLAB := .venv-colab

.PHONY: setup demo test test-colab check bench
setup: $(READY)

$(READY): constraints.txt
$(COLAB)/ready: constraints-colab.txt
$(READY) $(COLAB)/ready: requirements.txt setup.cfg
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet --editable '.[dev]' --constraint $(filter constraints%,$^)
	touch $@

demo: $(READY)
	$(BIN)/enstack demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-colab: $(COLAB)/ready
	$(COLAB)/bin/python -m pytest -n 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(READY)
	$(BIN)/enstack bench resume
	$(BIN)/enstack bench save
	$(BIN)/enstack bench train
