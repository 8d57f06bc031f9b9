# Two commands do everything: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
export UV_PROJECT_ENVIRONMENT := .venv
# A machine without a matching interpreter still sets up: the project runs on the one that made .venv.
SYNC := $(UV) sync --frozen --no-progress --inexact --python $(BIN)/python --extra sandbox --extra demo

.PHONY: setup demo test check format clean

setup: $(BIN)/.setup

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv

$(BIN)/.setup: $(UV) pyproject.toml uv.lock
	$(SYNC)
	$(BIN)/python -m sandbox.image
	touch $@

$(BIN)/.setup-test: $(BIN)/.setup
	$(SYNC) --group dev --group test
	touch $@

demo: setup
	$(BIN)/upkeep demo

test: $(BIN)/.setup-test
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: $(BIN)/.setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(BIN)/.setup-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
