# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv if need be.
# PYTHON=python3.13 makes .venv with that one. Colab has one of its own.
PYTHON ?= python3
COLAB_PYTHON ?= python3.13
# Those that README names; `make check-pythons` holds constraints.txt against each.
PYTHONS := 3.11 3.12 3.13
# What installs; the workflow takes uv.
INSTALL ?= $(@D)/bin/python -m pip install --quiet
BIN := .venv/bin
READY := .venv/ready
BROWSER_READY := .venv/browser-ready
DOCS_READY := .venv/docs-ready
CHROMIUM := /usr/bin/chromium
CHROMIUM_PACKAGES := chromium fonts-noto-color-emoji

# The order in which conftest.py puts the files stays.
BY_FILE := --dist loadfile --no-loadscope-reorder

COLAB := .venv-colab
RESOLVE := $(BIN)/uv pip compile --quiet --output-file

.PHONY: help setup demo test test-slow test-gpu test-colab test-browser check docs bench
setup: $(READY)  ## .venv alone

help:  # what stands after a target's colon and ##
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(READY): constraints.txt
$(COLAB)/ready: constraints-colab.txt
$(COLAB)/ready: PYTHON := $(COLAB_PYTHON)
$(READY) $(COLAB)/ready: requirements.txt setup.cfg
	@$(PYTHON) -c "import sys; oldest = '$(firstword $(PYTHONS))'; \
	sys.version_info >= tuple(map(int, oldest.split('.'))) or sys.exit('Python must be %s or newer, ' \
	'found %s. Name another: make PYTHON=python3.12' % (oldest, sys.version.split()[0]))"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(INSTALL) --editable '.[dev]' --constraint $(filter constraints%,$^)
	touch $@

demo: $(READY)  ## the whole pipeline on toy data, on the CPU, without a network
	$(BIN)/enstack demo

test: $(READY)  ## the test suite, the notebook included
	$(BIN)/python -m pytest -n 2 $(BY_FILE) -m "not slow"

test-notebook: $(READY)  ## the notebook alone, cell by cell, on toy data (nbval)
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env notebooks

# Much of it waits for other processes: hence a worker more than most machines' cores.
test-slow: $(READY)  ## 200 kills, whole kernels, files of full size, and every property with many more examples
	$(BIN)/python -m pytest -n 3 $(BY_FILE) -m "slow or hypothesis" --hypothesis-profile long

# conftest.py hides GPUs from all other tests. Warnings are no errors here: versions of torch and of
# drivers differ from machine to machine.
test-gpu: $(READY)  ## what only a GPU can break; fails where there is none
	CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES-0} $(BIN)/python -m pytest tests/gpu -W default

# The notebook in JupyterLab and Chromium, as in Colab: as root, for it makes /content.
# BROWSER_ARGS='--kernel-python PYTHON --jupyter-lab FILE' takes other versions.
test-browser: $(BROWSER_READY) $(CHROMIUM)  ## the notebook in JupyterLab and Chromium
	$(BIN)/python -m pytest tests/browser -rs $(BROWSER_ARGS)

$(BROWSER_READY): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[browser]' --constraint constraints.txt
	touch $(BROWSER_READY)

$(CHROMIUM):
	@if [ "$$(id -u)" = 0 ]; then root=env; elif command -v sudo >/dev/null; then root='sudo env'; \
	else echo "$(CHROMIUM) is absent, and there is no sudo to install it with. Run as root:" \
	"apt-get update && apt-get install $(CHROMIUM_PACKAGES)" >&2; exit 1; fi; \
	$$root apt-get update -qq && \
	$$root DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(CHROMIUM_PACKAGES)

test-colab: $(COLAB)/ready  ## the test suite under Colab's versions, on Colab's Python
	$(COLAB)/bin/python -m pytest -n 2 $(BY_FILE) -m "not slow"

check: $(READY)  ## format, lint, types, import layers, pages made from the code, then the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/python -m check_jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/python -m pre_commit validate-config
	$(MAKE) test

# Nothing is installed: uv works the versions out for a Python that need not be there.
check-pythons: $(READY)  ## every pin can be met, with wheels, on each Python that README names
	@set -e; for version in $(PYTHONS); do $(MAKE) --no-print-directory build/pins/$$version; done
	@$(MAKE) --no-print-directory build/pins/$(COLAB_PYTHON) PINS=constraints-colab.txt EXTRAS='--extra dev'

PINS := constraints.txt
EXTRAS := --all-extras
.PHONY: always
build/pins/%: always
	@echo "$(PINS), Python $(*:python%=%)"
	@rm -f $@ && mkdir -p $(@D)
	@$(RESOLVE) $@ setup.cfg $(EXTRAS) --constraint $(PINS) --python-version $(*:python%=%) >/dev/null
	@$(RESOLVE) $@.wheels $@ --no-deps --only-binary :all: --python-version $(*:python%=%) >/dev/null

# A site out of README.md and docs/; a link that leads nowhere stops the build.
docs: $(DOCS_READY)  ## the pages as a site in build/docs; fails on a broken link
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -c docs -d build/doctrees . build/docs
	cp build/docs/README.html build/docs/index.html

$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[docs]' --constraint constraints.txt
	touch $@

bench: $(READY)  ## the benchmarks
	$(BIN)/enstack bench resume
	$(BIN)/enstack bench save
	$(BIN)/enstack bench train
	$(BIN)/enstack bench panel
	$(BIN)/enstack bench prepare
	$(BIN)/enstack bench stacking
	$(BIN)/enstack bench scan
	$(BIN)/enstack bench overhead
	$(BIN)/enstack bench first_batch
