PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKS := requirements.txt config/database/requirements.txt tests/requirements.txt \
	tests/benchmarks/requirements.txt tests/typed_clients/requirements.txt
PIP_AUDIT := 2.10.1
# Only one set-up runs at a time. A Python that is too old gets a clear message.
SET_UP := @$(PYTHON) -c 'import fcntl, os, sys; \
	sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=..."); \
	lock = os.open(".venv.lock", os.O_CREAT | os.O_RDWR); os.set_inheritable(lock, True); \
	fcntl.flock(lock, fcntl.LOCK_EX); os.execvp(sys.argv[1], sys.argv[1:])' $(MAKE) --silent

.PHONY: run serve test check audit release bench pictures

run: ## start the service on an embedded PostgreSQL, with a demo user
	$(SET_UP) .venv/run
	@DEBUG=$${DEBUG:-true} exec $(BIN)/python manage.py serve --demo

serve: ## the same server in production, configured by the environment
	$(SET_UP) .venv/serve
	@exec $(BIN)/python manage.py serve

test: ## all tests
	$(SET_UP) .venv/test
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

check: ## format, lint, types, migrations and their locks, production settings, package locks
	$(SET_UP) .venv/test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	DEBUG=true $(BIN)/mypy
	DEBUG=true $(BIN)/python manage.py makemigrations --check
	$(BIN)/python -m pytest --quiet tests/test_imports.py
	$(BIN)/python tests/deploy_check.py
	$(BIN)/python tests/lock_safety.py
	$(BIN)/python tests/locks.py

audit: ## known vulnerabilities of all locked packages; needs the advisories of PyPI and npm
	$(SET_UP) .venv/test
	@for lock in $(LOCKS); do echo "$$lock"; \
	  $(BIN)/uvx pip-audit==$(PIP_AUDIT) --strict --disable-pip --require-hashes --requirement $$lock || exit 1; done
	@for folder in examples/nextjs tests/better_auth tests/typed_clients tests/benchmarks/peers/fastify; do echo "$$folder"; \
	  npm --prefix $$folder audit --package-lock-only || exit 1; done

release: check test ## source archive, SBOM and checksums in dist/, and the tag; see CONTRIBUTING.md
	@$(BIN)/python -m release

bench: ## against other frameworks; QUICK=1, SCALE=1, ADMIN=1, LIST=1, POLL=1, PG=15, BASE=commit as in docs/performance.md
	$(SET_UP) .venv/run
	@$(BIN)/python -m tests.benchmarks

pictures: ## takes the pictures of README again; needs Chromium and nginx
	$(SET_UP) .venv/test
	@$(BIN)/python -m tests.browser.pictures

.venv/serve: requirements.txt
	echo "Installing the locked packages into .venv ..."
	$(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.txt
	touch $@

.venv/run: .venv/serve config/database/requirements.txt
	$(INSTALL) -r config/database/requirements.txt || \
	  echo "The embedded PostgreSQL cannot be installed here: set DATABASE_URL to your own PostgreSQL."
	touch $@

.venv/test: .venv/serve tests/requirements.txt
	echo "Installing the test tools ..."
	$(INSTALL) -r tests/requirements.txt
	touch $@
