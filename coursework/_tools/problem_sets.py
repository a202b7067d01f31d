"""Read a problem set's one source, `coursework/psN_NAME/psN_NAME.md`, and say what is wrong with its form.

The README's section "Writing a problem set" states the rules that `faults` enforces.
"""

import ast
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import jupytext
import yaml

COURSEWORK = Path(__file__).resolve().parent.parent
ROOT = COURSEWORK.parent
TEST_CONFIG = re.compile(r'""" # BEGIN TEST CONFIG\n(.*?)\n""" # END TEST CONFIG\n(.*)', re.S)
SOLUTION = re.compile(r"^[ ]*# BEGIN SOLUTION\n(.*?)^[ ]*# END SOLUTION", re.S | re.M)
WRONG_KEYS = ("question", "name", "loses", "message")


class SetError(ValueError):
    """What stops a set from being read; its text is one line that names the file and the remedy."""


@dataclass
class Test:
    points: float | None
    hidden: bool
    message: str
    code: str
    function: str  # its name, "" where the cell is not one function
    uses: list[str]  # the names of the student's that it takes


@dataclass
class Wrong:
    """A typical wrong answer: replaces the question's solution cell, loses points, brings a message."""

    question: str
    name: str
    loses: float
    message: str
    code: str


@dataclass
class Question:
    name: str
    points: float
    manual: bool
    forbids: list[str] = field(default_factory=list)  # names and modules that answers must not use; see rules.py
    solutions: list[str] = field(default_factory=list)  # the code cells of its SOLUTION block; one is right
    tests: list[Test] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def hidden_lines(self) -> str:
        """What students must not see of the solution."""
        return "\n".join(part for cell in self.solutions for part in SOLUTION.findall(cell))


@dataclass
class ProblemSet:
    name: str
    path: Path
    points: float
    questions: list[Question]
    cells: list  # the source's cells without the wrong answers; solution cells know their question

    @property
    def by_hand(self) -> float:
        """The points that a person gives, beside those of the tests."""
        return sum(q.points for q in self.questions if q.manual)


def find_sets(wanted=()) -> list[Path]:
    """The sources of the wanted sets ("ps1", "ps1_alignment" or a path), of all without wishes."""
    sources = sorted(path for path in COURSEWORK.glob("ps*/ps*.md") if path.stem == path.parent.name)
    if not wanted:
        return sources
    found = []
    for wish in wanted:
        stem = Path(wish).stem
        match = [path for path in sources if path.stem == stem or path.stem.split("_")[0] == stem]
        if not match:
            raise SetError(f"{wish}: no such set; there are {', '.join(p.stem for p in sources) or 'none'}")
        found += match
    return found


def read_set(path) -> ProblemSet:
    """Parse the source; raises SetError where its blocks cannot be understood."""
    path = Path(path)
    cells, questions, kept, blocks, points, forbids = _cells(path), [], [], [], None, []
    for cell in cells:
        marker = cell.source.split("\n")[0].strip() if cell.cell_type == "raw" else ""
        if "wrong" in cell.metadata.get("tags", []):
            wrong = _wrong(path, cell)
            if not questions or wrong.question != questions[-1].name:
                raise SetError(f"{path}: the wrong answer {wrong.name!r} must stand inside question {wrong.question}")
            questions[-1].wrong.append(wrong)
            continue
        kept.append(cell)
        if marker == "# ASSIGNMENT CONFIG":
            facts = _yaml(path, cell.source)
            points, forbids = facts.get("generate", {}).get("points_possible"), facts.get("forbids", [])
        elif marker.startswith("# BEGIN "):
            blocks.append(marker.removeprefix("# BEGIN "))
            if blocks[-1] == "QUESTION":
                facts = _yaml(path, cell.source)
                own = forbids + facts.pop("forbids", [])  # otter does not know this key
                cell.source = f"{marker}\n{yaml.safe_dump(facts, sort_keys=False)}"
                questions.append(Question(facts.get("name"), facts.get("points"), facts.get("manual", False), own))
        elif marker.startswith("# END "):
            if not blocks or blocks.pop() != marker.removeprefix("# END "):
                raise SetError(f"{path}: {marker!r} after question {questions and questions[-1].name} closes no block")
        elif cell.cell_type == "code" and blocks[-1:] == ["SOLUTION"]:
            questions[-1].solutions.append(cell.source)
            cell.metadata["coursework"] = {"question": questions[-1].name}
        elif cell.cell_type == "code" and blocks[-1:] == ["TESTS"]:
            questions[-1].tests.append(_test(path, cell.source))
    if blocks or points is None:
        what = f"{blocks[-1]} block without end" if blocks else "no points_possible in an '# ASSIGNMENT CONFIG' cell"
        raise SetError(f"{path}: {what}")
    return ProblemSet(path.stem, path, points, questions, kept)


def without(problem_set: ProblemSet, names) -> ProblemSet:
    """The set without some of its questions and their points; what is given between questions stays."""
    known = [q.name for q in problem_set.questions]
    if unknown := [name for name in names if name not in known]:
        raise SetError(f"{problem_set.name}: no question {', '.join(unknown)}; there are {', '.join(known)}")
    cells, leaving = [], False
    for cell in problem_set.cells:
        if cell.cell_type == "raw" and cell.source.startswith("# BEGIN QUESTION"):
            leaving = yaml.safe_load(cell.source)["name"] in names
        if not leaving:
            cells.append(cell)
        leaving = leaving and not (cell.cell_type == "raw" and cell.source.startswith("# END QUESTION"))
    questions = [q for q in problem_set.questions if q.name not in names]
    points = sum(q.points for q in questions if not q.manual)
    return replace(problem_set, cells=cells, questions=questions, points=points)


