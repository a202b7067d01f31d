"""The problem sets' form, secrecy and machinery. `make coursework` grades every answer; here are the fast checks."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "coursework" / "_tools"
sys.path.insert(0, str(TOOLS))

import checking  # noqa: E402
import class_grading  # noqa: E402
import grading  # noqa: E402
import handins  # noqa: E402
import limits  # noqa: E402
import rules  # noqa: E402
import sandbox  # noqa: E402
from assign import build, environment  # noqa: E402
from gradebook import Gradebook  # noqa: E402
from problem_sets import SetError, faults, find_sets, read_set, secrets, squeezed, without  # noqa: E402

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


def test_there_are_six_sets():
    assert [name.split("_")[0] for name in SETS] == ["ps1", "ps2", "ps3", "ps4", "ps5", "ps6"]


def test_the_readme_lists_them():
    assert re.findall(r"^\| \[ps\d\]\((\w+/\w+\.md)\)", README, re.M) == [f"{name}/{name}.md" for name in SETS]


@pytest.mark.parametrize("problem_set", SETS.values(), ids=SETS)
def test_sets_follow_the_rules(problem_set):
    assert faults(problem_set) == []
    assert problem_set.points + problem_set.by_hand == 20


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
        assert b"mamba env create" in (setup := zipped.read("setup.sh")) and b"playwright" not in setup
    ours = {"limits.py", "sandbox.py", "limit_cell.txt"}
    assert {"run_autograder", "run_otter.py", "setup.sh", "environment.yml"} | ours <= files
    assert "limits.grade" in script
    points, tested = grading.test_points(archive), [q for q in SETS[name].questions if not q.manual]
    assert points == {q.name: [t.points for t in q.tests] for q in tested}
    assert sum(map(sum, points.values())) == SETS[name].points
    assert rules.forbidden(archive) == {q.name: q.forbids for q in tested}


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


def test_questions_can_be_left_out(tmp_path):
    pytest.importorskip("otter", reason="make coursework needs otter-grader and never skips")
    shorter = without(SETS["ps1_alignment"], ["q7", "q8"])
    folder = build(shorter, tmp_path)
    assert shorter.points == 20 - 5 == sum(map(sum, grading.test_points(next(folder.glob("teacher/*.zip"))).values()))
    text = next(folder.glob("student/*")).read_text()
    assert "Question 6" in text and "Question 7" not in text and "area_by_ranks" not in text
    with pytest.raises(SetError, match="no question q77"):
        without(SETS["ps1_alignment"], ["q77"])


# what a test does to an answer


def fair(forbidden=(), **answers):
    scope = {"FORBIDDEN": list(forbidden)}
    exec((TOOLS / "fair.txt").read_text(), scope)
    return scope["fair"](**answers)


def test_answers_get_copies_and_give_arrays():
    def double(x, pair):
        x *= 2
        pair[0][:] = 0
        return x.tolist(), [[1, 2], [3]], "word"

    x, pair = np.arange(6.0).reshape(2, 3), [np.ones(2)]
    (answer,) = fair(double=double)
    array, ragged, word = answer(x, pair=pair)
    assert np.array_equal(array, 2 * x) and array.shape == (2, 3) and isinstance(array, np.ndarray)
    assert ragged == [[1, 2], [3]] and word == "word"
    assert np.array_equal(x, np.arange(6.0).reshape(2, 3)) and np.array_equal(pair[0], [1, 1])
    answer.itself(x, pair)
    assert x[0, 1] == 2 and pair[0][0] == 0


def test_what_is_missing_is_named():
    with pytest.raises(AssertionError, match="there is no area"):
        fair(area=None)
    (area,) = fair(area=lambda x: print(x))
    with pytest.raises(AssertionError, match="area returns nothing"):
        area(1)


def test_forbidden_names_are_out_of_reach_while_an_answer_runs():
    scope = {"np": np}
    exec("def helper(x):\n    return x.sum()\n\n\ndef answer(x):\n    return helper(x) + np.size(x)", scope)
    for name in ("helper", "np"):
        (answer,) = fair([name], answer=scope["answer"])
        with pytest.raises(AssertionError, match=f"{name} is not allowed"):
            answer(np.ones(3))
    assert scope["answer"](np.ones(3)) == 6  # afterwards they are back


@pytest.mark.parametrize(("code", "used"), [
    ("import scipy.stats as st\ndef f(x): return st.rankdata(x)", "scipy.stats.rankdata"),
    ("from scipy.stats import rankdata as r\ndef f(x): return r(x)", "scipy.stats.rankdata"),
    ("def f(x):\n    from sklearn import metrics\n    return metrics.roc_auc_score(x, x)", "sklearn.metrics"),
    ("def f(x): return np.bitwise_count(x)", "numpy.bitwise_count"),
    ("def f(x): return sum(v for v in x)", rules.LOOPS),
])  # fmt: skip
def test_forbidden_names_are_seen_through_imports(code, used):
    found = rules.used_names(code, rules.imports("import numpy as np\n" + code))
    assert any(name == used or name.startswith(used + ".") for name in found)
    assert not any(name.startswith("scipy.linalg") for name in found)


# limits, with a stand-in for otter


STAND_IN = """
import json, sys, time
cells = json.load(open(sys.argv[1]))["cells"]
sources = ["".join(cell["source"]) for cell in cells]
progress = eval(sources[0].rsplit("(", 1)[1].split(", ", 2)[2].rsplit(", [", 1)[0])
blocked = eval("[" + sources[0].rsplit("[", 1)[1].rstrip(")"))
for number, source in enumerate(sources[1:], 1):
    json.dump({"cell": number}, open(progress, "w"))
    if source == "hang":
        time.sleep(60)
    if source == "die":
        sys.exit(3)
    for test in ("q2 - 1", "q2 - 2", "q2 - 3") if source == "ask" and "q2" not in blocked else ():
        if test not in blocked and test != "q2 - 1":
            json.dump({"cell": number, "question": "q2", "test": test}, open(progress, "w"))
            time.sleep(60)
