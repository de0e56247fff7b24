# make report   sets everything up, executes what is stale, prints the page to open
# make pdf      the same as one document, cifarcam.pdf
# make check    sets everything up, runs lint, types and the fast tests: what a change needs first
# make test     the same with all tests, the book built and opened in a browser
# make lowest   the fast tests with the lowest versions that pyproject.toml allows, in .venv-lowest
# make colab REPO=owner/name   sets the repository that Colab opens the notebooks from
SUITABLE = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.12 python3.13 python3.11 python3; do \
  if $$python -c '$(SUITABLE)' 2>/dev/null; then echo $$python; break; fi; done)
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV = $(shell grep -oE '^uv==[0-9.]+' requirements.txt)
DATASET ?=
# What the pages are set from, and a stamp of when they were.
PAGES_FROM = book notebooks cifarcam .venv/installed $(wildcard cifarcam.pdf)
BUILT = book/_build/html/.built

.PHONY: env report pdf lint check test lowest colab lock clean

env: .venv/installed

.venv/installed: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUITABLE)' 2>/dev/null || { echo "cifarcam needs \
	Python 3.11 to 3.13 with venv; install it, or call make PYTHON=/path/to/python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) $(UV) || echo "uv cannot be had; pip installs, which takes longer" >&2
	if test -x $(BIN)/uv; then install="$(BIN)/uv pip install --quiet --python $(BIN)/python"; \
	  else install="$(PIP)"; fi; \
	$$install --require-hashes -r requirements.txt && $$install --no-deps --editable .
	touch $@

report: env
	$(BIN)/cifarcam report $(if $(DATASET),--dataset $(DATASET))
	@# Sphinx takes seconds to see that nothing changed; where no stamp is, find's complaint counts.
	@if test -n "$$(find $(PAGES_FROM) -newer $(BUILT) -not -path 'book/_build*' -not -path '*/__pycache__*' 2>&1)"; \
	  then $(BIN)/jupyter-book build book && touch $(BUILT); fi
	@echo "open book/_build/html/index.html"

pdf: env
	@command -v latexmk >/dev/null && command -v xelatex >/dev/null || { echo "make pdf needs LaTeX; on \
	Debian or Ubuntu: sudo apt-get install --no-install-recommends $$(tr '\n' ' ' < apt.txt)" >&2; exit 1; }
	$(if $(DATASET),$(BIN)/cifarcam report --dataset $(DATASET))
	LATEXOPTS="-interaction=nonstopmode -halt-on-error" $(BIN)/jupyter-book build book --builder pdflatex
	cp book/_build/latex/cifarcam.pdf cifarcam.pdf

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

check: lint
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m "not slow and not network"

test: lint
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

lowest: env
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --group dev --editable ".[all]"
	.venv-lowest/bin/python -m pytest -n 2 --no-loadscope-reorder -m "not slow and not network" \
	  --deselect tests/test_project.py::test_installed_versions_are_the_locked_ones

colab: env
	$(if $(filter undefined,$(origin REPO)),$(error say make colab REPO=owner/name; REPO= takes the address away))
	$(BIN)/cifarcam colab "$(REPO)"

# Resolves the lock file anew, for all platforms and Python versions at once.
lock: env
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra all --group dev --generate-hashes pyproject.toml --upgrade -o requirements.txt

clean:
	rm -rf cifarcam.pdf book/_build book/notebooks book/reference .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
