# `make help` lists the targets. Needs only Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.deepid-installed

.PHONY: help book test lint coverage twins lite bench coursework browser pdf epub clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1	\2/p' Makefile

# The stamp is written last: an interrupted installation starts again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[book,browser,coursework,data,dev]"
	touch $@

book: $(STAMP)  ## execute every chapter on the synthetic faces and build the book into _build/html
	$(PY) book/_tools/build.py

test: lint  ## check style, formatting, types and the rooms' imports, then run all tests
	$(PY) -m pytest -q -n 2 --dist loadfile --durations 20

lint: $(STAMP)  ## all of that but the tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(PY) -m mypy

coverage: $(STAMP)  ## run the tests and show what they leave out; fails below the floor in pyproject.toml
	$(PY) -m pytest -q -n 2 --dist loadfile --cov --cov-report=term

twins: $(STAMP)  ## write the Colab notebook beside every chapter
	$(PY) book/_tools/twins.py

lite: $(STAMP)  ## train the net that ships in the package anew
	$(PY) -m deepid_lite train --data synthetic --preset lite --out runs/lite --ship deepid_lite/weights/lite.safetensors

bench: $(STAMP)  ## measure speed on this machine, one table within ten minutes, recorded for the book
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[search]"
	$(PY) benchmarks/bench.py

coursework: $(STAMP)  ## make the problem sets in _build/coursework and prove points, messages, time limits and secrecy
	$(PY) coursework/_tools/coursework.py check

browser: $(STAMP)  ## test the built book in Chromium: every page, quizzes, figures, search, accessibility
	$(PY) -m pytest -q tests/browser

pdf: $(STAMP)  ## print the book into _build/deepid-lite.pdf (needs Chromium)
	$(PY) book/_tools/editions.py pdf

epub: $(STAMP)  ## pack the book into _build/deepid-lite.epub (needs Chromium)
	$(PY) book/_tools/editions.py epub

clean:  ## remove what the other targets made, the virtual environment too
	rm -rf _build $(VENV) *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage*