json.dump({"score": 1, "tests": [{"name": "q1", "score": 1, "max_score": 1}]}, open(sys.argv[2], "w"))
"""


def graded(sources, tmp_path, limit, total):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.nbformat_minor = 0  # as Colab writes it
    place, results, progress = (tmp_path / name for name in ("notebook.ipynb", "results.json", "progress.json"))

    def once(fenced, deadline):
        progress.unlink(missing_ok=True)
        nbformat.write(fenced(progress), place)
        command = [sys.executable, "-c", STAND_IN, place, results]
        return limits.attempt(sandbox.supervise(command, progress, limit, deadline), results, progress)

    return limits.grade(notebook, once, limit, total)


def test_a_notebook_that_dies_or_hangs_keeps_its_other_points(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "GRACE", 0.5)
    found = graded(["x = 1", "die", "hang", "ask"], tmp_path, limit=0.2, total=60)
    assert found["score"] == 1
    assert [note.split(";")[0] for note in found["notes"][:4]] == [
        "cell 2 ended the kernel",
        "cell 3 could not be stopped",
        "q2 - 2: the answer could not be stopped in a test",
        "q2: the answer could not be stopped in a test",
    ]


def test_what_cannot_be_saved_gets_a_zero_in_time(tmp_path):
    found = graded(["hang"], tmp_path, limit=60, total=0.5)
    assert found["score"] == 0 and found["tests"] == []
    assert "took longer than all of the time" in " ".join(found["notes"])


def test_no_cell_is_taken_out_twice():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in ("a", "", "b", "b", "c")])
    seen = {"cell": 3}  # what cell "a" began ends the kernel in the third cell that runs, always
    told = [limits.take_out(notebook, seen, "ended the kernel", []) for _ in range(4)]
    assert [text and text.split(" ended")[0] for text in told] == ["cell 4", "cell 3", "cell 1", None]
    assert notebook.cells[4].source == "c"


WATCHED = """
from otter.test_files import test_case
OK_FORMAT = False
name = "NAME"
points = 4
@test_case(points=1, hidden=True, failure_message="look")
def test_a(f):
    f("loop")
@test_case(points=1, hidden=True)
def test_b(f):
    f("loop")
@test_case(points=1, hidden=True)
def test_c(f):
    f("exit")
@test_case(points=1, hidden=True)
def test_d(f):
    import json
    import numpy as np
    assert f("fine") == 1 and json.load(open("progress.json"))["test"] == "q1 - 4"
    assert not np.allclose(0, 1)
