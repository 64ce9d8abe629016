# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv if need be.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BROWSER_READY := .venv/browser-ready
CHROMIUM := /usr/bin/chromium
CHROMIUM_PACKAGES := chromium fonts-noto-color-emoji

COLAB := .venv-colab

.PHONY: setup demo test test-slow test-colab test-browser check bench
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
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

# Hundreds of kills, files of full size, and every property with many more examples.
test-slow: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or hypothesis" --hypothesis-profile long

# The notebook in JupyterLab and Chromium, as in Colab: as root, for it makes /content.
# BROWSER_ARGS='--kernel-python PYTHON --jupyter-lab FILE' takes other versions.
test-browser: $(BROWSER_READY) $(CHROMIUM)
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
	$(BIN)/enstack bench panel
	$(BIN)/enstack bench prepare
