# Yellow Books Jobs. `make run` starts everything, `make test` proves it; nothing but Python >= 3.11 is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help install run test lint audit sbom lock figures bench kills faults rolling site explore clean

help:            ## this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

install: $(VENV)/.installed   ## make .venv and install what the system needs, from the lock

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; for example: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.made requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

run: install     ## start everything on http://127.0.0.1:3333
	@$(BIN)/yellowbooks up

$(VENV)/.browser: $(VENV)/.tested tests/browser.py tests/chromium/package-lock.json
	$(BIN)/python -m tests.browser
	@touch $@

test: $(VENV)/.browser   ## every test, against real servers
	$(BIN)/python -m tests.nextauth.apps
	$(BIN)/python -m pytest

lint: $(VENV)/.tested   ## ruff, mypy strict, bandit, and whether a dependency is known to be vulnerable
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src scripts
	$(BIN)/python scripts/audit.py

audit: $(VENV)/.tested   ## ask whether a dependency is known to be vulnerable
	$(BIN)/python scripts/audit.py

sbom: $(VENV)/.tested   ## what the system is made of, as CycloneDX, in dist/sbom.cdx.json
	$(BIN)/python scripts/sbom.py

lock: $(VENV)/.tested   ## write both locks anew: hashes, no addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --extra build -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --extra build --group dev -o requirements-test.lock pyproject.toml

figures: $(VENV)/.tested   ## measure what docs/figures.md says
	$(BIN)/python -m bench.figures

bench: $(VENV)/.tested   ## measure against the peers, write docs/benchmarks.md and docs/benchmarks-mail.md
	$(BIN)/python -m bench.peers_bench
	$(BIN)/python -m bench.mails

kills: $(VENV)/.tested   ## kill workers of ours and of the peers, write docs/kills.md
	$(BIN)/python -m bench.kills

faults: $(VENV)/.tested   ## hurt the system in every way of the fault table, and count
	$(BIN)/python -m tests.faults --size 400
	$(BIN)/python -m tests.faults.mails --size 4000
	$(BIN)/python -m tests.faults.smtp
	$(BIN)/python -m tests.faults.ramp --jobs 20000

site: $(VENV)/.tested   ## make the site of the documents in build/site, and check its links
	$(BIN)/python scripts/site/build.py

rolling: $(VENV)/.tested   ## restart every role 50 times under load, and count what is lost
	$(BIN)/python -m tests.rolling --postgres

explore: $(VENV)/.tested   ## search every order of events over the engine's Lua
	$(BIN)/python -m tests.model

clean:           ## remove what was installed
	rm -rf $(VENV)
