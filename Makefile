# The L2 Book. `make book` and `make test` each do all the set-up they need.
UV_VERSION := 0.11.33
VENV := .venv

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python

# Python keeps what it has compiled, whatever the shell says: without that, every process compiles torch anew.
unexport PYTHONDONTWRITEBYTECODE

# uv does not read pip's find-links setting; hand it on, comma-separated, so that a local
# CPU build of torch is taken where pip would take it.
ifdef PIP_FIND_LINKS
empty :=
comma := ,
space := $(empty) $(empty)
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
endif

.PHONY: help
help:
	@echo "make book         execute every chapter, write the HTML book, print where to open it"
	@echo "make test         run what must hold for a reader; make check: what takes longer"
	@echo "make lab          open JupyterLab on the chapters, or on LAB_FOLDER=course/release"
	@echo ""
	@echo "For writers:"
	@echo "make chapter N=08 execute one chapter; its rules, and its planted errors"
	@echo "make notebooks    execute the chapters that changed, and store their outputs"
	@echo "make html         the HTML book from the stored outputs"
	@echo "make sync         write the source twins from edited notebooks"
	@echo "make mutants      plant errors, one at a time; each must be caught (half an hour; PART=1/4: a quarter of them)"
	@echo "make again        compute the headline numbers again, by code that shares nothing with the book"
	@echo "make portability  the chapters on other instruction sets, thread counts and seeds (RUNS=sse: one of them)"
	@echo "make browser      check the built book and JupyterLab in Chromium"
	@echo "make lowest       l2lib's tests on the oldest packages that it allows (environment of its own, 5 GB on Linux)"
	@echo "make cluster      a sweep in the processes of a dask cluster"
	@echo "make bench        time the sweep engine beside what you would use instead (quarter of an hour)"
	@echo "make peers        Keras, Optax and transformers beside l2lib (environment of its own)"
	@echo "make fashion      Fashion-MNIST, in the folder DATA=..., over learning rate and weight decay (for a GPU)"
	@echo "make format       lint and format"
	@echo "make lock         pin all environments again from pyproject.toml; write environment.yml"
	@echo "make clean        remove what was built (not .venv)"
	@echo ""
	@echo "For teachers:"
	@echo "make assignments  write the students' notebooks from the problem sets' sources"
	@echo "make course       nbgrader's own commands on the problem sets (environment of its own)"
	@echo "make grade        grade the notebooks in the folder SUBMISSIONS=..."

# ---- set-up: redone only when a file it depends on changes, or another Python is asked for by name ------
STAMP := $(VENV)/.ready
FULL := $(VENV)/.ready-full
ifneq ($(origin PYTHON),undefined)
ifneq ($(wildcard $(PY)),)
ifneq ($(shell $(PYTHON) -V),$(shell $(PY) -V))
$(VENV)/pyvenv.cfg: other-python
.PHONY: other-python
other-python:
endif
endif
endif
PYTHON ?= python3
INSTALL := $(PY) -m uv pip install --quiet --compile-bytecode --python $(PY) -c requirements.txt

.PHONY: setup setup-full
setup: $(STAMP)
setup-full: $(FULL)
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f'Python 3.11 or newer is needed, this is {v.major}.{v.minor}: try make PYTHON=python3.11')"
	$(PYTHON) -m venv --clear $(VENV)
# What a reader needs.
$(STAMP): $(VENV)/pyvenv.cfg requirements.txt pyproject.toml
	$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(INSTALL) -e ".[notebooks,book]"
	@$(PY) -c "import pathlib; pathlib.Path('$(STAMP)').touch()"
# What the tests need besides.
$(FULL): $(STAMP)
	$(INSTALL) -e ".[notebooks,book,test]"
	@$(PY) -c "import pathlib; pathlib.Path('$(FULL)').touch()"

.PHONY: lock
lock: $(STAMP)
	$(PY) -m tests.lock

# ---- what readers, courses and CI call -----------------------------------------------------
SPHINX := $(PY) -m sphinx -q -W --keep-going -d _build/book-doctrees
.PHONY: book test check lab
book: $(STAMP)
	$(PY) -m book.execute --into _build/notebooks
	$(SPHINX) -D l2book_notebooks=../_build/notebooks book _build/book

# Two workers where there are two cores; a file's tests stay together. The chapters come first, they take longest.
PYTEST := $(PY) -m pytest --numprocesses=auto --maxprocesses=2 --dist=loadfile
NBVAL := -p nbval.plugin -p tests.nbval_chapters --nbval --nbval-current-env --nbval-cell-timeout=120
test: $(FULL)
	$(PYTEST) $(NBVAL) notebooks tests $(PYTEST_FLAGS)

check: $(FULL)
	$(PYTEST) -m slow tests $(PYTEST_FLAGS)

# Parts of both: what runs a stranger's code; and l2lib with two chapters, for another Python.
.PHONY: grader unit
grader: $(FULL)
	$(PYTEST) -m "slow or not slow" $(wildcard tests/test_grading*.py) $(PYTEST_FLAGS)

UNIT := audit audit_command audit_laws audit_runs checks claims conventions conventions_rows conventions_words datasets drawn face figures groups groups_field
UNIT += invariance manuals package penalty penalty_tensors penalty_words spelling splits sweep sweep_options sweep_runs
UNIT += updates
unit: $(FULL)
	$(PYTEST) $(NBVAL) $(wildcard notebooks/02*.ipynb notebooks/07*.ipynb) $(UNIT:%=tests/test_%.py) $(PYTEST_FLAGS)

