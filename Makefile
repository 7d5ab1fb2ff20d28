# `make test` and `make demo` install what they need into .venv and node_modules folders, and nothing elsewhere.
# A second run uses what is installed.
#
#   make unit ARGS="-k inbox"      arguments for pytest
#   make test PYTHON=python3.13    the Python to make a new .venv with

ARGS =
PYTHON =

VENV = .venv
BIN = $(VENV)/bin
PYTHONS = $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
SUPPORTED_PYTHONS = python3.11 python3.12 python3.13
PIP_INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
NODE_PACKAGES = $(addsuffix /node_modules/.package-lock.json,tests/logto tests/openapi tests/pages tests/generators \
	tests/validators examples/receiver_node examples/receiver_typescript examples/e2e)

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test lint types unit coverage soak pythons matrix bench schemas upstream clean install node go

help:
	@echo 'make demo     the main job: messages sent, received and judged'
	@echo 'make test     all that CI checks: lint, types, tests'
	@echo 'make lint     ruff alone: its rules and its format'
	@echo 'make types    mypy --strict alone'
	@echo 'make unit     pytest alone; ARGS="..." gives it arguments'
	@echo 'make coverage pytest alone, with branch coverage and its floor; it takes twice as long'
	@echo 'make soak     memory under hostile clients; pytest three times, beside processes that keep the cores busy'
	@echo 'make pythons  pytest on each supported Python that is installed'
	@echo 'make matrix   the tables of generators and validators; ARGS=--write writes them'
	@echo 'make bench    the measurements'
	@echo 'make schemas  write the generated files of schemas/ and docs/revisions.md again'
	@echo 'make upstream compare the contract with the newest packages of Logto on npm'
	@echo 'make clean    remove .venv, the Node packages and every cache'

# Only the packages that it runs: those of all tests take minutes to download.
demo: install
	@$(MAKE) --no-print-directory node NODE_PACKAGES=tests/logto/node_modules/.package-lock.json
	@$(BIN)/python examples/demo.py

test: lint types unit

lint: install
	@echo '== ruff check'
	@$(BIN)/ruff check
	@echo '== ruff format --check'
	@$(BIN)/ruff format --check

types: install
	@echo '== mypy --strict'
	@$(BIN)/mypy

# Three workers keep two cores busy, since many tests wait; ARGS="-n 0" for one process and a debugger.
unit: install node go
	@echo '== pytest'
	@$(BIN)/python -m pytest -n 3 $(ARGS)

# Always all tests: a part of them cannot reach the floor. Not in `make test`: tracing doubles the time.
coverage: install node go
	@echo '== pytest with coverage'
	@$(BIN)/python -m pytest -n 3 --cov --cov-report=term

# A test that depends on a fast machine fails here.
soak: install node go
	@echo '== memory of serve under hostile clients'
	@SOAK_SECONDS=20 $(BIN)/python bench/hostile.py soak
	@set -e; busy=; \
	trap 'kill $$busy; wait' EXIT; trap 'exit 130' INT TERM; \
	for core in 1 2; do ( while :; do :; done ) & busy="$$busy $$!"; done; \
	for round in 1 2 3; do \
		echo "== pytest, round $$round of 3, beside 2 busy processes"; \
		$(BIN)/python -m pytest -n 2 $(ARGS); \
	done

# In CI a missing Python is an error, so that none is left out unseen.
pythons:
	@set -e; \
	for python in $(SUPPORTED_PYTHONS); do \
		if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "== no $$python with venv here: left out"; \
			if [ "$$CI" = true ]; then exit 1; fi; \
		else \
			echo "== $$python"; \
			$(MAKE) --no-print-directory unit PYTHON="$$python" VENV=".venv-$$python"; \
		fi; \
	done

# The tools that `make test` leaves out need Java 17 and a package of Perl; the rest comes from PyPI.
matrix: install node go
	@if ! java --list-modules 2>/dev/null | grep -q '^jdk.compiler' || ! perl -MJSON::Validator -e 1 2>/dev/null; then \
		echo 'The matrix needs Java with its compiler, and JSON::Validator for Perl.' >&2; \
		echo 'On Debian and Ubuntu: apt-get install default-jre-headless libjson-validator-perl' >&2; \
		exit 1; \
	fi
	@$(PIP_INSTALL) --group matrix
	@echo '== generators and validators'
	@$(BIN)/python -m tests.support.matrix $(ARGS)

bench: install
	@set -e; for script in bench/[!_]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

schemas: install
	@$(BIN)/python -m tools.contract_source

# make ends with 2 whatever the reason; the module itself with 1 if Logto changed, 3 or 4 if it cannot tell.
upstream: install
	@$(BIN)/python -m tools.upstream

clean:
	rm -rf $(VENV) .venv-python3.* .coverage* $(dir $(NODE_PACKAGES)) examples/e2e/test-results examples/receiver_typescript/dist bench/servers/node_modules bench/validators/node_modules dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(VENV)/installed

# A .venv that works keeps its Python. The pip that comes with a Python may not know dependency groups yet: the
# pinned one comes first. The build backend is in the group, so that without build isolation it is pinned too.
$(VENV)/installed: pyproject.toml constraints.txt
	@set -e; \
	if [ -n '$(PYTHON)' ] || ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		python=; \
		for candidate in $(PYTHONS); do \
			if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				python=$$candidate; break; \
			fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo 'No Python 3.11 or later here; looked for: $(PYTHONS).' >&2; \
			echo 'Install one, or name one: make PYTHON=/path/to/python3' >&2; \
			exit 1; \
		fi; \
		if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "$$python cannot make a virtual environment: it lacks the module venv or ensurepip." >&2; \
			echo 'On Debian and Ubuntu: apt-get install python3-venv' >&2; \
			exit 1; \
		fi; \
		"$$python" -m venv --clear $(VENV); \
	fi; \
	echo "== installing into $(VENV), $$($(BIN)/python --version)"; \
	$(PIP_INSTALL) --upgrade pip; \
	$(PIP_INSTALL) --group dev; \
	$(PIP_INSTALL) --group schemathesis --no-deps --upgrade --target $(VENV)/schemathesis; \
	$(PIP_INSTALL) --no-build-isolation --editable .; \
	touch $@

# Without Node the tests that run Node packages are skipped; in CI (CI=true) they fail, and a failing npm is an error.
node:
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null; then \
		echo '== no Node with npm here: what runs Node packages is skipped'; \
	elif ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then \
		echo "== Node $$(node --version) is older than 20: what runs Node packages is skipped"; \
	elif ! $(MAKE) --silent --no-print-directory $(NODE_PACKAGES); then \
		if [ "$$CI" = true ]; then exit 1; fi; \
		echo '== npm failed: what runs Node packages is skipped'; \
	fi

# Go compiles its standard library once. Without this, several tests would do it at the same time.
go:
	@if [ -x $(BIN)/go ]; then \
		GOCACHE=$(abspath $(VENV))/go-cache GOTOOLCHAIN=local CGO_ENABLED=0 \
			$(BIN)/go build -C examples/receiver_go -o /dev/null .; \
	fi

# npm writes the target, its own record of what it installed, last.
$(NODE_PACKAGES): %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@echo '== installing the Node packages of $*'
	@npm ci --prefix $* >/dev/null
	@touch $@
