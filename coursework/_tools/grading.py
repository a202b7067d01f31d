"""Grade handed-in notebooks with `otter run`, here and without Docker, each within its limits."""

import csv
import json
import os
import re
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import limits
import nbformat
from assign import OUTPUT
from problem_sets import SetError

MARK = re.compile(r'^PROBLEM_SET = "(\w+)"$', re.M)
JOBS = min(2, os.cpu_count() or 1)


def read_notebook(path):
    """A handed-in notebook, or a SetError in one line."""
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise SetError(f"{path}: {error.strerror}") from None
    except Exception as error:  # a broken file makes nbformat raise JSON, schema and key errors alike
        raise SetError(f"{path}: no notebook ({type(error).__name__}); ask for the .ipynb file again") from None


def set_of(notebook, path, output=OUTPUT) -> Path:
    """The folder of the built set that a notebook belongs to, by the mark in its cell of public tests."""
    marks = {match for cell in notebook.cells for match in MARK.findall(cell.source)}
    built = {folder.parent.parent.name for folder in Path(output).glob("*/teacher/*-autograder.zip")}
    named = marks or {name for name in built if Path(path).stem.startswith((name, name.split("_")[0] + "_"))}
    if len(named) != 1 or not named <= built:
        known = ", ".join(sorted(built)) or "none: run `make coursework` or `coursework.py build` first"
        raise SetError(f"{path}: which set is it? Name it with --set (built: {known})")
    return Path(output, named.pop())


def otter_run(notebook, archive, limit=60.0, total=600.0) -> dict:
    """Grade one notebook (a NotebookNode, changed) -> otter's results with "notes" and "seconds"."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place, out = Path(folder, "notebook.ipynb"), Path(folder, "out")
        out.mkdir()
        command = [sys.executable, "-m", "otter", "run", str(place), "-a", str(archive), "-o", str(out), "--no-logo"]
        # one thread a notebook, so that two share two cores fairly; no profile of the user, no talk of debuggers
        calm = {"OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "IPYTHONDIR": folder}
        found = limits.grade(notebook, place, command, out / "results.json", limit, total, os.environ | calm)
    return found | {"seconds": round(time.perf_counter() - start, 1)}


def report(found, points, names) -> dict:
    """Otter's results as {"points", "possible", "questions": {name: {"points", "possible", "messages"}}, "notes"}."""
    tests = {test["name"]: test for test in found["tests"] if "max_score" in test}
    questions = {}
    for name, possible in names.items():
        test = tests.get(name, {"score": 0, "output": ""})
        messages = re.findall(rf"^\s*{re.escape(name)} - \d+ message: (.*)$", test["output"], re.M)
        questions[name] = {"points": test["score"], "possible": possible, "messages": messages, "otter": test["output"]}
    earned = round(sum(question["points"] for question in questions.values()), 5)
    notes, seconds = found["notes"], found["seconds"]
    return {"points": earned, "possible": points, "questions": questions, "notes": notes, "seconds": seconds}


def possible_points(archive) -> tuple[float, dict]:
    """(the set's points, {question: points}) as the autograder archive states them."""
    with zipfile.ZipFile(archive) as zipped:
        total = json.loads(zipped.read("otter_config.json"))["points_possible"]
        files = [name for name in zipped.namelist() if re.fullmatch(r"tests/\w+\.py", name)]
        texts = {Path(name).stem: zipped.read(name).decode() for name in files}
    points = {name: float(re.search(r"^points = ([\d.]+)$", text, re.M)[1]) for name, text in texts.items()}
    return total, dict(sorted(points.items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])]))


def grade_all(paths, set_name=None, out="graded", limit=60.0, total=600.0, output=OUTPUT) -> int:
    """Grade notebooks, print a table, write one JSON each and points.csv into `out`; 1 where any failed."""
    Path(out).mkdir(parents=True, exist_ok=True)
    lists = [sorted(Path(given).glob("*.ipynb")) if Path(given).is_dir() else [Path(given)] for given in paths]
    paths = [path for each in lists for path in each]
    stems = [path.stem for path in paths]
    if double := {stem for stem in stems if stems.count(stem) > 1}:
        raise SetError(f"two notebooks are called {', '.join(sorted(double))}: results would overwrite each other")
    if not paths:
        raise SetError("no notebook (.ipynb) to grade there")

    def one(path):
        try:
            notebook = read_notebook(path)
            folder = Path(output, set_name) if set_name else set_of(notebook, path, output)
            archive = folder / "teacher" / f"{folder.name}-autograder.zip"
            if not archive.exists():
                raise SetError(f"{archive}: not built; run `coursework.py build {folder.name}`")
            row = report(otter_run(notebook, archive, limit, total), *possible_points(archive))
        except SetError as error:
            return path, {"error": str(error)}
        row = {"notebook": Path(path).name, "set": folder.name, **row}
        limits.write_json(Path(out, f"{Path(path).stem}.json"), row)
        return path, row

    with ThreadPoolExecutor(JOBS) as pool:
        rows = list(pool.map(one, paths))
    for path, row in rows:
        print(table(path, row))
    write_points(Path(out, "points.csv"), rows)
    print(f"Written: {out}/points.csv and a JSON for each notebook.")
    return int(any("error" in row for _, row in rows))


def table(path, row) -> str:
    """One notebook's points and messages as lines of text."""
    if "error" in row:
        return f"{row['error']}\n"
    total = f"{row['points']:g} of {row['possible']:g} points"
    lines = [f"{Path(path).name} ({row['set']}): {total}, {row['seconds']:.0f} s"]
    for name, question in row["questions"].items():
        first, *more = question["messages"] or [""]
        lines.append(f"  {name:6} {question['points']:4g} / {question['possible']:g}   {first}".rstrip())
        lines += [f"                  {message}" for message in more]
    return "\n".join([*lines, *(f"  note: {note}" for note in row["notes"]), ""])


def write_points(path, rows):
    """points.csv: a line for each notebook, a column for each question; beside and renamed."""
    questions = list(dict.fromkeys(name for _, row in rows for name in row.get("questions", {})))
    new = path.with_name(path.name + ".new")
    with open(new, "w", newline="", encoding="utf-8") as file:
        columns = ["notebook", "set", "points", "possible", *questions, "note"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for given, row in rows:
            each = {name: question["points"] for name, question in row.get("questions", {}).items()}
            note = row.get("error") or "; ".join(row["notes"])
            writer.writerow({"notebook": Path(given).name, **row, **each, "note": note})
    os.replace(new, path)
