# Needs python3 (3.11 or newer), make and git; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What the JavaScript of the documentation needs; Node itself comes into .venv.
SAMPLES := tests/javascript
SAMPLES_READY := $(SAMPLES)/node_modules/.package-lock.json

# What generates and checks a Python client: it needs older libraries than we do.
CLIENTS := .venv-clients
CLIENTS_READY := $(CLIENTS)/.ready

# What draws the curves of a soak.
CURVES := .venv-curves
CURVES_READY := $(CURVES)/.ready

# What judges the contract from outside. Schemathesis stumbles over the parser of Python 3.11: name
# a newer one where there is one, as in `make contract CONTRACT_PYTHON=python3.13`.
CONTRACT_PYTHON ?= $(PYTHON)
CONTRACT := .venv-contract
CONTRACT_READY := $(CONTRACT)/.ready
JUDGES := tests/judges
JUDGES_READY := $(JUDGES)/node_modules/.package-lock.json

# What judges the Dockerfile and the manifests.
IMAGE := .venv-image
IMAGE_READY := $(IMAGE)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test contract bench survive soak image check format openapi lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)

$(SAMPLES_READY): $(READY) $(SAMPLES)/package.json $(SAMPLES)/package-lock.json
	$(BIN)/npm ci --prefix $(SAMPLES) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(CLIENTS_READY): $(READY) tests/clients/requirements.txt
	$(PYTHON) -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/clients/requirements.txt
	@touch $@

$(CURVES_READY): $(READY) tests/soak/requirements.txt
	$(PYTHON) -m venv --clear $(CURVES)
	$(CURVES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/soak/requirements.txt
	@touch $@

$(CONTRACT_READY): $(READY) $(JUDGES)/requirements.txt
	$(CONTRACT_PYTHON) -m venv --clear $(CONTRACT)
	$(CONTRACT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r $(JUDGES)/requirements.txt
	@touch $@

$(JUDGES_READY): $(READY) $(JUDGES)/package.json $(JUDGES)/package-lock.json
	$(BIN)/npm ci --prefix $(JUDGES) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(IMAGE_READY): tests/image/requirements.txt
	$(PYTHON) -m venv --clear $(IMAGE)
	$(IMAGE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/image/requirements.txt
	@touch $@

install: $(READY) ## Make .venv with hash-locked dependencies

demo: $(READY) ## Walk the whole journey against a simulated Meta, then keep serving (ARGS=--once ends)
	@$(BIN)/partner-connector demo $(ARGS)

test: $(READY) $(SAMPLES_READY) $(CLIENTS_READY) ## Run every test, on SQLite and on a real PostgreSQL (ARGS="-k name" selects)
	$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

bench: $(READY) ## Run every benchmark (ARGS=--quick tries them, ARGS=--markdown makes tables)
	@$(BIN)/python -m benchmarks $(ARGS)

survive: $(READY) ## Kill, freeze, fill and lock everything, for hours (ARGS="--kills 10" for less)
	@$(BIN)/python -m tests.survival $(ARGS)

soak: $(READY) $(CURVES_READY) ## Hours of checks in minutes: does anything grow? (ARGS="--minutes 5" for less)
	@$(BIN)/python -m tests.soak --out $(VENV)/soak $(ARGS); told=$$?; \
		$(CURVES)/bin/python -m tests.soak.draw $(VENV)/soak docs/soak.png; exit $$told

image: $(READY) $(IMAGE_READY) ## Lint, build and run the image; needs root and podman (ARGS="--base python:3.13-slim-bookworm")
	$(IMAGE)/bin/hadolint Dockerfile
	$(IMAGE)/bin/kubernetes-validate --strict --quiet deploy/kubernetes/[!k]*.yaml deploy/kubernetes/migrate/job.yaml
	@$(BIN)/python -m tests.image $(ARGS)

contract: $(READY) $(SAMPLES_READY) $(CLIENTS_READY) $(CONTRACT_READY) $(JUDGES_READY) ## Judge the contract: linters, mock, clients, fuzzer (ARGS="--seconds 600")
	@$(BIN)/python -m tests.judges $(ARGS)

check: $(READY) ## Lint, types, import contracts, migration drift, OpenAPI drift and breaking changes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/migrations
	$(BIN)/partner-connector openapi --check openapi/openapi.json
	$(BIN)/partner-connector problems --check docs/problems.md
	$(BIN)/python -m tests.contracts.breaking_changes openapi/released openapi/openapi.json

format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(READY) ## Write openapi/openapi.json and docs/problems.md anew
	$(BIN)/partner-connector openapi --out openapi/openapi.json
	$(BIN)/partner-connector problems --out docs/problems.md

lock: $(READY) ## Lock the dependencies anew, with hashes and without index addresses
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra traces --universal --generate-hashes \
		--no-header --python-version 3.11 --quiet -o requirements.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra traces --universal \
		--generate-hashes --no-header --python-version 3.11 --quiet \
		-o requirements-dev.txt
	$(BIN)/uv pip compile tests/clients/requirements.in --universal --generate-hashes \
		--no-header --python-version 3.11 --quiet -o tests/clients/requirements.txt
	$(BIN)/uv pip compile tests/soak/requirements.in --universal --generate-hashes \
		--no-header --python-version 3.11 --quiet -o tests/soak/requirements.txt
	$(BIN)/uv pip compile $(JUDGES)/requirements.in --universal --generate-hashes \
		--no-header --python-version 3.11 --quiet -o $(JUDGES)/requirements.txt
	$(BIN)/uv pip compile tests/image/requirements.in --universal --generate-hashes \
		--no-header --python-version 3.11 --quiet -o tests/image/requirements.txt

clean: ## Remove .venv and caches
	rm -rf $(VENV) $(CLIENTS) $(CURVES) $(CONTRACT) $(IMAGE) $(SAMPLES)/node_modules $(JUDGES)/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
