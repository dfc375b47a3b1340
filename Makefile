# Needs python3 (3.11 or newer), make and git; everything else goes into .venv and .venv-tools.
PYTHON ?= python3
# Schemathesis fails with the parser of Python 3.11. Name a newer Python if you have one:
# `make contract TOOLS_PYTHON=python3.13`.
TOOLS_PYTHON ?= $(PYTHON)

# .venv has the packages of the program; `make test` and others add those of the tests.
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
READY := $(VENV)/.ready
# Tools that judge the product from outside, and draw.
TOOLS := .venv-tools
TOOLS_READY := $(TOOLS)/.ready
# Packages for the JavaScript of docs and judges; Node itself is in .venv.
SAMPLES_READY := tests/javascript/node_modules/.package-lock.json
JUDGES_READY := tests/judges/node_modules/.package-lock.json

# Without bytecode: Python writes it at the first run.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
LOCK := $(BIN)/uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --quiet

.DEFAULT_GOAL := help
.PHONY: help install demo test contract nightly bench survive soak image check static format openapi lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=python3.12"; exit 1; }
	@echo "Installing into $(VENV), 1 of 3: a virtual environment"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV), 2 of 3: $$(grep -c == requirements/runtime.txt) packages that the program needs"
	@$(BIN)/python $(INSTALL) --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@echo "Installing into $(VENV), 3 of 3: the program"
	@$(BIN)/python $(INSTALL) --no-build-isolation --no-deps -e .
	@touch $@

$(READY): $(RUNTIME) requirements/test.txt
	@echo "Installing into $(VENV): packages that the tests need"
	@$(BIN)/python $(INSTALL) --require-hashes -r requirements/test.txt
	@touch $@

$(TOOLS_READY): requirements/tools.txt
	@echo "Installing into $(TOOLS): tools that judge from outside"
	@$(TOOLS_PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python $(INSTALL) --require-hashes -r requirements/tools.txt
	@touch $@

%/node_modules/.package-lock.json: %/package.json %/package-lock.json | $(READY)
	@echo "Installing into $*/node_modules"
	@$(BIN)/npm ci --prefix $* --ignore-scripts --no-audit --no-fund --silent
	@touch $@

install: $(READY) ## Make .venv with everything that development needs, locked by hashes

demo: $(RUNTIME) ## Show the whole journey with a simulated Meta, then keep serving (ARGS=--once ends it)
	@$(BIN)/partner-connector demo $(ARGS)

# The processes of journeys often wait, so one worker more than the cores is not idle.
WORKERS ?= 3
# Tests start hundreds of processes: without bytecode each would compile the whole program.
check static test nightly: export PYTHONDONTWRITEBYTECODE :=

test: $(READY) $(SAMPLES_READY) $(TOOLS_READY) ## Run the tests, on SQLite and on a real PostgreSQL (ARGS="-k name" selects)
	$(BIN)/pytest -n $(WORKERS) --dist loadscope $(ARGS)

nightly: $(READY) $(SAMPLES_READY) $(TOOLS_READY) ## Run everything: every test in every variant, all faults, histories, kills (ARGS="--kills 100" for more)
	@$(BIN)/python -m tests.nightly $(ARGS)

bench: $(READY) ## Run every benchmark (ARGS=--quick tries them, ARGS=--markdown makes tables)
	@$(BIN)/python -m benchmarks $(ARGS)

survive: $(READY) ## Kill, freeze, fill and lock everything, for hours (ARGS="--kills 10" for less)
	@$(BIN)/python -m tests.survival $(ARGS)

soak: $(READY) $(TOOLS_READY) ## Hours of checks in minutes: does anything grow? (ARGS="--minutes 5" for less)
	@$(BIN)/python -m tests.soak --out $(VENV)/soak $(ARGS); status=$$?; \
		$(TOOLS)/bin/python -m tests.soak.draw $(VENV)/soak docs/explanation/soak.png; exit $$status

image: $(READY) $(TOOLS_READY) ## Lint, build and run the image; needs root and podman (ARGS="--base python:3.13-slim-bookworm")
	$(TOOLS)/bin/hadolint Dockerfile
	$(TOOLS)/bin/kubernetes-validate --strict --quiet deploy/kubernetes/[!k]*.yaml deploy/kubernetes/migrate/job.yaml
	@$(BIN)/python -m tests.image $(ARGS)

contract: $(READY) $(SAMPLES_READY) $(TOOLS_READY) $(JUDGES_READY) ## Judge the contract: linters, mock, clients, fuzzer (ARGS="--seconds 600")
	@$(BIN)/python -m tests.judges $(ARGS)

check: static ## Lint, types, import contracts, migration drift, OpenAPI drift and breaking changes
	$(BIN)/pytest -q tests/migrations

# The part of `check` that `test` does not run.
static: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.contracts.plain_words
	$(BIN)/partner-connector openapi --check openapi/openapi.json
	$(BIN)/partner-connector problems --check docs/reference/problems.md
	$(BIN)/python -m tests.contracts.breaking_changes openapi/released openapi/openapi.json

format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(READY) ## Write openapi/openapi.json and docs/reference/problems.md
	$(BIN)/partner-connector openapi --out openapi/openapi.json
	$(BIN)/partner-connector problems --out docs/reference/problems.md

lock: $(RUNTIME) ## Lock the dependencies again, with hashes and without index addresses
	$(BIN)/python $(INSTALL) uv
	$(LOCK) pyproject.toml --extra traces -o requirements/runtime.txt
	$(LOCK) --group build -c requirements/runtime.txt -o requirements/build.txt
	$(LOCK) --group test -c requirements/runtime.txt -c requirements/build.txt -o requirements/test.txt
	$(LOCK) --group tools -o requirements/tools.txt

clean: ## Remove the environments and caches
	rm -rf $(VENV) $(TOOLS) tests/*/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
