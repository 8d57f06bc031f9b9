# Two commands do everything: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
export UV_PROJECT_ENVIRONMENT := .venv
# The interpreter is the one that made .venv; --inexact keeps the test tools when only the rest is synced.
SYNC := $(UV) sync --quiet --frozen --inexact --python $(BIN)/python --extra sandbox --extra demo

.PHONY: setup demo test check format clean

setup: $(BIN)/.setup

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Upkeep needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12 ...")'
	@echo "Setting up .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet uv

$(BIN)/.setup: $(UV) pyproject.toml uv.lock sandbox/containers/image.txt
	@echo "Installing what runs and deploys (800 MB with the Pulumi SDK)"
	@$(SYNC)
	@echo "Making the image environment: the training and serving image's own packages (500 MB, shared by all checkouts)"
	@$(BIN)/python -m sandbox.image
	@touch $@

$(BIN)/.setup-test: $(BIN)/.setup
	@echo "Installing what tests need"
	@$(SYNC) --group dev --group test
	@touch $@

demo: setup
	@$(BIN)/upkeep demo $(ARGS)

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
