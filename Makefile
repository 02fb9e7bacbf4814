# `make` lists the targets. Nothing but Python 3.11 or 3.12 and make is needed: the rest goes into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
RUN_MB := 730
DEV_MB := 900
# a big wheel over a slow line: wait, try again, go on where it broke off
PIP := $(PY) -m pip --disable-pip-version-check --no-input --retries 10 --timeout 60
INSTALL := --require-hashes --no-deps --only-binary :all:
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile -q --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: runtime ## Start everything on this machine (the first time, dependencies are installed)
	@exec $(PY) -m turno up $(ARGS)

.PHONY: dev
dev: tools ## Start everything, and the API again whenever its source changes
	@exec $(PY) -m turno up --reload $(ARGS)

.PHONY: test
test: tools ## Run the tests; ARGS="tests/api -k name" runs some of them
	@$(PY) -m pytest $(or $(ARGS),$(EVERYTHING))
# two files at a time: half of the tests' time is waiting for processes
EVERYTHING = -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: stack
stack: secrets ## Start everything in containers, with PostgreSQL and Redis (needs Docker)
	@$(COMPOSE) build
	@start="$(COMPOSE) up --detach $(ARGS)"; \
	$$start || { echo "make: that did not go well; once more."; $(COMPOSE) restart api; $$start; } || { $(STACK_SAYS) exit 1; }; \
	printf 'Waiting until a worker has its model warm '; \
	for _ in $$(seq 150); do \
		if $(COMPOSE) exec -T api python -m api.health 8000 --ready >/dev/null 2>&1; then \
			echo; echo "Ready: http://$$($(COMPOSE) port api 8000), with the API_KEY that stands in .env"; exit 0; \
		fi; \
		printf .; sleep 2; \
	done; \
	echo; $(STACK_SAYS) echo "make: not ready after five minutes." >&2; exit 1
STACK_SAYS = $(COMPOSE) ps >&2; $(COMPOSE) logs --tail 8 postgres redis api worker >&2; \
	echo "make: the lines above say why; \"$(COMPOSE) logs\" has all of them." >&2;

.PHONY: stack-test
stack-test: tools ## Build the containers, load them, kill some, count what became of every job (needs Docker)
	@$(PY) -m tests.compose $(ARGS)

.PHONY: check
check: lint types test ## Everything that must hold before a change is merged

.PHONY: lint
lint: tools ## Format, style and import contracts
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@said=$$($(VENV)/bin/lint-imports --no-logo) || { echo "$$said"; exit 1; }

.PHONY: types
types: tools ## Type check, strict
	@$(PY) -m mypy

.PHONY: docs
docs: tools ## Write anew what the documentation takes from the code
	@$(PY) -m turno docs

.PHONY: train
train: tools ## Train the bundled model anew, from the photos in DATA_DIR
	@$(PY) models/leaf-health/train.py $(ARGS)

.PHONY: bench
bench: tools ## Measure speed and memory beside what they could be; ARGS="drain --workload cnn" measures a part
	@$(PY) -m bench $(ARGS)

.PHONY: lock
lock: uv ## Write requirements anew from pyproject.toml; ARGS=--upgrade takes the newest versions
	@$(COMPILE) $(ARGS) pyproject.toml --extra api --extra worker --extra up --extra client -o requirements.txt
	@$(COMPILE) pyproject.toml -c requirements.txt --extra api --extra client -o requirements/api.txt
	@$(COMPILE) pyproject.toml -c requirements.txt --extra worker -o requirements/worker.txt
	@$(COMPILE) $(ARGS) pyproject.toml -c requirements.txt --extra api --extra worker --extra up --extra client \
		--extra dev -o requirements/dev.txt
	@echo pip | $(COMPILE) $(ARGS) - -o requirements/pip.txt

.PHONY: audit
audit: tools ## Look for known vulnerabilities in what requirements.txt installs
	@said=$$($(PY) -m pip_audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements.txt 2>&1) \
		&& { echo "$$said"; exit 0; }; \
	echo "$$said"; \
	case "$$said" in \
		*"could not be audited"* | *onnection* | *imeout* | *"Max retries"*) \
			echo "make audit: the advisory service could not be asked, so nothing is known: try again where it can." >&2 ;; \
		*) echo "make audit: it did not pass, see above." >&2 ;; \
	esac; exit 1

.PHONY: outdated
outdated: tools ## List dependencies of which a newer version is out
	@$(PIP) list --outdated

.PHONY: clean
clean: ## Remove .venv and every cache; the data in var stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets above stand on -------------------------------------------------------------------

.PHONY: venv
venv:
	@$(PY) -c 'import pip' 2>/dev/null && exit 0; \
	fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; \
	minor='import sys; print(sys.version_info[1])'; found=; bare=; \
	for python in python3.12 python3.11 python3; do \
		$$python -c "$$fits" 2>/dev/null || continue; \
		if $$python -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; fi; \
		bare=$${bare:-$$python}; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
		package=python3-venv; number=$$($$bare -c "$$minor"); \
		[ "$$(python3 -c "$$minor" 2>/dev/null)" = "$$number" ] || package=python3.$$number-venv; \
		echo "make: $$bare lacks the venv module: sudo apt-get install $$package" >&2; exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
		echo "make: Python 3.11 or 3.12 is needed: sudo apt-get install python3.11 python3.11-venv, or see python.org" >&2; \
		exit 1; \
	fi; \
	echo "Making a virtual environment in $(VENV) with $$($$found --version)."; \
	$$found -m venv --clear $(VENV)

# $(call install,requirements file,megabytes): nothing to do when the same file was installed last time
define install
	@cmp -s $(1) $(VENV)/$(notdir $(1)) && exit 0; \
	[ -t 1 ] && quiet= || quiet=-q; \
	echo "Installing dependencies into $(VENV): up to $(2) MB to download and 3 GB on disk, this once."; \
	$(PIP) install -q $(INSTALL) -r requirements/pip.txt && \
	$(PIP) install $$quiet $(INSTALL) -r $(1) && cp $(1) $(VENV)/$(notdir $(1)) || { \
		echo "make: the installation broke off, see above; what was downloaded is kept: run make again." >&2; exit 1; }
endef

.PHONY: runtime
runtime: venv
	$(call install,requirements.txt,$(RUN_MB))

.PHONY: tools
tools: venv
	$(call install,requirements/dev.txt,$(DEV_MB))
	@cp requirements.txt $(VENV)/requirements.txt  # dev.txt holds all of it

# Compose 2 is a command of Docker, Compose 1 a program
COMPOSE = $(shell if docker compose version >/dev/null 2>&1; then echo docker compose; else echo docker-compose; fi)

# each secret is made once, and only where none is set
.PHONY: secrets
secrets:
	@umask 077; touch .env; chmod 600 .env; for name in API_KEY POSTGRES_PASSWORD REDIS_PASSWORD; do \
		grep -Eq "^(export +)?$$name=[\"']?[A-Za-z0-9_-]" .env && continue; \
		[ -z "$$(tail -c 1 .env)" ] || echo >>.env; \
		echo "$$name=$$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >>.env; \
		echo "Wrote a random $$name into .env: keep this file, and keep it to yourself."; \
	done

.PHONY: uv
uv: venv
	@command -v uv >/dev/null || $(PY) -m uv --version >/dev/null 2>&1 || $(PIP) install -q uv
UV = $(shell command -v uv || echo $(PY) -m uv)
