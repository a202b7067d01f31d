"""The problem sets' form, secrecy and machinery. `make coursework` grades every answer; here are the fast checks."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "coursework" / "_tools"
sys.path.insert(0, str(TOOLS))

import checking  # noqa: E402
import grading  # noqa: E402
import limits  # noqa: E402
from assign import build, environment  # noqa: E402
from problem_sets import SetError, faults, find_sets, read_set, secrets, squeezed  # noqa: E402

from coursework import main  # noqa: E402

SETS = {path.stem: read_set(path) for path in find_sets()}
README = (ROOT / "coursework" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The README's example as a source file."""
    path = tmp_path_factory.mktemp("example") / "ps9_means" / "ps9_means.md"
    path.parent.mkdir()
    path.write_text(re.search(r"^````markdown\n(.*?)^````$", README, re.S | re.M)[1], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """All sets as otter makes them."""
    pytest.importorskip("otter", reason="make coursework needs otter-grader and never skips")
    folder = tmp_path_factory.mktemp("coursework")
    return {name: build(problem_set, folder) for name, problem_set in SETS.items()}


def test_there_are_five_sets():
    assert [name.split("_")[0] for name in SETS] == ["ps1", "ps2", "ps3", "ps4", "ps5"]


def test_the_readme_lists_them():
    assert re.findall(r"^\| \[ps\d\]\((\w+/\w+\.md)\)", README, re.M) == [f"{name}/{name}.md" for name in SETS]


@pytest.mark.parametrize("problem_set", SETS.values(), ids=SETS)
def test_sets_follow_the_rules(problem_set):
    assert faults(problem_set) == []
    assert problem_set.points == 20


def test_the_example_of_the_readme_follows_them_too(example):
    assert faults(read_set(example)) == []


@pytest.mark.parametrize(("old", "new", "told"), [
    ("points_possible: 3", "points_possible: 4", "points_possible is 4, the questions have 3"),
    ("points: 2\n", "points: 1\n", "its tests have 2 points, it says 3"),
    ("points: 0\n", "points: 1\n", "a public test has points"),
    ('loses=1 message="equal', 'loses=4 message="equal', "loses 4 of 3 points"),
    ("    # END SOLUTION\n", "", "no '# BEGIN SOLUTION'"),
    ("def test_columns(", "def test_shape(", "with a name of its own"),
    ("An array of equal rows", 'An "array" of rows', "without double quotes"),
])  # fmt: skip
def test_broken_rules_are_told(example, tmp_path, old, new, told):
    text = example.read_text()
    assert old in text
    source = tmp_path / "ps9_means.md"
    source.write_text(text.replace(old, new))
    assert any(told in fault for fault in faults(read_set(source)))


@pytest.mark.parametrize(("old", "new", "told"), [
    ("<!-- #raw -->\n# END TESTS\n<!-- #endraw -->\n", "", "closes no block"),
    ("points_possible: 3", "possible: 3", "points_possible"),
    (' message="equal rows"', "", "without message"),
    ("hidden: true", "hidden: : true", "no YAML"),
    ("    assert np.shape(", "    assert np.shape((", "no Python"),
])  # fmt: skip
def test_what_cannot_be_read_is_told_in_one_line(example, tmp_path, old, new, told):
    source = tmp_path / "ps9_means.md"
    source.write_text(example.read_text().replace(old, new))
    with pytest.raises(SetError, match=told) as error:
        read_set(source)
    assert "\n" not in str(error.value) and "ps9_means.md" in str(error.value)


# secrecy


def test_the_book_shows_no_answer():
    texts = checking.book_texts()
    assert len(texts) > 25
    shown = [(place, what) for problem_set in SETS.values() for what, secret in secrets(problem_set, 3)
             for place, text in texts.items() if secret in text]  # fmt: skip
    assert shown == []


@pytest.mark.parametrize("name", SETS)
def test_students_get_questions_and_public_tests_alone(built, name):
    assert checking.leaks(SETS[name], built[name]) == []
    [student] = (built[name] / "student").iterdir()
    notebook = nbformat.read(student, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells)
    for question in SETS[name].questions:
        for test in question.tests:
            assert (f"def {test.function}(" in text) != test.hidden
    assert "SOLUTION" not in text and "wrong" not in json.dumps([cell.metadata for cell in notebook.cells])


def test_a_leak_is_found(built):
    name = next(iter(SETS))
    problem_set = SETS[name]
    student = built[name] / "student" / f"{name}.ipynb"
    clean = student.read_text()
    notebook = nbformat.reads(clean, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(problem_set.questions[0].solutions[0]))
    try:
        nbformat.write(notebook, student)
        assert any("its solution" in line for line in checking.leaks(problem_set, built[name]))
    finally:
        student.write_text(clean)


def test_secrets_do_not_depend_on_white_space():
    problem_set = next(iter(SETS.values()))
    _, secret = next((what, text) for what, text in secrets(problem_set, 2) if "solution" in what)
    spread = problem_set.questions[0].solutions[0].replace("\n", "\n\n   ")
    assert secret in squeezed(spread)


# what otter makes


@pytest.mark.parametrize("name", SETS)
def test_archives_hold_what_grading_needs(built, name):
    archive = built[name] / "teacher" / f"{name}-autograder.zip"
    with zipfile.ZipFile(archive) as zipped:
        files = set(zipped.namelist())
        script = zipped.read("run_otter.py").decode()
    assert {"run_autograder", "run_otter.py", "setup.sh", "environment.yml", "limits.py", "limit_cell.txt"} <= files
    assert "limits.grade" in script
    total, points = grading.possible_points(archive)
    assert total == 20 == sum(points.values())
    assert list(points) == [q.name for q in SETS[name].questions if not q.manual]


def test_the_grading_environment_keeps_torch():
    conda = environment()["dependencies"]
    [pip] = [entry["pip"] for entry in conda if isinstance(entry, dict)]
    assert any(entry.startswith("pytorch-cpu") for entry in conda if isinstance(entry, str))
    assert any(entry.startswith("deepid-lite @ git+https://") for entry in pip)
    assert not any("torch" in entry for entry in pip)


def test_a_wrong_answer_is_graded_here_and_as_gradescope_does(example, tmp_path, capsys):
    pytest.importorskip("otter", reason="make coursework needs otter-grader and never skips")
    problem_set = read_set(example)
    folder = build(problem_set, tmp_path)
    run = next(run for run in checking.runs_of(problem_set) if run.what == "wrong answers number 1")
    assert checking.prove(run, problem_set, folder, limit=60)[0] == []
    # Gradescope unpacks the archive into source/ and the hand-in into submission/, then runs run_otter.py
    place = tmp_path / "autograder"
    for name in ("source", "submission", "results"):
        (place / name).mkdir(parents=True)
    with zipfile.ZipFile(folder / "teacher" / "ps9_means-autograder.zip") as zipped:
        zipped.extractall(place / "source")
    (place / "submission_metadata.json").write_text("{}")
    nbformat.write(checking.notebook_of(run, folder), place / "submission" / "mine.ipynb")
    subprocess.run([sys.executable, place / "source" / "run_otter.py", place], check=True, capture_output=True)
    results = json.loads((place / "results" / "results.json").read_text())
    assert results["score"] == 1
    [question] = [test for test in results["tests"] if test["name"] == "q1"]
    assert "each column" in question["output"] and question["visibility"] == "after_published"


def test_public_tests_reach_a_student_who_has_only_the_notebook(built, tmp_path):
    name = "ps1_alignment"
    cells = nbformat.read(built[name] / "student" / f"{name}.ipynb", as_version=4).cells
    bring = next(cell.source for cell in cells if cell.source.startswith("# @title"))
    program = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for code in ({bring!r}, "area_by_ranks = lambda scores, same: 1.0", "print(grader.check('q7'))"):
    shell.run_cell(code).raise_error()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                          env=os.environ | {"IPYTHONDIR": str(tmp_path)})  # fmt: skip
    assert "the area is one half" in done.stdout, done.stderr
    assert "q7 - 2" not in done.stdout  # the hidden ones are not there


