# make demo: mine three bundled GANs; make test: lint and test; make bench-quality: compare methods of transfer, also
# with FLAGS=--smoke or --full, DATA=folder of MNIST and FashionMNIST; make bench: measure speed, also with GROUP=NAMES of
# benchmarks/throughput/bench_NAME.py, QUICK=1. Each sets up .venv by itself.
DATA ?= data
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := $(wildcard plugins/*/pyproject.toml)
STAMP := .venv/installed

.PHONY: install demo test lint format bench bench-report bench-compare bench-quality peers

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(PACKAGES)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' \
		$(foreach package,$(PACKAGES),--editable ./$(dir $(package)))
	touch $@

demo: install
	$(BIN)/minegan-zoo demo --out runs/demo

BENCHES := $(patsubst benchmarks/throughput/bench_%.py,%,$(wildcard benchmarks/throughput/bench_*.py))
CHOSEN := $(or $(GROUP),$(BENCHES))
FAST := $(filter-out 0,$(QUICK))

bench: install $(if $(filter peers,$(CHOSEN)),peers)
	$(if $(filter-out $(BENCHES),$(CHOSEN)),$(error GROUP is one or more of: $(BENCHES)))
	$(BIN)/python -m pytest -c benchmarks/throughput/pytest.ini $(if $(FAST),--quick) \
		$(foreach name,$(CHOSEN),benchmarks/throughput/bench_$(name).py)
	$(if $(FAST),,$(MAKE) bench-report)

bench-report: install
	PYTHONPATH=benchmarks $(BIN)/python -m throughput.report

bench-compare: install
	PYTHONPATH=benchmarks $(BIN)/python -m throughput.compare $(or $(BASE),HEAD)

peers: build/peers/installed

build/peers/installed: benchmarks/throughput/peers.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/peers -r $<
	touch $@

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
