# One word a job; each sets up what it needs. CONTRIBUTING.md explains the ladder.

PYTHON ?= python3
# The other Python of `make check-on`: Debian 13 has 3.13.
VERSION ?= 3.13
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
SOURCES := conftest.py mig_core benchmarks tests $(wildcard plugins/*/src plugins/*/tests plugins/*/benchmarks plugins/*/tools plugins/*/fuzz docs/examples/*/src docs/examples/*/tests)
# Where we meet other libraries: what is run once more on another Python, and with the oldest libraries.
SEAMS := tests/unit $(addprefix tests/drivers/,test_gnupg.py test_relay_amqp.py test_relay_amqp_login.py test_relay_amqp_network.py test_relay_https.py test_relay_https_tls.py \
  test_relay_memory.py test_store_postgres.py test_store_same_command.py test_store_trouble.py test_api_http_protocol.py test_api_login.py)
# Where the demonstration lives between starts; empty: a new folder that is removed at the end.
DEMO ?=

.PHONY: help dev fix check test check-on check-lowest compose-test demo constraints notice package packages packages-test clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

dev: $(VENV)/.ready ## the virtual environment .venv with core, plugins and tools, editable

$(VENV)/.ready: pyproject.toml constraints.txt $(addsuffix /pyproject.toml,$(PLUGINS))
	@./tools/need-system-packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps \
	  -e . $(addprefix -e ,$(PLUGINS))
	$(BIN)/python -m pip check
	@touch $@

fix: dev ## format, and mend what can be mended
	$(BIN)/ruff check --fix --quiet $(SOURCES)
	$(BIN)/ruff format --quiet $(SOURCES)

check: dev ## format, lint, types, import rules, unit tests, drivers, documentation
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	./tools/side-by-side '$(BIN)/pytest -q tests/drivers plugins/mig_audit' \
	  '$(BIN)/pytest -q tests/unit tests/documentation $(filter-out plugins/mig_audit,$(PLUGINS))'

test: check ## everything, end to end and packaging too
	$(BIN)/pytest -q tests/end_to_end tests/packaging tests/upgrades

check-on: ## unit tests, what meets other libraries, dispatch and one question on another Python: make check-on VERSION=3.13
	$(MAKE) dev PYTHON="$$(./tools/find-python $(VERSION))" VENV=.venv-$(VERSION)
	.venv-$(VERSION)/bin/pytest -q -p no:cacheprovider $(SEAMS) plugins/mig_dispatch tests/end_to_end/test_question_to_answer.py

check-lowest: ## unit tests and what meets other libraries, with the oldest that our dependencies allow
	$(PYTHON) -m venv .venv-lowest
	"$$(./tools/find-uv .venv-lowest)" pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
	  -e '.[server,cli,embedded,testing]' -e 'plugins/mig_audit[testing]' $(addprefix -e ,$(PLUGINS))
	CI= .venv-lowest/bin/pytest -q -p no:cacheprovider $(SEAMS)

compose-test: ## the compose environment in real containers (needs Docker)
	./tools/compose-test

demo: dev ## platform, four agents, the walk-through's questions, real answers
	$(BIN)/mig demo $(if $(DEMO),--state $(DEMO))

constraints: ## all pinned versions anew, after a dependency changed (tools/lock-dependencies --upgrade: the newest)
	./tools/lock-dependencies

notice: dev ## NOTICE: whose works MIG needs, and their licences
	$(BIN)/python tools/write-notice

package: dev ## wheels and source archives of core and plugins, in dist/
	rm -rf dist
	for folder in . $(PLUGINS); do $(BIN)/python -m build --no-isolation --outdir dist $$folder || exit 1; done

packages: dev ## deb and rpm of agent, platform and client, in dist/packages/
	$(BIN)/python tools/build-packages

packages-test: dev ## the packages in containers: installed, upgraded, purged (needs Docker)
	./tools/packages-test

clean: ## removes what make made
	rm -rf .venv .venv-* dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
