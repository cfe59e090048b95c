# `make train` and `make test` set up what they need, once, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
BASE ?= main

.PHONY: architecture docs hydra-next train test test-long test-reliability check messages replay benchmark notebook clean

# Trains a run: make train ARGS="dataset=mnist activation=gelu optimizer=adamw"
train: $(VENV)/installed
	$(BIN)/mlpexp train $(ARGS)

# Lint, types and tests.
test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What the pages say of MNIST, at full size; and the long forms of everything else.
test-long: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

# The long forms too of the tests of what docs/promises.md says: kills, damage, full disks, five hundred runs, any line.
test-reliability: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "long or not long" tests/reliability tests/cli/test_fuzz.py \
		tests/sweep/test_resume_sweep.py

# The tests that stand on Hydra, with its newest pre-release; what it breaks is to be known before it is released.
hydra-next: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --pre --upgrade --target .hydra-next hydra-core
	PYTHONPATH=.hydra-next $(BIN)/python -m pytest -q -n 2 -o filterwarnings=default tests/config tests/sweep/test_launcher.py \
		tests/sweep/test_hydras_own_suites.py

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Writes anew what mlpexp says to its users (tests/messages/*.txt), and shows what that changes.
messages: $(VENV)/installed
	MLPEXP_MESSAGES=rewrite $(BIN)/python -m pytest -q tests/messages
	git --no-pager diff --stat -- tests/messages

# The same small commands with the commit BASE and with this checkout, and what differs: make replay BASE=HEAD~1
replay: $(VENV)/installed
	$(BIN)/python -m replay $(BASE) $(ARGS)

# The picture in ARCHITECTURE.md, from the imports.
architecture: $(VENV)/installed
	$(BIN)/python -m architecture

# Writes docs/reference/ anew, from the registries, the schema and the help of the commands.
docs: $(VENV)/installed
	$(BIN)/python docs/generate.py

# The training loops side by side; needs MNIST under MLPEXP_DATA_DIR or ./data.
benchmark: $(VENV)/installed
	$(BIN)/python benchmarks/training_loop.py

# Every exhibit of the course notebook on one page, in outputs/notebook; needs MNIST.
notebook: $(VENV)/installed
	$(BIN)/mlpexp notebook $(ARGS)

# Whether a Python has torch. One that has it lends it to .venv, and a .venv that has it keeps it.
HAS_TORCH := import sys, importlib.util as u; sys.exit(not (u.find_spec("torch") and u.find_spec("torchvision")))
LENT = $(shell $(PYTHON) -c '$(HAS_TORCH)' && echo --system-site-packages)

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "mlpexp needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(LENT) $(VENV)
	@$(BIN)/python -c '$(HAS_TORCH)' \
		&& echo "Installs mlpexp into $(VENV), with the torch that is there where it is recent enough." \
		|| echo "Installs mlpexp into $(VENV): 5.5 GB on Linux, where torch comes with CUDA; about a minute. CPU only: README, Install."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m compileall -q mlpexp hydra_plugins
	touch $@

clean:
	rm -rf $(VENV) .hydra-next dist .replay .pytest_cache .mypy_cache .ruff_cache .hypothesis
