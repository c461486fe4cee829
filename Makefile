# Everything a newcomer or CI needs. Each target sets itself up in .venv and can be run again.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# pip's own progress is noise in a log; errors still show.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test lint protos breaking bench clean

help:
	@echo "make demo    install into $(VENV) and run the whole chain once on a real slide"
	@echo "make test    install into $(VENV) and run all tests"
	@echo "make lint    formatting, style, types, import order, the contract"
	@echo "make protos  generate server/wsisam/v1 from protos/"
	@echo "make bench   what we claim about speed, measured here"

demo: $(VENV)/.installed
	$(BIN)/wsisam demo --out demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(MAKE) --no-print-directory breaking

# Against the last release; before the first one there is nothing to break.
breaking: $(VENV)/.installed-dev
	@tag=$$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null); \
	if [ -n "$$tag" ]; then \
		echo "buf breaking against $$tag"; $(BIN)/buf breaking --against ".git#tag=$$tag"; \
	elif [ "$$(git rev-parse --is-shallow-repository 2>/dev/null)" = true ]; then \
		echo "buf breaking: this clone has no history, so no release tag; run: git fetch --tags --unshallow"; exit 1; \
	else \
		echo "buf breaking: not run, there is no release tag yet"; \
	fi

protos: $(VENV)/.installed-test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos \
		--python_out=server --grpc_python_out=server --mypy_out=server --mypy_grpc_out=server \
		protos/wsisam/v1/*.proto

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/polygon_cost.py
	$(BIN)/python benchmarks/click_overhead.py

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		{ echo "Python 3.10 or newer is needed; '$(PYTHON)' is missing or older. Run: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large: a few minutes the first time)"
	$(PIP) --editable '.[default-model,train]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large: a few minutes the first time)"
	$(PIP) --editable '.[default-model,test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large: a few minutes the first time)"
	$(PIP) --editable '.[default-model,test,dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test
