"""Prove a built set: who earns which points, what is graded in time, and that nothing secret can be read.

Every notebook here is graded by a whole `otter run`. The wrong answers of all questions are tried at once, the first
ones together, then the second ones, then the third: a question that loses just its own points among wrong neighbours
does not depend on them, and a set needs eight runs instead of thirty.
"""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grading
import nbformat
from assign import OUTPUT, build
from problem_sets import ROOT, ProblemSet, faults, read_set, secrets, squeezed
from rules import broken_rules

# answers that break: the code put in place of a solution
BREAKS = (
    "raise RuntimeError('this cell crashes')",
    "while True:\n    pass",
    "def (",  # no Python
    "import sys\nsys.exit()",
    "exit()",
)
LOOP = "\n\n\ndef {name}(*args, **keywords):\n    while True:\n        pass"
LIMIT, LOOP_LIMIT = 60.0, 10.0  # seconds of the processor for a cell: as in `grade`; where loops are to be stopped
KILL = "import os\nos._exit(3)"


@dataclass
class Run:
    """One notebook to grade: what it is called, the answers put in, what every question must earn and say."""

    what: str
    answers: dict  # question -> code in place of its solution; None: the untouched student notebook
    expected: dict  # question -> points
    messages: dict  # question -> text that the student must be shown
    loops: bool = False  # some answers loop for ever
    kills: bool = False  # one answer ends the kernel and has to be taken out


def runs_of(problem_set: ProblemSet) -> list[Run]:
    """The notebooks that prove a set."""
    questions = [q for q in problem_set.questions if not q.manual]
    full, none = {q.name: q.points for q in questions}, {q.name: 0 for q in questions}
    runs = [Run("the solution", {}, full, {}), Run("the untouched notebook", None, none, {})]
    for k in range(max(len(q.wrong) for q in questions)):
        wrong = {q.name: q.wrong[k] for q in questions if k < len(q.wrong)}
        runs.append(
            Run(
                f"wrong answers number {k + 1}",
                {name: w.code for name, w in wrong.items()},
                full | {name: full[name] - w.loses for name, w in wrong.items()},
                {name: w.message for name, w in wrong.items()},
            )
        )
    for parity in (0, 1):
        half = questions[parity::2]
        answers = {q.name: BREAKS[i % len(BREAKS)] for i, q in enumerate(half)}
        left = full | dict.fromkeys(answers, 0)
        if parity and half:
            answers[half[0].name] = KILL  # first: the notebook is then graded again from the start
            loops = max(half[1:] or half, key=lambda q: (len(_functions(q)) > 1, len(q.tests)))
            first = _functions(loops)[0]
            answers[loops.name] = loops.solutions[0] + LOOP.format(name=first)
            left[loops.name] = sum(test.points for test in loops.tests if first not in test.uses)
        if answers:
            what, kills = f"broken answers to {', '.join(answers)}", KILL in answers.values()
            runs.append(Run(what, answers, left, {}, loops=True, kills=kills))
    return runs


def _functions(question):
    return re.findall(r"^def (\w+)", question.solutions[0], re.M)


def notebook_of(run: Run, folder: Path):
    """The notebook that a run grades, from the built set in `folder`."""
    if run.answers is None:
        return nbformat.read(folder / "student" / f"{folder.name}.ipynb", as_version=4)
    notebook = nbformat.read(folder / "teacher" / f"{folder.name}-solution.ipynb", as_version=4)
    for cell in notebook.cells:
        question = cell.metadata.get("coursework", {}).get("question")
        if question in run.answers:
            cell.source = run.answers[question]
    return notebook


