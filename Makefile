# Two commands from a fresh machine: `make run` and `make test`. Everything lives in .venv.
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
# The extra wheel index of torch: https://download.pytorch.org/whl/cpu for the CPU build, .../cu130 for CUDA.
PIP_FLAGS := -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: install run browser test test-all benchmark lint docs findings figures mutants picture clean

install: .venv/installed

# torch first and alone, so that nothing else chooses its build
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -e '.[train,test,lint,docs]'
	touch $@

run: install
	$(BIN)/python -m gradbench run --suite smoke --out runs/smoke

# Debian's Chromium, for the tests that look at the report
browser:
	@if command -v chromium >/dev/null; then echo "browser: $$(command -v chromium)"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then echo "browser: installed"; \
	else echo "browser: none; install Debian's package chromium as root, or its tests are skipped (in CI they fail)"; fi

test: install
	$(BIN)/python -m pytest

test-all: install
	$(BIN)/python -m pytest -m 'not benchmark'

benchmark: install
	$(BIN)/python -m pytest tests/benchmarks -m benchmark --benchmark-columns=median,iqr,rounds

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: install
	$(BIN)/mkdocs build --strict --quiet --site-dir site

# The pages of docs/findings again, from random laws: about half an hour
findings: install
	$(BIN)/python -m studies

# docs/findings/mutants.md again: changes the core's formulas one by one, and says which change no test notices
mutants: install
	$(BIN)/python -m studies.mutants

# The pictures of docs/guide, from the published rows
PUBLISHED := results/published/2026-11-21-ci-cpu
SHOWN := $(addprefix --only ,coverage profiles profile-pairs)
figures: install
	$(BIN)/python -m gradbench figures $(PUBLISHED) --out docs/guide/images --format svg $(SHOWN)
	$(BIN)/python -m gradbench figures $(PUBLISHED) --out docs/guide/images --format svg -c gaussian \
	  $(addprefix --only ,work-precision convergence direction scaling-dimension)
	$(BIN)/python -m gradbench figures $(PUBLISHED) --out docs/guide/images --format svg -c digits \
	  $(addprefix --only ,memory memory-parts)

# docs/images/report.png again, from the newest published rows
picture: install browser
	$(BIN)/python -m tests.report.picture

clean:
	rm -rf .venv site dist runs