# Pictures whose numbers can be moved (figures.interactive) show their sliders.
# JupyterLab asks no server for news or updates: the book works offline.
LAB_FOLDER := notebooks
OFFLINE := --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate
lab: export L2LIB_WIDGETS := 1
lab: $(STAMP)
	$(PY) -m jupyterlab --ip=127.0.0.1 --ServerApp.root_dir="$(LAB_FOLDER)" $(OFFLINE) $(LAB_FLAGS)

# ---- what writers and CI call ------------------------------------------------------------
.PHONY: chapter notebooks html sync mutants again portability browser lowest cluster bench peers fashion assignments course grade format clean
chapter: $(FULL)
	$(if $(N),,$(error make chapter N=08: say which chapter))
	$(PY) -m tests.chapter $(N)

notebooks: $(STAMP)
	$(PY) -m book.execute

html: $(STAMP)
	$(SPHINX) book _build/book

sync: $(STAMP)
	$(PY) -m book.execute --sync

mutants: $(FULL)
	$(PY) -m tests.planted $(if $(SLOW),--slow) $(if $(PART),--part $(PART))

again: $(FULL)
	$(PY) -m tests.again

portability: $(FULL)
	$(PY) -m tests.portability $(RUNS)

browser: $(FULL)
	$(INSTALL) -e ".[notebooks,book,test,browser]"
	$(PYTEST) --dist=loadgroup tests/browser $(PYTEST_FLAGS)

# What the book does not need stays out of its environment, in one beside it: the target's folder, with its PACKAGES.
define environment
	$(or $(OLDEST),$(PYTHON)) -m venv --clear $(@D)
	$(PY) -m uv pip install --quiet --compile-bytecode --python $(@D)/$(notdir $(BIN))/python $(PACKAGES)
	@$(PY) -c "import pathlib; pathlib.Path('$@').touch()"
endef

# Not in .venv: where dask is installed, every chapter takes 0.7 s longer.
CLUSTER_PY := .venv-cluster/$(notdir $(BIN))/python
CLUSTER_STAMP := .venv-cluster/.ready
$(CLUSTER_STAMP): PACKAGES = -c requirements.txt -e ".[notebooks,test,cluster]"
$(CLUSTER_STAMP): requirements.txt pyproject.toml | $(STAMP)
	$(environment)

# The library on the oldest of everything that pyproject.toml allows: the oldest Python, the lowest version of what it asks
# for, and of what its tests need besides. An environment of 5 GB on Linux, as an old torch from PyPI brings CUDA with it.
LOWEST_PY := .venv-lowest/$(notdir $(BIN))/python
LOWEST_STAMP := .venv-lowest/.ready
LOWEST := audit penalty groups conventions invariance checks claims splits datasets figures updates
$(LOWEST_STAMP): OLDEST = python3.11
$(LOWEST_STAMP): BESIDE = "hypothesis>=6.140" "ipywidgets>=8.1" "mnist1d>=0.0.2" "pytest>=9" "scikit-learn>=1.9"
$(LOWEST_STAMP): PACKAGES = --no-compile-bytecode --resolution lowest-direct -r pyproject.toml $(BESIDE)
$(LOWEST_STAMP): pyproject.toml | $(STAMP)
	$(environment)

lowest: $(LOWEST_STAMP)
	$(LOWEST_PY) -m pytest $(LOWEST:%=tests/test_%.py) $(PYTEST_FLAGS)

cluster: $(CLUSTER_STAMP)
	$(CLUSTER_PY) -m pytest tests/cluster $(PYTEST_FLAGS)

# What the engine is compared with stays out of the book's own environment.
BENCH_PY := .venv-bench/$(notdir $(BIN))/python
BENCH_STAMP := .venv-bench/.ready
$(BENCH_STAMP): PACKAGES = -r experiments/bench/requirements.txt
$(BENCH_STAMP): experiments/bench/requirements.txt | $(STAMP)
	$(environment)

bench: $(BENCH_STAMP)
	$(BENCH_PY) -m experiments.bench $(BENCH_FLAGS)

PEERS_PY := .venv-peers/$(notdir $(BIN))/python
PEERS_STAMP := .venv-peers/.ready
$(PEERS_STAMP): PACKAGES = -r experiments/peers/requirements.txt
$(PEERS_STAMP): experiments/peers/requirements.txt | $(STAMP)
	$(environment)

peers: $(PEERS_STAMP)
	$(PEERS_PY) -m experiments.peers

fashion: $(STAMP)
	$(if $(DATA),,$(error make fashion DATA=folder: say where the files of Fashion-MNIST are))
	$(PY) -m experiments.fashion_mnist --data "$(DATA)" $(FASHION_FLAGS)

# nbgrader, and its tests, in an environment of their own: it brings menus and a second notebook program with it.
COURSE_PY := .venv-course/$(notdir $(BIN))/python
COURSE_STAMP := .venv-course/.ready
$(COURSE_STAMP): PACKAGES = -c requirements.txt -e ".[notebooks,test,course]"
$(COURSE_STAMP): requirements.txt pyproject.toml | $(STAMP)
	$(environment)

assignments: $(COURSE_STAMP)
	$(COURSE_PY) -m course.problem_sets

course: $(COURSE_STAMP)
	$(COURSE_PY) -m pytest -m "slow or not slow" tests/course $(PYTEST_FLAGS)

grade: $(FULL)
	$(if $(SUBMISSIONS),,$(error make grade SUBMISSIONS=folder: say where the notebooks are))
	$(PY) -m course.grading "$(SUBMISSIONS)" $(GRADE_FLAGS)

format: $(FULL)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:
	$(PYTHON) -c "import shutil; shutil.rmtree('_build', ignore_errors=True)"
