# Everything a newcomer or CI needs. Each target sets itself up in .venv and can be run again.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# pip's own progress is noise in a log; errors still show.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The jar's version is this package's; a test holds them together.
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
JAR     = qupath_script/target/wsisam-qupath-client-$(VERSION).jar
MVN    := mvn --batch-mode --no-transfer-progress --file qupath_script/pom.xml

# One process more than cores, since a third of the time tests wait for processes and lines. Four processes hold four
# copies of the model, some 6 GB; a file's tests stay together, they share what they start. The order is
# tests/support/tiers.py's: costly files first.
PROCESSES     = $(shell $(PYTHON) -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')
TESTS_AT_ONCE ?= --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder
# A cluster of several nodes: Ray gives each half a minute to start, which a machine full of other tests exceeds.
ALONE := tests/inference/cluster/test_ray.py

# Images of containers like to set this one. Then each of the hundreds of processes that tests start compiles all code.
unexport PYTHONDONTWRITEBYTECODE

# The branch that a change is compared with, to lint no more than was changed.
BASE ?= main

.PHONY: help demo check coverage test lowest jar java-tools lint protos docs site breaking freeze package-check release \
	release-compare release-check bench clean

help:
	@echo "make demo    install into $(VENV) and run the whole chain once on a real slide"
	@echo "make check   what a change is checked with while it is made: two minutes, no JDK, no model, no network"
	@echo "make coverage how much of the code the tests of make check run"
	@echo "make test    install into $(VENV) and run all tests"
	@echo "make lowest  the tests of the base folders with the oldest versions that are allowed"
	@echo "make jar     build QuPath's client jar (needs a JDK and Maven)"
	@echo "make lint    formatting, style, types, import order, the contract, the package"
	@echo "make protos  generate server/wsisam/v1 from protos/"
	@echo "make docs    write docs/configuration.md from the settings' declarations"
	@echo "make site    write the documentation as a site to build/site; fails at a link that leads nowhere"
	@echo "make release build all files of a release into dist/"
	@echo "make bench   what we claim about speed, measured here; SLIDE=path adds what needs a slide"

demo: $(VENV)/.installed
	$(BIN)/wsisam demo --out demo

# tests/support/tiers.py says what belongs to this tier; what was left out is listed at its end.
check: $(VENV)/.installed-dev
	@since=$$(git merge-base HEAD $(BASE) 2>/dev/null || echo HEAD); \
	changed=$$(git diff --name-only --diff-filter=d $$since -- '*.py'; git ls-files --others --exclude-standard -- '*.py'); \
	if [ -n "$$changed" ]; then \
		$(BIN)/ruff format --force-exclude --check $$changed && $(BIN)/ruff check --force-exclude $$changed; \
	fi
	$(BIN)/python -m pytest --tier=check --quiet --numprocesses=2 --dist=loadfile

# Of the tier `check`, in one process: what its tests reach of the code.
coverage: $(VENV)/.installed-dev
	$(BIN)/python -m coverage run --data-file=build/coverage --source=wsisam_server,wsisam_model \
		-m pytest --tier=check --quiet --numprocesses=0
	$(BIN)/python -m coverage report --data-file=build/coverage --skip-covered --sort=cover

# What Java needs is looked for before anything large is installed; the jar is built first, because the wheel holds it.
# The cluster's tests have the machine to themselves: beside Java's, Ray gave nodes up that were only slow.
test: java-tools $(VENV)/.installed-test jar
	$(BIN)/python -m pytest $(TESTS_AT_ONCE) --ignore=$(ALONE)
	$(BIN)/python -m pytest $(ALONE)
	$(MVN) verify -Dwsisam.python=$(CURDIR)/$(BIN)/python
	@mkdir -p build
	@$(BIN)/python tests/support/tried.py >> build/tried.md

jar: java-tools
	$(MVN) --quiet package -DskipTests
	@echo "built $(JAR)"

java-tools:
	@command -v javac >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1 || \
		{ echo "A JDK (17 or newer) and Maven (3.8.2 or newer) are needed to build QuPath's client jar; missing:" \
			$$(command -v javac >/dev/null 2>&1 || echo javac) $$(command -v mvn >/dev/null 2>&1 || echo mvn). \
			"On Debian or Ubuntu: apt-get install openjdk-17-jdk-headless maven"; exit 1; }
	@major=$$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p'); \
	if [ "$${major:-0}" -lt 17 ]; then \
		echo "JDK 17 or newer is needed to build QuPath's client jar; javac here is $${major:-of an unknown version}." \
			"Install one, or set JAVA_HOME and PATH to it."; exit 1; \
	fi

# The base install with the oldest versions that pyproject.toml allows. Left out: tests of base folders that also use the
# extra `server`, and what needs a store's server. OLDEST is thrown away and made anew.
OLDEST := build/lowest
# The system's certificates count, as for pip.
lowest: export UV_SYSTEM_CERTS = 1
lowest: export UV_NATIVE_TLS = 1
lowest: $(VENV)/.installed-dev
	rm -rf $(OLDEST)
	$(BIN)/uv venv --quiet --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct .
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python 'hypothesis>=6.100' 'pytest>=8.2' 'pytest-asyncio>=0.24' \
		'pytest-timeout>=2.3' 'pytest-xdist>=3.5' 'tifffile>=2024.2' 'trustme>=1.1'
	$(OLDEST)/bin/python -m pytest -p no:cacheprovider --quiet --numprocesses=2 --dist=loadfile \
		tests/core tests/slides tests/annotations/formats \
		--ignore=tests/core/shapes/test_geojson.py --ignore=tests/core/shapes/test_simplify_and_snap.py \
		--ignore=tests/slides/test_filters.py --ignore=tests/slides/test_tissue.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(MAKE) --no-print-directory breaking package-check site

# What an index would refuse: the wheel's metadata, and the README that it shows.
package-check: $(VENV)/.installed-dev
	rm -rf build/check
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/check .
	$(BIN)/twine check --strict build/check/*.whl

# Against the descriptors of the last release, which are in the repository: no tag and no history is needed.
RELEASED := protos/released/wsisam.v1.binpb
breaking: $(VENV)/.installed-dev
	$(BIN)/buf breaking protos --against $(RELEASED)

# The last step before a release: what the contract is now is what later ones are held to.
freeze: $(VENV)/.installed-dev
	$(BIN)/buf build protos --exclude-source-info --output $(RELEASED)

protos: $(VENV)/.installed-test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos -Ithird_party/googleapis \
		--python_out=server --grpc_python_out=server --mypy_out=server --mypy_grpc_out=server \
		protos/wsisam/v1/*.proto

docs: $(VENV)/.installed
	$(BIN)/python -m wsisam_server.cli.configuration_page > docs/configuration.md

# The paths are those of the sources, so that the site shows this checkout whatever is installed.
site: export NO_MKDOCS_2_WARNING = 1
site: $(VENV)/.installed-dev
	PYTHONPATH=server:. $(BIN)/python -m mkdocs build

# make bench SLIDE=path adds what needs a real slide.
bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/claims.py $(if $(SLIDE),"$(SLIDE)")

# All files of a release into dist/; release/assemble.py says which. RELEASE_PAGE is the project's page on GitHub: the catalog
# and the notes then point to its releases. Bills of materials name the versions of this environment, which the tests ran in.
RELEASE_PAGE ?=
RELEASE_TOOLS := build/release-tools
RELEASE_WITH := --tools $(CURDIR)/$(RELEASE_TOOLS)/bin/python --page "$(RELEASE_PAGE)"
release: java-tools $(VENV)/.installed-test $(RELEASE_TOOLS)/.installed
	$(BIN)/python release/assemble.py --out dist $(RELEASE_WITH)

# Twice the same commit, the same bytes.
release-compare: java-tools $(VENV)/.installed-test $(RELEASE_TOOLS)/.installed
	$(BIN)/python release/compare.py $(RELEASE_WITH)

# What dist/ does in empty environments, with no checkout: some minutes and 8 GB. QUPATH=folder tries the sync, too.
release-check: $(VENV)/.installed-test
	$(BIN)/python release/check.py dist $(if $(QUPATH),--qupath "$(QUPATH)")

$(RELEASE_TOOLS)/.installed: release/requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m venv $(RELEASE_TOOLS)
	$(RELEASE_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement release/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) demo build dist qupath_script/target .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		{ echo "Python 3.10 or newer is needed; '$(PYTHON)' is missing or older. Run: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large: a few minutes the first time)"
	$(PIP) --editable '.[server,train]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large: a few minutes the first time)"
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large: a few minutes the first time)"
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test
