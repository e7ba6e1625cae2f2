# `make help` lists the targets. All of them need Python 3.11 or newer; what needs Java and Maven says so.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BESIDE := -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder --max-worker-restart=0 --timeout-method=signal
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup check format test demo availability crash-long simulation simulation-long kafka-long registry-long foreign-long kafka kafka-fetch kafka-stop clean

help: ## List the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(READY) ## Create .venv with the pinned tools, where it is missing or stale
	@:

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON); name a Python of 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "%s is Python %d.%d, and Mainstem needs 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" % (sys.executable, v[0], v[1]))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(PIP) install --editable '.[dev]'
	@touch $@

check: setup ## Format, lint, types, import contracts, budgets, documentation
	@mkdir -p build
	@$(BIN)/ruff format --check --quiet . || { echo 'make format mends this'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pyright --warnings >build/pyright.txt || { cat build/pyright.txt; exit 1; }
	@$(BIN)/lint-imports >build/imports.txt || { cat build/imports.txt; exit 1; }
	@$(BIN)/pytest --quiet tests/architecture

format: setup ## Format the code, and mend what the linter can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

test: setup ## Run the test suite, file by file in as many processes as there are cores, four at most
	@$(BIN)/pytest $(BESIDE) $(ARGS)

demo: setup ## Replay January's flights through four services, kill one, check every total; BROKER=kafka does it on Kafka
	@$(if $(filter kafka,$(BROKER)),$(BIN)/python -m tools.kafka lend --) $(BIN)/python -m examples.flights

bench-%: setup ## Run benchmarks/%.py, for instance bench-embedded; JSON=1 prints one object, QUICK=1 bench-kafka is short
	@JSON=$(JSON) $(BIN)/python -m benchmarks.$* $(ARGS)

availability: setup ## What faults and a burst cost, on one machine and on three brokers, and the availability that comes of it
	@JSON=$(JSON) $(BIN)/python -m benchmarks.availability $(ARGS)

crash-long: setup ## The long form of the crash tests
	@$(BIN)/pytest -m long tests/crash $(ARGS)

simulation: setup ## Two thousand seeds of our own invariants, on two cores: a minute or two
	@$(BIN)/pytest tests/simulation/test_invariants.py --timeout=900 --mainstem-seeds=500 --mainstem-processes=2 $(ARGS)

simulation-long: setup ## The long form of the simulations: ten thousand seeds each
	@$(BIN)/pytest -m long tests/simulation $(ARGS)

kafka-long: setup ## The long form of the failures on Kafka
	@$(BIN)/pytest -m long tests/kafka $(ARGS)

registry-long: setup ## The long form of the requests that nobody would think of, to the schema registry
	@$(BIN)/pytest -m long tests/rooms/registry $(ARGS)

foreign-long: setup ## Ours and others': Apicurio Registry, which Maven fetches, a client in Go, and a console for Kafka, which pip fetches
	@$(BIN)/pytest -m long tests/foreign $(ARGS)

kafka-fetch: setup ## Fetch Apache Kafka into .kafka; as root on Debian, install Java and Maven where they are missing
	@$(BIN)/python -m tools.kafka fetch

kafka: setup ## Start Apache Kafka on this machine, NODES=3 for three nodes; the address is printed, and in .kafka/address
	@$(BIN)/python -m tools.kafka start --nodes $(or $(NODES),1)

kafka-stop: setup ## End it; what it holds is kept, and the next start has the same address if it is free
	@$(BIN)/python -m tools.kafka stop

clean: ## Remove what the other targets have made
	@test ! -d .kafka || ! test -x $(BIN)/python || $(BIN)/python -m tools.kafka stop
	@rm -rf $(VENV) .kafka .registries build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
