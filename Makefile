# Two commands matter: `make lab` opens the course, `make test` checks everything. Both set themselves up.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
# One core stays free for the browser: PyTorch's threads wait by spinning, and fight it for the last one.
THREADS = $(shell $(PYTHON) -c 'import os; print(max(1, (os.cpu_count() or 2) - 1))')
# In a container one is often root, and JupyterLab wants to hear that this is meant.
AS_ROOT = $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)
COURSE := $(VENV)/course.stamp
TOOLS  := $(VENV)/tools.stamp

.PHONY: help env lab book notebooks test seeds release grade bench clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(COURSE) ## make the environment (the other targets do it too)

$(COURSE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This course needs Python 3.11 or newer; name one with PYTHON=…, e.g. make lab PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --editable '.[book]'
	@touch $@

# The teacher's tools live in the same environment; a learner's JupyterLab shows none of them.
$(TOOLS): $(COURSE)
	@echo "Adding what teaching and testing need"
	@$(PIP) --editable '.[book,teach,test]'
	@$(BIN)/python tools/hide_teacher.py
	@touch $@

lab: $(COURSE) ## open JupyterLab on the course (make lab ARGS="--no-browser --port 8890")
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-$(THREADS)} $(BIN)/jupyter lab $(AS_ROOT) $(ARGS) \
	  --LabApp.app_settings_dir=tools/lab --LabApp.default_url=/lab/tree/README.md

book: $(COURSE) ## build the Jupyter Book from the stored outputs
	@$(BIN)/python tools/book.py

notebooks: $(COURSE) ## execute the chapters whose source or library changed
	@$(BIN)/python tools/contents.py
	@$(BIN)/python tools/notebooks.py

test: $(TOOLS) ## everything: lint, library, notebooks, coursework, the book, a real browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal tests
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env --numprocesses auto --dist loadfile chapters

SEEDS ?= 2
seeds: $(TOOLS) ## what the chapters claim, with seed 2 (make seeds SEEDS="2 3" for more)
	COURSE_SEEDS="$(SEEDS)" $(BIN)/python -m pytest --numprocesses auto --dist worksteal tests/test_chapters.py -k claims

release: $(TOOLS) ## write the students' notebooks
	@$(BIN)/python tools/grading/grading.py release

grade: $(TOOLS) ## grade a folder of submissions: make grade SUBMISSIONS=folder
	@$(BIN)/python tools/grading/grading.py grade "$(SUBMISSIONS)"

bench: $(TOOLS) ## print the numbers that the course promises
	@$(BIN)/python benchmarks/run.py

clean: ## remove the built book; the environment and the gradebook stay
	rm -rf _build/html _build/.doctrees _build/jupyter_execute