"""

TAMPER = """
import numpy as np
from otter.test_files import exception_test
np.allclose = lambda *a: True
exception_test.test_case.call_func = lambda self, env: None
exception_test.ExceptionTestFile.run = lambda self, env: None
text = open("tests/q1.py").read()
open("tests/q1.py", "w").write(text.replace("f(", "print("))
"""


def test_the_watch_stops_loops_and_keeps_the_tests_as_they_were(tmp_path):
    pytest.importorskip("otter", reason="make coursework needs otter-grader and never skips")
    (tmp_path / "tests").mkdir()
    for name in ("q1", "q7", "q8"):
        (tmp_path / "tests" / f"{name}.py").write_text(WATCHED.replace("NAME", name))
    watch = limits.limited(nbformat.v4.new_notebook(), 0.3, "progress.json", ["q7 - 1", "q8"]).cells[0].source
    program = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell({watch!r})
stubborn = "while True:\\n    try:\\n        for i in range(10**7): pass\\n    except Exception: pass"
for code in ("while True: pass", stubborn, "exit()", "import time; time.sleep(9)", {TAMPER!r}):
    print("cell:", type(shell.run_cell(code).error_in_exec).__name__)
from otter.test_files import exception_test
def f(what):
    while what == "loop":
        pass
    if what == "exit":
        raise SystemExit
    return 1
for name in ("q1", "q7", "q8"):
    run = "file = exception_test.ExceptionTestFile.from_file(f'tests/" + name + ".py'); file.run(dict(f=f))"
    shell.user_ns.update(f=f, exception_test=exception_test)
    shell.run_cell(run).raise_error()
    file = shell.user_ns["file"]
    print(name, file.score, [result.message.splitlines()[-1][:40] for result in file.test_case_results])
print("seen:", open("progress.json").read())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=tmp_path,
                          env=os.environ | {"IPYTHONDIR": str(tmp_path)})  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith(("cell", "q", "seen"))]
    assert told[:5] == ["cell: TimeoutError", "cell: Stopped", "cell: RuntimeError", "cell: TimeoutError",
                        "cell: NoneType"], done.stderr  # fmt: skip
    # two loops and an exit cost their own tests; the fourth runs as it was written, with NumPy as it was
    assert told[5].startswith("q1 1 ['TimeoutError: stopped after 0.3 seconds")
    assert "RuntimeError: SystemExit" in told[5]
    assert told[6].startswith("q7 0 ['RuntimeError: the grader took this test") and "TimeoutError" in told[6]
    assert told[7].startswith("q8 0 ") and told[7].count("the grader took this test") == 4
    seen = json.loads(told[8].removeprefix("seen: "))
    assert {"numpy.allclose", "test_case.call_func", "ExceptionTestFile.run", "tests/q1.py"} <= set(seen["changed"])
    assert "exit and quit" in seen["stopped"]["3"] and len(seen["stopped"]) == 4


# each apart from the others


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    open("pid", "w").write(str(os.getpid()))
    time.sleep(60)
while not os.path.exists("pid"):
    time.sleep(0.01)
"""


def test_nothing_of_a_run_is_left():
    with sandbox.Scratch() as scratch:
        start, progress = time.monotonic(), scratch.work / "progress.json"
        scratch.run([sys.executable, "-c", DAEMON], progress, 60, start + 30)
        pid = sandbox.read_text(scratch.work / "pid")
        assert pid.isdigit() and not Path("/proc", pid).exists()
        trouble, _ = scratch.run([sys.executable, "-c", "import time; time.sleep(60)"], progress, 60, start + 2)
        assert trouble == "took longer than all of the time" and time.monotonic() - start < 30
    assert not scratch.folder.exists()


WRITE = """
import sys
for place in sys.argv[1:]:
    try:
        open(place, "w")
        print("wrote", place)
    except PermissionError:
        pass
"""


def test_where_the_grader_is_root_a_run_writes_in_its_own_folder_only(tmp_path):
    with sandbox.Scratch() as scratch:
        places = ["own", tmp_path / "other", scratch.folder / "notebook.ipynb"]
        _, said = scratch.run([sys.executable, "-c", WRITE, *places], scratch.work / "p", 60, time.monotonic() + 30)
    assert said.split("\n")[0] == "wrote own"
    assert (said.count("wrote") == 1) == bool(sandbox.apart())  # else the teacher is warned


def test_files_of_strangers_are_read_with_care(tmp_path):
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    assert [sandbox.read_text(tmp_path / name) for name in ("secret", "link", "pipe", "none")] == ["{}", "", "", ""]
    (tmp_path / "list").write_text("[1]")
    assert limits.read_json(tmp_path / "list") == {} == limits.read_json(tmp_path / "pipe")


