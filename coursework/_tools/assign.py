"""Make a problem set's student notebook, solved notebook and autograder archive with `otter assign`.

They land in _build/coursework/psN_NAME: `student/` is for handing out, `teacher/` is not.
"""

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import nbformat
import yaml
from limits import number
from problem_sets import ROOT, ProblemSet, SetError

TOOLS = Path(__file__).resolve().parent
OUTPUT = ROOT / "_build" / "coursework"
CONFIG = {
    "init_cell": False,  # ours also installs the package and brings the public tests
    "export_cell": False,  # it does not work in Colab; students hand in the notebook itself
    "runs_on": "colab",
    "tests": {"files": True, "ok_format": False},
    "environment": "environment.yml",
    "generate": {"show_hidden": True},  # a student must learn why points are missing
}
TESTS_PLACE = "# the public tests go here"
FAIR = "# fair() goes here"
ARCHIVED = ("run_otter.py", "limits.py", "sandbox.py", "limit_cell.txt")  # what grades on Gradescope, too


def build(problem_set: ProblemSet, output=OUTPUT) -> Path:
    """Write the three into output/NAME, replacing what was there; returns that folder."""
    folder = Path(output, problem_set.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made, new = Path(temporary, "otter"), Path(temporary, "new")
        _otter_assign(problem_set, Path(temporary, f"{problem_set.name}.ipynb"), made)
        (new / "student").mkdir(parents=True)
        (new / "teacher").mkdir()
        public = _tests_cell(problem_set, sorted((made / "student" / "tests").glob("*.py")))
        for kind, name in ("student", ""), ("autograder", "-solution"):
            notebook = nbformat.read(made / kind / f"{problem_set.name}.ipynb", as_version=4)
            _put_tests(notebook, public)
            number(notebook)
            place = new / ("teacher" if name else "student")
            nbformat.write(notebook, place / f"{problem_set.name}{name}.ipynb")
        archive = new / "teacher" / f"{problem_set.name}-autograder.zip"
        _archive(problem_set, next((made / "autograder").glob("*.zip")), archive)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(new, folder)
    return folder


def _otter_assign(problem_set, master, made):
    try:
        from otter.assign import main as otter_assign
    except ImportError:
        raise SetError('otter-grader is missing: pip install -c constraints.txt -e ".[coursework]"') from None
    nbformat.write(master_notebook(problem_set), master)
    (master.parent / "environment.yml").write_text(yaml.safe_dump(environment(), sort_keys=False))
    try:
        otter_assign(str(master), str(made), no_run_tests=True, no_pdfs=True)
    except (ValueError, RuntimeError, AssertionError, OSError) as error:
        raise SetError(f"{problem_set.path}: otter assign: {error}") from error


def source_address() -> str:
    """Where pip finds the package: the repository that `_config.yml` names."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return f"git+{settings['url']}@{settings['branch']}"


def environment() -> dict:
    """Gradescope's conda environment. conda's torch comes first and has no CUDA; pip then leaves it alone."""
    conda = ["pytorch-cpu>=2.4", "numpy", "scipy", "scikit-learn", "scikit-image", "matplotlib", "seaborn"]
    return {"dependencies": [*conda, "psutil", "git", {"pip": [f"deepid-lite @ {source_address()}"]}]}


def master_notebook(problem_set: ProblemSet):
    """What otter assign reads: the source's cells with the whole configuration and the set-up in place."""
    cells = [nbformat.from_dict(cell) for cell in problem_set.cells]
    for cell in cells:
        if cell.cell_type == "raw" and cell.source.startswith("# ASSIGNMENT CONFIG"):
            generate = CONFIG["generate"] | {"points_possible": problem_set.points}
            cell.source = "# ASSIGNMENT CONFIG\n" + yaml.safe_dump(CONFIG | {"generate": generate})
    title = next(i for i, cell in enumerate(cells) if cell.cell_type == "markdown")
    setup = (TOOLS / "setup_cell.txt").read_text(encoding="utf-8").strip().replace("@REPOSITORY@", source_address())
    folded = {"cellView": "form", "jupyter": {"source_hidden": True}}  # long, and nothing to learn from
    cells[title + 1 : title + 1] = [_locked(setup, {}), _locked(TESTS_PLACE, folded)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _locked(source, metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata | {"deletable": False, "editable": False})


def _fair_test(question, text) -> str:
    """A test file of otter's whose tests call the answers through `fair`, of fair.txt, which stands at FAIR."""
    text = re.sub(r"^(def \w+\((.+)\):)$", _first_line, text, flags=re.M)
    return text.replace("\n@test_case", f"\nFORBIDDEN = {question.forbids!r}\n{FAIR}\n\n@test_case", 1)


def _first_line(match):
    names = [name.strip() for name in match[2].split(",")]
    return f"{match[1]}\n    {', '.join(names)}, = fair({', '.join(f'{name}={name}' for name in names)})"


def _tests_cell(problem_set, files) -> str:
    questions, quoted = {question.name: question for question in problem_set.questions}, []
    for file in files:
        text = _fair_test(questions[file.stem], file.read_text(encoding="utf-8"))
        plain = "'''" not in text and "\\" not in text
        quoted.append(f"    {file.stem!r}: " + (f"'''{text}'''" if plain else repr(text)) + ",")
    cell = (TOOLS / "tests_cell.txt").read_text(encoding="utf-8").strip()
    fair = (TOOLS / "fair.txt").read_text(encoding="utf-8")
    return cell.replace("@SET@", problem_set.name).replace("@FAIR@", fair).replace("@TESTS@", "\n".join(quoted))


def _put_tests(notebook, public):
    for cell in notebook.cells:
        if cell.source == TESTS_PLACE:
            cell.source = public


def _archive(problem_set, made, archive):
    """Otter's archive with fair tests, our script in the place of its own, and what that needs."""
    fair = (TOOLS / "fair.txt").read_text(encoding="utf-8")
    tests = {f"tests/{question.name}.py": question for question in problem_set.questions}
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if question := tests.get(entry.filename):
                content = _fair_test(question, content.decode()).replace(FAIR, fair)
            if entry.filename == "setup.sh":  # a browser, for PDFs that nobody asks for
                content = re.sub(rb"^.*playwright install.*\n", b"", content, flags=re.M)
            if entry.filename not in ARCHIVED:
                new.writestr(entry.filename, content)
        for name in ARCHIVED:
            new.write(TOOLS / name, name)