def _cells(path):
    try:
        return jupytext.read(path, fmt="md").cells
    except (OSError, ValueError) as error:
        raise SetError(f"{path}: cannot be read as jupytext markdown: {error}") from None


def _yaml(path, text) -> dict:
    try:
        facts = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", error)
        raise SetError(f"{path}: no YAML ({problem}): {text.splitlines()[0]!r} ..., quote values with ': '") from None
    if not isinstance(facts, dict):
        raise SetError(f"{path}: {text.splitlines()[0]!r}: write key: value lines")
    return facts


def _wrong(path, cell) -> Wrong:
    missing = [key for key in WRONG_KEYS if key not in cell.metadata]
    if missing:
        raise SetError(f"{path}: a wrong answer without {', '.join(missing)}: {cell.source.splitlines()[0]!r}")
    return Wrong(*(cell.metadata[key] for key in WRONG_KEYS), cell.source)


def _test(path, source) -> Test:
    match = TEST_CONFIG.fullmatch(source)
    if match is None:
        raise SetError(f"{path}: a test without its configuration: {source.splitlines()[0]!r}")
    facts, code = _yaml(path, match[1]), match[2]
    try:
        body = ast.parse(code).body
    except SyntaxError as error:
        raise SetError(f"{path}: a test is no Python ({error.msg}): {code.splitlines()[0]!r}") from None
    one = body[0] if len(body) == 1 and isinstance(body[0], ast.FunctionDef) else None
    name, uses = (one.name, [argument.arg for argument in one.args.args]) if one else ("", [])
    return Test(facts.get("points"), facts.get("hidden", False), facts.get("failure_message") or "", code, name, uses)


def faults(problem_set: ProblemSet) -> list[str]:
    """What breaks the README's rules, one line each."""
    total = sum(q.points or 0 for q in problem_set.questions if not q.manual)
    found = []
    if total != problem_set.points:
        found.append(f"points_possible is {problem_set.points}, the questions have {total}")
    names = [q.name for q in problem_set.questions]
    found += [f"{name}: two questions have this name" for name in {n for n in names if names.count(n) > 1}]
    manual = [q for q in problem_set.questions if q.manual]
    found += [
        f"{q.name}: marked by hand: points, 0 or more, and no tests" for q in manual if q.points is None or q.tests
    ]
    for question in problem_set.questions:
        if not question.manual:
            found += [f"{question.name}: {fault}" for fault in _question_faults(question)]
    return [f"{problem_set.name}: {fault}" for fault in found]


def _question_faults(q: Question):
    if len(q.solutions) != 1:
        yield f"{len(q.solutions)} code cells in its solution, write one"
    if not q.hidden_lines.strip():
        yield "no '# BEGIN SOLUTION' and '# END SOLUTION' lines in its solution cell"
    if not any(not t.hidden for t in q.tests) or not any(t.hidden for t in q.tests):
        yield "needs a public and a hidden test"
    if any(t.points for t in q.tests if not t.hidden):
        yield "a public test has points"
    if any(t.points is None for t in q.tests):
        yield "a test without points (write points: 0 for public ones)"
    elif sum(t.points for t in q.tests) != q.points:
        yield f"its tests have {sum(t.points for t in q.tests)} points, it says {q.points}"
    functions = [t.function for t in q.tests]
    if "" in functions or len(set(functions)) < len(functions):
        yield "a test is one function and nothing after it, with a name of its own"
    for test in q.tests:
        if not test.message or re.search(r'["\\\n]', test.message):
            yield f"{test.function}: one failure_message line, without double quotes and backslashes"
    if len(q.wrong) < 3:
        yield f"{len(q.wrong)} wrong answers, write three"
    for wrong in q.wrong:
        if not 0 < wrong.loses <= q.points:
            yield f"the wrong answer {wrong.name!r} loses {wrong.loses} of {q.points} points"
        try:
            ast.parse(wrong.code)
        except SyntaxError as error:
            yield f"the wrong answer {wrong.name!r} is no Python: {error.msg}"


# leaks


def squeezed(text: str) -> str:
    """`text` without white space, so that markup and line breaks between words do not matter."""
    return re.sub(r"\s+", "", text)


def secrets(problem_set: ProblemSet, lines: int) -> list[tuple[str, str]]:
    """(what it is, squeezed text) of all that students must not read: runs of `lines` lines, names, messages."""
    found = []
    for q in problem_set.questions:
        found += [(f"{q.name}: its solution", run) for run in _runs(q.hidden_lines, lines)]
        for test in q.tests:
            if test.hidden:
                body = "\n".join(test.code.splitlines()[1:])
                found += [(f"{q.name}: its hidden test", run) for run in _runs(body, lines + 1)]
                found.append((f"{q.name}: its hidden test", squeezed(f"def {test.function}(")))
                found.append((f"{q.name}: its hidden message", squeezed(test.message)))
        found += [(f"{q.name}: a wrong answer's name", squeezed(f'name="{w.name}"')) for w in q.wrong]
    return found


def _runs(code: str, length: int):
    """Every run of `length` code lines, squeezed; shorter solutions count as a whole where `length` is 2 or less."""
    rows = [squeezed(row.split("  # ")[0]) for row in code.splitlines()]
    rows = [row for row in rows if row and not row.startswith(("#", "import", "from"))]
    if len(rows) < length:
        return ["".join(rows)] if length <= 2 and len("".join(rows)) >= 15 else []
    return ["".join(rows[i : i + length]) for i in range(len(rows) - length + 1)]