def test_points_that_the_messages_deny_are_not_given(tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("tests/q1.py", "@test_case(points=0, hidden=False)\n@test_case(points=2, hidden=True)\n")
    output = "q1 results:\n    q1 - 2 message: look at the sign\n\n    q1 - 2 result:\n        ❌ Test case failed"
    found = {"tests": [{"name": "q1", "score": 2, "max_score": 2, "output": output}],
             "notes": [], "causes": {}, "changed": [], "stopped": {}, "seconds": 1}  # fmt: skip
    got = grading.report(found, archive)
    assert got["points"] == 0 and got["questions"]["q1"]["messages"] == ["look at the sign"]
    assert "q1 has 2 points in the results" in got["suspicions"][0]


def test_a_class_is_graded_apart_told_and_taken_up_again(example, tmp_path, capsys):
    pytest.importorskip("otter", reason="make coursework needs otter-grader and never skips")
    folder = build(read_set(example), tmp_path / "built")
    solved = nbformat.read(folder / "teacher" / "ps9_means-solution.ipynb", as_version=4)
    student = nbformat.read(folder / "student" / "ps9_means.ipynb", as_version=4)
    first = next(i for i, cell in enumerate(solved.cells) if "def centre" in cell.source)
    solved.cells.insert(first, nbformat.v4.new_code_cell("exit()"))
    student.cells.insert(3, nbformat.v4.new_code_cell(TAMPER))
    for name, notebook in ("Ann", solved), ("Eve", student):
        (tmp_path / "class" / name).mkdir(parents=True)
        nbformat.write(notebook, tmp_path / "class" / name / "ps9_means.ipynb")
    (tmp_path / "roster.csv").write_text("Student,Email\nAnn,ann@x\nEve,eve@x\nZoe,zoe@x\n")
    out = tmp_path / "graded"
    grade = {"out": out, "roster": handins.read_roster(tmp_path / "roster.csv"), "output": tmp_path / "built"}
    assert class_grading.grade_all([tmp_path / "class"], **grade) == 0
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO((out / "points.csv").read_text()))}
    assert rows["Ann"]["points"] == "3" and rows["Ann"]["note"] == ""
    assert rows["Eve"]["points"] == "0" and "changed test_case.call_func" in rows["Eve"]["note"]
    assert rows["Zoe"]["note"] == "nothing handed in"
    page = (out / "ps9_means" / "feedback" / "Eve.md").read_text()
    assert "**q1: 0 of 3**" in page and "- centre returns nothing" in page and "call_func" not in page
    capsys.readouterr()
    assert class_grading.grade_all([tmp_path / "class"], **grade) == 0  # nothing is graded twice
    told = capsys.readouterr().out
    assert "2 were graded before" in told and "of 3 points" not in told


# hand-ins that a class brings


def test_hand_ins_that_cannot_be_graded_are_told_in_one_line(tmp_path, capsys):
    Path(tmp_path, "broken.ipynb").write_text("{")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "other.ipynb")
    assert main(["grade", str(tmp_path), "--out", str(tmp_path / "graded")]) == 1
    told = capsys.readouterr().out.splitlines()
    assert any("broken.ipynb: no notebook" in line for line in told)
    assert any("other.ipynb: which set is it? Name it with --set" in line for line in told)
    rows = (tmp_path / "graded" / "points.csv").read_text().splitlines()
    assert rows[0].startswith("student,id,set,points") and len(rows) == 3


def test_unknown_sets_are_told(capsys):
    assert main(["check", "ps77"]) == 1
    assert "ps77: no such set; there are ps1" in capsys.readouterr().err


@pytest.mark.parametrize(("paths", "students"), [
    (["anna.ipynb", "ben.ipynb"], ["anna", "ben"]),
    (["Ann Lee_12_assignsubmission_file/ps1.ipynb", "Bo_7_assignsubmission_file/ps1.ipynb"], ["Ann Lee 12", "Bo 7"]),
    (["ps1-submissions/ps1-anna/ps1.ipynb", "ps1-submissions/ps1-ben/ps1.ipynb"], ["anna", "ben"]),
    (["leeann_LATE_31_99_ps1_alignment.ipynb", "bo_32_98_ps1_alignment-1.ipynb"], ["bo 32", "leeann 31"]),
    (["Ann/ps1.ipynb", "Ann/.ipynb_checkpoints/ps1.ipynb", "__MACOSX/Ann/ps1.ipynb"], ["Ann"]),
])  # fmt: skip
def test_students_are_told_from_the_names_that_moodle_github_and_canvas_give(tmp_path, paths, students):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as zipped:
        for path in paths:
            (tmp_path / "all" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "all" / path).write_text("{}")
            zipped.writestr(path, "{}")
    for place in ("all", "all.zip"):
        found = handins.find([tmp_path / place])
        assert sorted(f"{handin.student} {handin.id}".strip() for handin in found) == students


