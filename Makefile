# make demo: mine three bundled GANs; make test: lint and test; make bench-quality: compare methods of transfer, also
# with FLAGS=--smoke or --full, DATA=folder of MNIST and FashionMNIST. Each sets up .venv by itself.
DATA ?= data
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := $(wildcard plugins/*/pyproject.toml)
STAMP := .venv/installed

.PHONY: install demo test lint format bench-quality

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(PACKAGES)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' \
		$(foreach package,$(PACKAGES),--editable ./$(dir $(package)))
	touch $@

demo: install
	$(BIN)/minegan-zoo demo --out runs/demo

bench-quality: install
	$(BIN)/python -m benchmarks.quality run --data-root $(DATA) $(FLAGS)

test: lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