# limits, with a stand-in for otter


STAND_IN = """
import json, sys, time
cells = json.load(open(sys.argv[1]))["cells"]
sources = ["".join(cell["source"]) for cell in cells]
progress = eval(sources[0].rsplit("(", 1)[1].split(", ", 1)[1].rsplit(", [", 1)[0])
blocked = eval("[" + sources[0].rsplit("[", 1)[1].rstrip(")"))
for source in sources[1:]:
    json.dump({"cell": source}, open(progress, "w"))
    if source == "hang":
        time.sleep(60)
    if source == "die":
        sys.exit(3)
    if source == "ask" and "q2" not in blocked:
        json.dump({"question": "q2"}, open(progress, "w"))
        time.sleep(60)
json.dump({"score": 1, "tests": [{"name": "q1", "score": 1, "max_score": 1}]}, open(sys.argv[2], "w"))
"""


def graded(sources, tmp_path, **limit):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.nbformat_minor = 0  # as Colab writes it
    place, results = tmp_path / "notebook.ipynb", tmp_path / "results.json"
    return limits.grade(notebook, place, [sys.executable, "-c", STAND_IN, str(place), str(results)], results, **limit)


def test_a_notebook_that_dies_or_hangs_keeps_its_other_points(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "GRACE", 0.5)
    found = graded(["x = 1", "die", "hang", "ask"], tmp_path, limit=0.2, total=60)
    assert found["score"] == 1
    assert [note.split(";")[0] for note in found["notes"]] == [
        "cell 2 ended the kernel",
        "cell 3 could not be stopped",
        "q2: the answer could not be stopped in a test",
    ]


