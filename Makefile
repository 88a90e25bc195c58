# make demo: mine three bundled GANs; make test: lint and test. Each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := $(wildcard plugins/*/pyproject.toml)
STAMP := .venv/installed

.PHONY: install demo test lint format

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(PACKAGES)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' \
		$(foreach package,$(PACKAGES),--editable ./$(dir $(package)))
	touch $@

demo: install
	$(BIN)/minegan-zoo demo --out runs/demo

test: lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
