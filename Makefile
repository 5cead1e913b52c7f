# The two commands: `make run` shows a working center, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run install dev check format test test-vectors theory chaos asterisk web lock clean

run: install
	$(BIN)/naru demo

# The run-time environment, as locked. uv makes it fast; without it pip does the same.
install: .venv/.installed
.venv/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null
	$(BIN)/python -m pip install -q --disable-pip-version-check "uv>=0.9" || true
	@if [ -x $(BIN)/uv ]; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e . ; \
	else \
	  $(BIN)/python -m pip install -q --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --no-deps -e . ; \
	fi
	@touch $@

# What the checks and tests need besides.
dev: .venv/.dev
.venv/.dev: .venv/.installed requirements-dev.lock
	@if [ -x $(BIN)/uv ]; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.lock ; \
	else \
	  $(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock ; \
	fi
	@touch $@

check: dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	$(BIN)/mypy --no-error-summary

format: dev
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

test: dev
	sh tests/support/install.sh
	$(MAKE) check
	sh tests/support/run.sh $(BIN)/pytest

# Every signature vector; NARU_VECTORS=path runs another file of that form.
test-vectors: dev
	$(BIN)/pytest -q tests/channels/test_vectors.py

# Every case of queueing theory, the dear ones too, each figure printed.
theory: dev
	$(BIN)/pytest -q -s -m "slow or thorough" tests/simulation/test_theory.py tests/simulation/test_theory_outbound.py

# A whole center on three Kafka nodes and PostgreSQL under load while everything fails, for ten minutes. Needs root.
chaos: dev
	sh tests/support/install.sh
	PYTHONPATH=tests $(BIN)/python -m chaos --minutes $(or $(MINUTES),10)

# The phone against a real Asterisk with real audio, and how many calls it routes beside Queue() and a plain program.
asterisk: dev
	PYTHONPATH=tests $(BIN)/python -m asterisk --prefix $(or $(ASTERISK),/usr) --walk --load $(or $(SECONDS),30)

# The pages are built into the package; this builds them anew (Node 20).
web:
	cd web && npm ci --no-audit --no-fund && npm run build

lock:
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes -o requirements-dev.lock
	$(BIN)/uv pip compile -q --group build --universal --python-version 3.11 --generate-hashes -o requirements-build.lock

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
