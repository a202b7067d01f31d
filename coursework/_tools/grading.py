"""Grade one notebook with `otter run`, here, within its limits and apart from all others."""

import atexit
import re
import shutil
import sys
import tempfile
import time
import zipfile
from functools import lru_cache
from pathlib import Path

import limits
import nbformat
import sandbox
from assign import OUTPUT
from problem_sets import SetError

CAUSE = re.compile(r"Error: (there is no \w+: .*|\w+ returns nothing: .*|\w+ is not allowed .*|stopped after .*)")
MARK = re.compile(r'^PROBLEM_SET = "(\w+)"$', re.M)


def parse_notebook(content: bytes, place):
    """A handed-in notebook, or a SetError in one line."""
    try:
        return nbformat.reads(content.decode("utf-8"), as_version=4)
    except Exception as error:  # a broken file makes nbformat raise JSON, schema and key errors alike
        raise SetError(f"{place}: no notebook ({type(error).__name__}); ask for the .ipynb file again") from None


def set_of(notebook, place, output=OUTPUT) -> Path:
    """The folder of the built set that a notebook belongs to, by the mark in its cell of public tests."""
    marks = {match for cell in notebook.cells for match in MARK.findall(cell.source)}
    built = {folder.parent.parent.name for folder in Path(output).glob("*/teacher/*-autograder.zip")}
    named = marks or {name for name in built if Path(place).stem.startswith((name, name.split("_")[0] + "_"))}
    if len(named) != 1 or not named <= built:
        known = ", ".join(sorted(built)) or "none: run `make coursework` or `coursework.py build` first"
        raise SetError(f"{place}: which set is it? Name it with --set (built: {known})")
    return Path(output, named.pop())


@lru_cache
def shared_cache() -> Path:
    """A folder of drawn faces for all hand-ins, who can read it only: `solve` fills it."""
    folder = Path(tempfile.mkdtemp(prefix="grading-faces-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


def otter_run(notebook, archive, limit=60.0, total=600.0, trusted=False) -> dict:
    """Grade one notebook (a NotebookNode, changed) -> otter's results as limits.grade returns them, and "seconds".

    trusted: it is the teacher's own and may fill the cache of drawn faces.
    """
    start = time.perf_counter()

    def once(fenced, deadline):
        with sandbox.Scratch(apart=not trusted) as scratch:
            place, progress = scratch.folder / "notebook.ipynb", scratch.work / "progress.json"
            nbformat.write(fenced(progress), place)
            shutil.copy(archive, scratch.folder / "autograder.zip")
            command = [sys.executable, "-m", "otter", "run", place, "-a", scratch.folder / "autograder.zip",
                       "-o", scratch.work, "--no-logo"]  # fmt: skip
            supervised = scratch.run(command, progress, limit, deadline, shared_cache())
            return limits.attempt(supervised, scratch.work / "results.json", progress)

    found = limits.grade(notebook, once, limit, total)
    return found | {"seconds": round(time.perf_counter() - start, 1)}


def report(found, archive, leave_out=()) -> dict:
    """Otter's results as {"points", "possible", "questions", "notes", "stopped", "suspicions", "seconds"}.

    questions: {name: {"points", "possible", "messages", "otter"}}. Points are those of the tests that are not told to
    have failed; where otter's file says otherwise somebody changed it, and a suspicion says so.
    """
    given = {test["name"]: test for test in found["tests"] if "max_score" in test}
    questions, suspicions = {}, [f"the notebook changed {name}" for name in found["changed"]]
    for name, points in test_points(archive).items():
        if name in leave_out:
            continue
        test = given.get(name, {"score": 0, "output": ""})
        output, counted = str(test.get("output", "")), points if name in given else []
        failed = failures(name, output)
        earned = sum(value for number, value in enumerate(counted, 1) if number not in failed)
        if abs(earned - test["score"]) > 1e-6:
            suspicions.append(f"{name} has {test['score']:g} points in the results, its messages say {earned:g}")
        messages, causes = list(dict.fromkeys(failed.values())), found["causes"].get(name, [])
        questions[name] = {"points": min(earned, test["score"]), "possible": sum(points),
                           "messages": causes or messages, "causes": causes, "otter": output}  # fmt: skip
    return {
        "points": round(sum(question["points"] for question in questions.values()), 5),
        "possible": sum(question["possible"] for question in questions.values()),
        "questions": questions,
        "notes": found["notes"],
        "stopped": found["stopped"],
        "suspicions": suspicions,
        "seconds": found["seconds"],
    }


def failures(name, output) -> dict[int, str]:
    """{number of a test that failed: what the student is told}; the cause goes before the test's own message."""
    pieces = re.split(rf"^\s*{name} - (\d+) (message|result):", output, flags=re.M)[1:]
    told = {(int(number), kind): text for number, kind, text in zip(*[iter(pieces)] * 3, strict=True)}
    failed = {}
    for number, kind in told:
        if kind == "result" and told[number, kind].lstrip().startswith("❌"):
            cause = CAUSE.search(told[number, kind])
            failed[number] = cause[1] if cause else told.get((number, "message"), "").strip()
    return failed


def test_points(archive) -> dict[str, list[float]]:
    """{question: the points of its tests} as the autograder archive states them, the public ones' zeros included."""
    with zipfile.ZipFile(archive) as zipped:
        files = [name for name in zipped.namelist() if re.fullmatch(r"tests/\w+\.py", name)]
        texts = {Path(name).stem: zipped.read(name).decode() for name in files}
    points = {name: [float(p) for p in re.findall(r"^@test_case\(points=([\d.]+),", text, re.M)]
              for name, text in texts.items()}  # fmt: skip
    return dict(sorted(points.items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])]))


def solve(folder, limit, total) -> list[str]:
    """Grade the set's own solution, which also draws the faces that all need -> what is wrong with it here."""
    archive = folder / "teacher" / f"{folder.name}-autograder.zip"
    notebook = nbformat.read(folder / "teacher" / f"{folder.name}-solution.ipynb", as_version=4)
    got = report(otter_run(notebook, archive, limit, total, trusted=True), archive)
    wrong = [f"{name}: {question['messages']}" for name, question in got["questions"].items()
             if question["points"] != question["possible"]]  # fmt: skip
    return [f"{folder.name}: the solution loses points on this machine: {line}" for line in wrong + got["notes"]]
