# Two commands from a fresh machine: `make run` and `make test`. Everything lives in .venv.
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
# The extra wheel index of torch: https://download.pytorch.org/whl/cpu for the CPU build, .../cu130 for CUDA.
PIP_FLAGS := -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: install run browser test test-all compare baseline ab full gpu benchmark lint docs pages findings figures mutants picture clean

# The suite that `make compare` measures, and how it tells; the revision that `make ab` compares HEAD with
SUITE ?= pull
COMPARE ?=
BASE ?= origin/main
JOBS ?= 2

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
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-all: install
	$(BIN)/python -m pytest -m 'not benchmark' --hypothesis-profile=thorough -n $(JOBS) --dist loadfile

# Errors, counts and bytes of the working tree against the committed ones; a cell that fails is a finding, not an end
compare: install
	rm -rf runs/$(SUITE)
	$(BIN)/python -m gradbench run --suite $(SUITE) -j $(JOBS) --out runs/$(SUITE) || test $$? -eq 3
	$(BIN)/python -m gradbench compare results/baselines/ci.jsonl runs/$(SUITE) $(COMPARE)

# The committed ones anew, after telling what changed: say in the commit why that is right
baseline: install
	rm -rf runs/ci
	$(BIN)/python -m gradbench run --suite ci -j $(JOBS) --out runs/ci
	$(BIN)/python -m gradbench compare results/baselines/ci.jsonl runs/ci --refresh

# Time too, of two revisions in turns
ab: install
	$(BIN)/python -m gradbench compare --ab $(BASE) HEAD -c gaussian -c digits --sampler ddim --steps 10 \
	  -e backprop -e checkpoint -e adjoint-dpm -e continuous-adjoint $(COMPARE)

# Tests, rows and figures on an NVIDIA card; its settings are told in the script
gpu:
	studies/gpu.sh

full: install
	$(BIN)/python -m gradbench run --suite full -j $(JOBS) --out runs/full

benchmark: install
	$(BIN)/python -m pytest tests/benchmarks -m benchmark --benchmark-columns=median,iqr,rounds --benchmark-autosave

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Fails where a number, a figure or a link of the pages is not what the published rows and files say
docs: install
	$(BIN)/python -m studies.pages --check
	rm -rf build/figures && $(MAKE) --no-print-directory figures FIGURES=build/figures >/dev/null
	diff -rq build/figures docs/guide/images
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

# README's answer, docs/findings/index.md and docs/guide/choose.md again, from the published rows
pages: install
	$(BIN)/python -m studies.pages

# The pages of docs/findings again, from random laws: about half an hour
findings: install
	$(BIN)/python -m studies

# docs/findings/mutants.md again: changes the core's formulas one by one, and says which change no test notices
mutants: install
	$(BIN)/python -m studies.mutants

# The pictures of docs/guide, from the published rows
PUBLISHED := results/published/2026-11-27-full-cpu
# Peaks, and what grows with size, until a run has them anew
EARLIER := results/published/2026-11-24-full-cpu
FIGURES := docs/guide/images
FAMILIES := $(addprefix -e ,backprop checkpoint revolve adjoint-deis adjoint-dpm 'adjoint-dpm[rule=rk4]' continuous-adjoint)
HEADLINE := $(addprefix -e ,checkpoint adjoint-deis 'adjoint-deis[order=2]' 'adjoint-dpm[rule=rk4]' continuous-adjoint)
DRAW = $(BIN)/python -m gradbench figures $(PUBLISHED) --out $(FIGURES) --format svg
DRAW_EARLIER = $(subst $(PUBLISHED),$(EARLIER),$(DRAW))
figures: install
	$(DRAW) $(addprefix --only ,coverage profiles profile-pairs)
	$(DRAW) -c 'gaussian[schedule=scaled-linear]' --sampler 'ddim[grid=leading]' $(addprefix --only ,work-precision convergence direction)
	$(DRAW) -c gaussian $(addprefix --only ,backward-grid bias-variance)
	$(DRAW_EARLIER) -c gaussian --only scaling-dimension
	$(DRAW) -c 'digits[batch=1,guidance=1.0]' --sampler ddim --target parameters --reference sampler $(HEADLINE) --only work-precision
	$(DRAW) -c 'digits[batch=4,guidance=1.0,objective=class]' --sampler ddim --target parameters $(FAMILIES) --only dtype
	$(DRAW_EARLIER) -c 'digits[batch=4,guidance=1.0,objective=class]' --sampler ddim --target parameters $(FAMILIES) \
	  $(addprefix --only ,memory memory-parts)
	$(DRAW_EARLIER) -c 'digits[guidance=1.0,objective=class]' --sampler ddim --target parameters $(FAMILIES) --only scaling-batch

# docs/images/report.png again, from the newest published rows
picture: install browser
	$(BIN)/python -m tests.report.picture

clean:
	rm -rf .venv build site dist runs