def test_what_cannot_be_saved_gets_a_zero_in_time(tmp_path):
    found = graded(["hang"], tmp_path, limit=60, total=0.5)
    assert found["score"] == 0 and found["tests"] == []
    assert "took longer than all of the time" in " ".join(found["notes"])


def test_the_alarm_ends_cells_and_tests_that_never_end(tmp_path):
    pytest.importorskip("otter", reason="make coursework needs otter-grader and never skips")
    source = limits.limited(nbformat.v4.new_notebook(), 0.3, tmp_path / "progress.json", ["q7"]).cells[0].source
    program = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell({source!r})
stubborn = "while True:\\n    try:\\n        for i in range(10**7): pass\\n    except Exception: pass"
for code in ("while True: pass", stubborn):
    print("cell:", type(shell.run_cell(code).error_in_exec).__name__)
from otter.test_files import exception_test
text = '''
from otter.test_files import test_case
name = "NAME"
points = 3
@test_case(points=1, hidden=True, failure_message="look")
def test_a(f):
    f("loop")
@test_case(points=1, hidden=True)
def test_b(f):
    f("exit")
@test_case(points=1, hidden=True)
def test_c(f):
    assert f("fine") == 1
'''
def f(what):
    while what == "loop":
        pass
    if what == "exit":
        raise SystemExit
    return 1
for name in ("q1", "q7"):
    file = exception_test.ExceptionTestFile.from_string(text.replace("NAME", name))
    shell.user_ns.update(file=file, f=f)
    shell.run_cell("file.run(dict(f=f))").raise_error()
    print(name, file.score, [result.message.splitlines()[-1][:40] for result in file.test_case_results])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          env=os.environ | {"IPYTHONDIR": str(tmp_path)})  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith(("cell", "q"))]
    assert told[:2] == ["cell: TimeoutError", "cell: Stopped"], done.stderr
    assert told[2].startswith("q1 1 ['TimeoutError: stopped after 0.3 seconds")
    assert "RuntimeError: SystemExit" in told[2]
    assert told[3].startswith("q7 0 ")


# hand-ins that a class brings


def test_hand_ins_that_cannot_be_graded_are_told_in_one_line(tmp_path, capsys):
    Path(tmp_path, "broken.ipynb").write_text("{")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "other.ipynb")
    assert main(["grade", str(tmp_path), "--out", str(tmp_path / "graded")]) == 1
    told = capsys.readouterr().out.splitlines()
    assert any("broken.ipynb: no notebook" in line for line in told)
    assert any("other.ipynb: which set is it? Name it with --set" in line for line in told)
    rows = (tmp_path / "graded" / "points.csv").read_text().splitlines()
    assert rows[0].startswith("notebook,set,points") and len(rows) == 3


def test_unknown_sets_are_told(capsys):
    assert main(["check", "ps77"]) == 1
    assert "ps77: no such set; there are ps1" in capsys.readouterr().err
