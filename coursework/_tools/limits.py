"""Grade one notebook within a time limit, whatever it does, and keep the points of what it did right.

Standard library, nbformat and psutil alone: the same file works here and inside the archive for Gradescope.

Three fences. A cell put first rings an alarm in every cell and every test that runs too long, and otter goes on with
the next. A cell or an answer that cannot be stopped so, or that kills the kernel, is found in the progress file; it is
taken out and the notebook graded again, a few times. Where all that fails the result is a zero that says why.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import nbformat
import psutil

LIMIT_CELL = Path(__file__).resolve().parent / "limit_cell.txt"
ATTEMPTS = 4
GRACE = 5.0  # seconds beyond the second alarm before a cell counts as not to be stopped
GONE = 'raise RuntimeError("the grader took this cell out: it {}")'


def grade(notebook, place, command, results, limit=60.0, total=600.0, env=None):
    """Grade `notebook` (a NotebookNode, changed) and return otter's results as a dict, with "notes" added.

    place: where `command` (a list of words) looks for the notebook. results: the results.json that it writes.
    limit: seconds for a cell or a test; total: seconds for everything.
    """
    place, results, deadline = Path(place), Path(results), time.monotonic() + total
    blocked, notes = [], []
    tidy(notebook)
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            progress = Path(folder, "progress.json")
            nbformat.write(limited(notebook, limit, progress, blocked), place)
            results.unlink(missing_ok=True)
            trouble, log = supervise(command, progress, limit, deadline, env)
            if trouble is None and (found := read_results(results)):
                return found | {"notes": notes}
            running = json.loads(progress.read_text()) if progress.exists() else {}
        notes.append(take_out(notebook, running, trouble or "ended the kernel", blocked))
        if notes[-1] is None or time.monotonic() > deadline:
            break
    text = f"the notebook could not be graded: {trouble or 'no results'}. {log[-500:]}".strip()
    return {"score": 0, "tests": [], "notes": [note for note in notes if note] + [text]}


def tidy(notebook):
    """Drop what a stranger's notebook may bring: outputs, widgets, the name of a kernel that is not here."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def number(notebook):
    """Bring a notebook of any 4.x to the newest, in which each cell has an id."""
    notebook.nbformat_minor = 5
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    return notebook


def limited(notebook, limit, progress, blocked):
    """The notebook with the alarm's cell first; the questions in `blocked` count as unanswered."""
    text = LIMIT_CELL.read_text(encoding="utf-8").strip().replace("@LIMIT@", repr(limit))
    text = text.replace("@PROGRESS@", repr(str(progress))).replace("@BLOCKED@", repr(blocked))
    return number(nbformat.from_dict({**notebook, "cells": [nbformat.v4.new_code_cell(text), *notebook.cells]}))


def supervise(command, progress, limit, deadline, env=None):
    """Run `command` -> (what went wrong or None, the end of what it printed)."""
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)
        trouble, last = None, time.time()
        while trouble is None:
            try:
                process.wait(0.2)
                break
            except psutil.TimeoutExpired:
                if progress.exists():
                    last = max(last, progress.stat().st_mtime)
                if time.monotonic() > deadline:
                    trouble = "took longer than all of the time"
                elif progress.exists() and time.time() - last > 2 * limit + GRACE:
                    trouble = "could not be stopped"
        kill(process)
        log.seek(0)
        return trouble, log.read().decode(errors="replace")


def kill(process):
    """End a process and the kernels it started, which live in sessions of their own."""
    try:
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


def read_results(path):
    """The results that otter wrote, or None where it wrote none or gave up."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if any("max_score" in test for test in found.get("tests", [])) else None


def take_out(notebook, running, trouble, blocked):
    """Remove what was running; return a line about it, None where nothing is left to try."""
    if question := running.get("question"):
        if question in blocked:
            return None
        blocked.append(question)
        return f"{question}: the answer {trouble} in a test; it counts as unanswered"
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code" and cell.source == running.get("cell"):
            cell.source = GONE.format(trouble)
            return f"cell {number} {trouble}; it was taken out"
    return None


def write_json(path, data):
    """Beside and renamed, so that a reader finds all of it or the old one."""
    path = Path(path)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, path)
