"""Grade one notebook within a time limit, whatever it does, and keep the points of what it did right.

Standard library and nbformat alone: the same file works here and inside the archive for Gradescope.

Three fences. A cell put first rings an alarm in every cell and every test that runs too long, and otter goes on with
the next. A cell or a test that cannot be stopped so, or that ends the kernel, is found in the progress file; it is
taken out and the notebook graded again, a few times. Where all that fails the result is a zero that says why.
"""

import json
import math
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from sandbox import read_text

LIMIT_CELL = Path(__file__).resolve().parent / "limit_cell.txt"
SETUP = "# Set-up: run this cell first."  # how the cell begins that the tool puts first in every set
ATTEMPTS = 6
RESERVE = 0.25  # the part of the time in which nothing may take long any more
GONE = 'raise RuntimeError("the grader took this cell out: it {}")'


@dataclass
class Attempt:
    """What one run of otter left: what went wrong or None, its results or None, the progress file, its last words."""

    trouble: str | None
    found: dict | None
    seen: dict
    log: str


def attempt(supervised, results, progress) -> Attempt:
    """Read what a supervised run wrote; nothing in these files is taken on trust."""
    trouble, log = supervised
    found, seen = read_json(results), read_json(progress)
    whole = any("max_score" in test for test in found.get("tests", []))
    return Attempt(trouble, found if whole else None, seen, log)


def grade(notebook, once, limit=60.0, total=600.0):
    """Grade `notebook` (a NotebookNode, changed) and return otter's results as a dict, with four entries more.

    once: a function of (fenced, deadline) that writes the notebook fenced(progress file), runs otter on it and
    returns the Attempt. limit: seconds for a cell or a test; total: seconds for everything. The entries: "notes", what
    happened to the notebook; "stopped", {cell: the error that ended it}; "causes", {question: why its tests could do
    nothing}; "changed", what the notebook tampered with.
    """
    deadline, blocked, notes = time.monotonic() + total, [], []
    tidy(notebook)
    for _ in range(ATTEMPTS):
        end = deadline - RESERVE * (deadline - time.monotonic())
        done = once(lambda progress, end=end: limited(notebook, limit, progress, blocked, end), deadline)
        if done.trouble is None and done.found:
            stopped = stopped_cells(notebook, done.seen)
            causes = causes_of(notebook, done.seen, stopped)
            changed = sorted(set(done.seen.get("changed", [])))
            notes += setup_notes(notebook)
            return done.found | {"notes": notes, "stopped": stopped, "causes": causes, "changed": changed}
        if (note := take_out(notebook, done.seen, done.trouble or "ended the kernel", blocked)) is None:
            break
        notes.append(note)
        if time.monotonic() > deadline or done.trouble == "was interrupted":
            break
    why = done.trouble or f"no results. {done.log[-500:].strip()}"
    notes.append(f"the notebook could not be graded: {why}")
    return {"score": 0, "tests": [], "notes": notes, "stopped": {}, "causes": {}, "changed": []}


def tidy(notebook):
    """Drop what a stranger's notebook may bring: outputs, widgets, tags for otter, a kernel that is not here."""
    notebook.metadata.clear()
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def number(notebook):
    """Bring a notebook of any 4.x to the newest, in which each cell has an id."""
    notebook.nbformat_minor = 5
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    return notebook


def limited(notebook, limit, progress, blocked, end=math.inf):
    """The notebook with the alarm's cell first; the questions and tests in `blocked` count as failed.

    end: the time (time.monotonic) from which on each cell and test has a second only.
    """
    text = LIMIT_CELL.read_text(encoding="utf-8").strip().replace("@LIMIT@", repr(float(limit)))
    text = text.replace("@END@", repr(end) if math.isfinite(end) else "float('inf')")
    text = text.replace("@PROGRESS@", repr(str(progress))).replace("@BLOCKED@", repr(blocked))
    return number(nbformat.from_dict({**notebook, "cells": [nbformat.v4.new_code_cell(text), *notebook.cells]}))


def run_cells(notebook) -> list[int]:
    """The places of the cells that run, in their order: the progress file counts them from 1."""
    return [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]


def take_out(notebook, seen, trouble, blocked):
    """Remove what was running; return a line about it, None where nothing is left to try.

    A test is blocked alone, at the second time its question. A cell that is gone already cannot be guilty: what ended
    the kernel then was started by a cell before it.
    """
    if test := seen.get("test"):
        question = str(seen.get("question"))
        if question in blocked:
            return None
        again = any(name.startswith(question + " ") for name in blocked)
        blocked.append(question if again else test)
        return f"{blocked[-1]}: the answer {trouble} in a test; " + (
            "the question counts as unanswered" if again else "this test counts as failed"
        )
    for i in reversed(run_cells(notebook)[: seen.get("cell", 0)]):
        if not notebook.cells[i].source.startswith(GONE.split("{")[0]):
            notebook.cells[i].source = GONE.format(trouble)
            return f"cell {i + 1} {trouble}; it was taken out"
    return None


def question_cells(notebook) -> dict[str, list[int]]:
    """{question: the places of the code cells before its grader.check}, after the check of the question before."""
    found, waiting = {}, []
    for i in run_cells(notebook):
        source = notebook.cells[i].source
        if check := re.search(r"^grader\.check\(['\"](\w+)['\"]\)", source, re.M):
            found[check[1]], waiting = waiting, []
        elif source.startswith(SETUP) or "\nPROBLEM_SET = " in source:
            waiting = []
        else:
            waiting.append(i)
    return found


def stopped_cells(notebook, seen) -> dict[int, str]:
    """{number of a cell: the error that ended it}, cells counted from 1 as all notebooks do."""
    places = run_cells(notebook)
    stopped = ((int(n), told) for n, told in seen.get("stopped", {}).items())
    return {places[n - 1] + 1: told for n, told in stopped if 0 < n <= len(places)}


def causes_of(notebook, seen, stopped) -> dict[str, list[str]]:
    """{question: why tests could not do their work}: functions that are missing, cells that stopped before them.

    A cell that stops with all functions there may be one that only shows something.
    """
    cells, causes = question_cells(notebook), {}
    for question, missing in seen.get("missing", {}).items():
        if missing:
            ended = [i + 1 for i in cells.get(question, []) if i + 1 in stopped]
            causes[question] = [f"cell {i} stopped with {stopped[i]}" for i in ended]
            causes[question] += [f"there is no {name} in the notebook" for name in missing]
    return causes


def setup_notes(notebook) -> list[str]:
    """A note where the cells are missing that the tool puts first."""
    sources = [notebook.cells[i].source for i in run_cells(notebook)]
    if not any(source.startswith(SETUP) for source in sources):
        return ["the set-up cell is missing, so names such as np are unknown: hand in the notebook as it was given out"]
    return []


def read_json(path) -> dict:
    """What a JSON file holds, {} where that is no JSON object."""
    try:
        found = json.loads(read_text(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path, data):
    """Beside and renamed, so that a reader finds all of it or the old one."""
    path = Path(path)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, path)
