# Two commands matter: `make lab` opens the course, `make test` checks everything. Both set themselves up.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
# In a container one is often root, and JupyterLab wants to hear that this is meant.
AS_ROOT = $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)
COURSE := $(VENV)/course.stamp
TOOLS  := $(VENV)/tools.stamp

.PHONY: help env lab book notebooks check test seeds release grade bench clean

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

env: $(COURSE) ## make the environment (the other targets do it too)

$(COURSE): pyproject.toml constraints.txt
	@$(PYTHON) tools/python_fits.py
	@echo "Setting up $(VENV) (a few minutes, once)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) # Debian leaves one without pip behind
	@$(PIP) --editable '.[book]'
	@touch $@

# The teacher's tools live in the same environment; a learner's JupyterLab shows none of them.
$(TOOLS): $(COURSE)
	@echo "Adding what teaching and testing need"
	@$(PIP) --editable '.[book,teach,test]'
	@$(BIN)/python tools/hide_teacher.py
	@touch $@

lab: $(COURSE) ## open JupyterLab on the course (make lab ARGS="--no-browser --port 8890")
	$(BIN)/jupyter lab $(AS_ROOT) $(ARGS) \
	  --LabApp.app_settings_dir=tools/lab --LabApp.default_url=/lab/tree/README.md

book: $(COURSE) ## build the Jupyter Book from the stored outputs
	@$(BIN)/python tools/book.py

notebooks: $(COURSE) ## execute the chapters whose source or library changed
	@$(BIN)/python tools/contents.py
	@$(BIN)/python tools/notebooks.py

# Notebooks and tests share the cores, so that none waits for the last of the others; what is one file stays together.
PYTEST = $(BIN)/python -m pytest --numprocesses auto --dist loadfile --durations 10 --durations-min 5

check: $(TOOLS) ## lint, library and house, without what is slow: two minutes, for daily work
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST) -m "not slow" tests

test: $(TOOLS) ## everything: lint, library, notebooks (seed 0), coursework, the book, a real browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST) --nbval-lax --nbval-current-env tests chapters

SEEDS ?= 1 2 3 4
seeds: $(TOOLS) ## what the chapters claim, with seeds 1 to 4, as long as it takes (SEEDS="5 6" for others)
	COURSE_SEEDS="$(SEEDS)" $(PYTEST) --dist worksteal tests/seeds.py

release: $(TOOLS) ## write the students' notebooks
	@$(BIN)/python tools/grading/grading.py release

grade: $(TOOLS) ## grade a folder of submissions: make grade SUBMISSIONS=folder
	@$(BIN)/python tools/grading/grading.py grade "$(SUBMISSIONS)"

bench: $(TOOLS) ## print the numbers that the course promises
	@$(BIN)/python benchmarks/run.py

clean: ## remove the built book; the environment and the gradebook stay
	rm -rf _build/html _build/.doctrees _build/jupyter_execute