def test_folders_that_a_shell_names_one_by_one_are_students(tmp_path):
    for name in ("anna", "ben"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ps1_alignment.ipynb").write_text("{}")
    assert [handin.student for handin in handins.find(sorted(tmp_path.iterdir()))] == ["anna", "ben"]


@pytest.mark.parametrize(("text", "student", "number"), [
    ('Student,ID,SIS User ID,SIS Login ID,Section\n"Lee, Ann",31,x,alee,S\n', "leeann", "31"),
    ("First name;Surname;Email address\nAnn;Lee;ann@x.org\n", "Ann Lee", ""),
    ("identifier,github_username,github_id,name\nlee,annlee,5,\n", "annlee", ""),
    ("Name\nÄnn Lée\n", "ann_lee", ""),
])  # fmt: skip
def test_hand_ins_find_their_student_in_the_roster(tmp_path, text, student, number):
    (tmp_path / "class.csv").write_text(text, encoding="utf-8-sig")
    roster = handins.read_roster(tmp_path / "class.csv")
    assert roster.of(student, number) is roster.rows[0]
    assert roster.of("somebody else") is None


def test_tables_for_canvas_moodle_and_the_teacher(tmp_path):
    (tmp_path / "class.csv").write_text('Student,ID,SIS User ID,SIS Login ID,Section\n"Lee, Ann",31,u,alee,S\n')
    book = Gradebook(tmp_path / "graded", handins.read_roster(tmp_path / "class.csv"))
    facts = {"points": 1.5, "possible": 2.0, "messages": ["=look"], "causes": [], "otter": ""}
    row = {"set": "ps1", "points": 1.5, "possible": 2.0, "questions": {"q1": facts}, "notes": [], "suspicions": []}
    book.add(handins.HandIn("leeann", "leeann_31_9_ps1.ipynb", b"", "31"), row, "key")
    book.add(handins.HandIn("=cmd", "x.ipynb", b"", ""), row)

    def lines(name):
        return list(csv.DictReader(io.StringIO((tmp_path / "graded" / "ps1" / name).read_text())))

    canvas = lines("canvas.csv")
    assert list(canvas[0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "ps1"]
    assert canvas[0]["Student"].strip() == "Points Possible" and canvas[0]["ps1"] == "2"
    lee = {"Student": "Lee, Ann", "ID": "31", "SIS User ID": "u", "SIS Login ID": "alee", "Section": "S", "ps1": "1.5"}
    assert lee in canvas
    moodle = lines("moodle.csv")
    assert {"Participant 31", ""} == {line["Identifier"] for line in moodle} and moodle[0]["Grade"] == "1.5"
    points = {line["student"]: line for line in lines("points.csv")}
    assert points["Lee, Ann"]["q1"] == "1.5" and points["'=cmd"]["note"] == "not in the roster"
    again = handins.HandIn("leeann", "elsewhere.ipynb", b"", "31")
    assert book.earlier(again, "ps1", "key")["points"] == 1.5 and book.earlier(again, "ps1", "other key") is None


def test_a_student_who_hands_in_a_set_twice_is_told(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('\nPROBLEM_SET = "ps9_means"\n')])
    (tmp_path / "built" / "ps9_means" / "teacher").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "built" / "ps9_means" / "teacher" / "ps9_means-autograder.zip", "w"):
        pass
    (tmp_path / "class" / "Ann").mkdir(parents=True)
    for name in ("a", "b"):
        nbformat.write(notebook, tmp_path / "class" / "Ann" / f"{name}.ipynb")
    found = handins.find([tmp_path / "class"])
    jobs, refused = class_grading.sort_out(found, None, tmp_path / "built")
    assert len(jobs) == 1 and "Ann handed in this set twice" in refused[0][1]


def test_hand_ins_and_rosters_that_cannot_be_read_are_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "class.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ana/ps1.ipynb", os.urandom(5000).hex())
    content = bytearray((tmp_path / "class.zip").read_bytes())
    content[200:2000] = bytes(1800)
    (tmp_path / "broken.zip").write_bytes(content)
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name in ("broken.zip", "pipe.ipynb", "none.ipynb"):
        with pytest.raises(SetError, match=name) as error:
            handins.find([tmp_path / name])
        assert "\n" not in str(error.value)
    (tmp_path / "class.csv").write_text("Student\n" + "a" * 200_000 + "\n")
    with pytest.raises(SetError, match=r"class.csv: no table"):
        handins.read_roster(tmp_path / "class.csv")