def prove(run: Run, problem_set: ProblemSet, folder: Path, limit: float, trusted=False) -> tuple[list[str], float]:
    """Grade one run -> (what differs from what is expected, seconds); trusted: see grading.otter_run."""
    archive = folder / "teacher" / f"{folder.name}-autograder.zip"
    found = grading.otter_run(notebook_of(run, folder), archive, limit, trusted=trusted)
    got = grading.report(found, archive)
    wrong = []
    for name, points in run.expected.items():
        question = got["questions"][name]
        if abs(question["points"] - points) > 1e-6:
            why = " | ".join(question["messages"]) or question["otter"][-300:]
            wrong.append(f"{name} earns {question['points']:g} instead of {points:g}: {why}")
        if run.messages.get(name, "") not in question["otter"]:
            shown = " | ".join(question["messages"])
            wrong.append(f"{name} should say {run.messages[name]!r}; it says {shown!r}")
    if bool(got["notes"]) != run.kills:
        wrong.append("; ".join(got["notes"]) or "the cell that ends the kernel was not noticed")
    wrong += [f"suspicion of {text}" for text in got["suspicions"]]
    if not run.loops:  # an untouched, a wrong and a right notebook run from top to bottom
        wrong += [f"cell {number} stopped: {text}" for number, text in got["stopped"].items()]
    return [f"{problem_set.name}, {run.what}: {line}" for line in wrong], got["seconds"]


def leaks(problem_set: ProblemSet, folder: Path, root=ROOT) -> list[str]:
    """Where a solution or a hidden test of the set can be read by students."""
    student = folder / "student" / f"{folder.name}.ipynb"
    cells = nbformat.read(student, as_version=4).cells
    seen = squeezed("\n".join(cell.source for cell in cells))
    found = [(student.name, what) for what, secret in secrets(problem_set, 2) if secret in seen]
    found += [("student/", path.name) for path in student.parent.iterdir() if path != student]
    secret_runs = secrets(problem_set, 3)
    for place, text in book_texts(root).items():
        found += [(place, what) for what, secret in secret_runs if secret in text]
    return [f"{problem_set.name}: {where} shows {what}" for where, what in dict.fromkeys(found)]


def book_texts(root=ROOT) -> dict[str, str]:
    """Squeezed text of the book's sources, and of its pages and downloads where they are built."""
    sources = [*root.glob("book/*.md"), *root.glob("book/*.ipynb")]
    built = (root / "_build" / "html").rglob("*")
    texts = {}
    for path in [*sources, *(path for path in built if path.suffix in (".html", ".md", ".ipynb", ".txt"))]:
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]+>", "", text))
        elif path.suffix == ".ipynb":
            text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
        texts[str(path.relative_to(root))] = squeezed(text)
    return texts


def check(sources, output=OUTPUT, quick=False) -> int:
    """Build and prove the sets; prints what is done and what is wrong; 1 where anything is."""
    sets, wrong = [], []
    for source in sources:
        problem_set = read_set(source)
        if form := faults(problem_set):
            wrong += form
            continue
        sets.append((problem_set, build(problem_set, output)))
        wrong += leaks(*sets[-1])
        solved = nbformat.read(sets[-1][1] / "teacher" / f"{problem_set.name}-solution.ipynb", as_version=4)
        wrong += [f"{problem_set.name}, the solution: {q}: {text}" for q, text in broken_rules(solved, sets[-1][1])]
    with ThreadPoolExecutor(2) as pool:
        # the solutions first: they draw the faces that the others only read
        solved = {s.name: pool.submit(prove, runs_of(s)[0], s, folder, LIMIT, True) for s, folder in sets}
        jobs = []
        for problem_set, folder in [] if quick else sets:
            solved[problem_set.name].result()
            for run in runs_of(problem_set)[1:]:
                limit = LOOP_LIMIT if run.loops else LIMIT
                jobs.append((run, pool.submit(prove, run, problem_set, folder, limit), problem_set))
        for problem_set, _ in sets:
            wrong += _told(problem_set, "the solution", *solved[problem_set.name].result())
        for run, job, problem_set in jobs:
            wrong += _told(problem_set, run.what, *job.result())
    print("\n".join(["", *wrong, f"{len(sets)} sets, {len(wrong)} faults"]))
    return int(bool(wrong) or not sets)


def _told(problem_set, what, lines, seconds):
    print(f"  {problem_set.name}: {what}: {'as expected' if not lines else 'WRONG'} ({seconds:.0f} s)", flush=True)
    return lines
