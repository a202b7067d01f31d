"""Names that a question forbids, found in the answers' syntax trees. A note for the teacher, not a verdict."""

import ast
import re
import zipfile
from pathlib import Path

import nbformat
from limits import question_cells
from problem_sets import squeezed

LOOPS = "loops"  # in `forbids`: for, while and comprehensions
LOOP_NODES = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def broken_rules(notebook, folder) -> list[tuple[str, str]]:
    """(question, what) for every forbidden name in cells that the student wrote or changed; folder: the built set."""
    student = nbformat.read(folder / "student" / f"{folder.name}.ipynb", as_version=4)
    given, found = {squeezed(cell.source) for cell in student.cells}, []
    forbids = forbidden(folder / "teacher" / f"{folder.name}-autograder.zip")
    names = imports("\n".join(_readable(cell.source) for cell in notebook.cells if cell.cell_type == "code"))
    for question, places in question_cells(notebook).items():
        own = [notebook.cells[i].source for i in places if squeezed(notebook.cells[i].source) not in given]
        used = [name for source in own for name in used_names(_readable(source), names)]
        for word in forbids.get(question, []):
            hits = sorted({name for name in used if name == word or name.startswith(word + ".")})
            found += [(question, f"the answer uses {', '.join(hits)}")] if hits else []
    return found


def forbidden(archive) -> dict[str, list[str]]:
    """{question: what it forbids}, as the archive's tests state it."""
    with zipfile.ZipFile(archive) as zipped:
        texts = {Path(name).stem: zipped.read(name).decode() for name in zipped.namelist() if name.startswith("tests/")}
    stated = {name: re.search(r"^FORBIDDEN = (.*)$", text, re.M) for name, text in texts.items()}
    return {name: ast.literal_eval(match[1]) for name, match in stated.items() if match}


def _readable(source) -> str:
    """Code without the lines that are IPython's, "" where even so it is no Python."""
    lines = [line if line.lstrip()[:1] not in ("%", "!", "?") else "" for line in source.split("\n")]
    try:
        ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return "\n".join(lines)


def imports(code) -> dict[str, str]:
    """{name in the code: what it stands for} of all imports: {"st": "scipy.stats"}."""
    names = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                      for alias in node.names}  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def used_names(code, names) -> list[str]:
    """Every name and dotted name of the code, by what the imports say; LOOPS where it loops."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, LOOP_NODES):
            found.append(LOOPS)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute | ast.Name) and (dotted := _dotted(node)):
            first, dot, rest = dotted.partition(".")
            found.append(names.get(first, first) + dot + rest)
    return found


def _dotted(node) -> str:
    if isinstance(node, ast.Name):
        return node.id
    inner = _dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner else ""
