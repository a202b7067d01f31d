"""The wheel holds what the tree holds, and its commands run from an empty folder in an environment of their own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from samples import write_people

import deepid_lite

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """
epochs = 1
batch_size = 24
precision = "fp32"
[net]
maps = 4
dimension = 16
batch_norm = true
[verification]
normalise = true
"""


def run(*words, **options):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of all that a build reads, since a build leaves folders behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("deepid_lite", "book/results"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", *(path.name for path in ROOT.glob("LICENSE*"))):
        shutil.copy(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", out, source)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of a fresh environment: the wheel is installed, all that it needs comes from the running one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # A path that a .pth file names is searched last, and its own .pth files, an editable install's, are not read.
    (own / "running.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def deepid(python, tmp_path_factory):
    """Runs the command that the wheel installed, in a folder that holds nothing but a few people and a recipe."""
    folder = tmp_path_factory.mktemp("user")
    write_people(folder / "faces", 40, 4)
    (folder / "small.toml").write_text(RECIPE, encoding="utf-8")
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DEEPID", "COV"))}
    # the cache stays the user's own: drawing the people of `reproduce` takes a minute
    variables |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    command = python.with_name("deepid")

    def deepid(*words):
        return run(command, *words, cwd=folder, env=variables, timeout=300)

    deepid.folder, deepid.variables = folder, variables
    return deepid


@pytest.fixture(scope="module")
def model(deepid):
    """Trained for one epoch on people, some of whom are held out: this reads presets/flagged.txt."""
    words = ("train", "--data", "faces", "--preset", "small.toml", "--out", "run", "--device", "cpu")
    assert "run/model.safetensors: written" in deepid(*words)
    return "run/model.safetensors"


def test_the_wheel_holds_the_files_of_the_tree(source, wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in held if ".dist-info/" in name}
    package = {path.relative_to(source) for path in (source / "deepid_lite").rglob("*") if path.is_file()}
    recorded = {path.relative_to(source / "book" / "results") for path in (source / "book" / "results").rglob("*.json")}
    assert recorded and {"presets", "weights", "shipped", "widgets"} < {path.parts[1] for path in package}
    expected = {path.as_posix() for path in package} | {f"deepid_lite/recorded/{p.as_posix()}" for p in recorded}
    assert held - metadata == expected
    assert {Path(name).name for name in metadata} >= {path.name for path in source.glob("LICENSE*")}


def test_the_wheel_is_what_is_imported(python, deepid):
    where = run(
        python, "-c", "import deepid_lite; print(deepid_lite.__file__)", cwd=deepid.folder, env=deepid.variables
    )
    assert Path(where.strip()).is_relative_to(python.parent.parent)


def test_version(deepid):
    assert deepid("--version") == f"deepid {deepid_lite.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("info lite", "conv4"),
        ("data faces", "160 images of 40 people"),
        ("regions list", "whole face"),
        ("claims", "NOT TESTED"),
    ],
)
def test_reading(deepid, words, said):
    assert said in deepid(*words.split())


def test_evaluating_what_was_trained(deepid, model):
    found = json.loads(deepid("evaluate", "--model", model, "--data", "faces", "--json", "-"))
    assert found["images"] == 160 and found["net"]["people"] < 40


def test_exporting(deepid, model):
    assert deepid("export", "--model", model, "--out", "net.onnx").strip() == "net.onnx"
    assert (deepid.folder / "net.onnx").stat().st_size > 10_000


def test_searching(deepid, model):
    deepid("search", "build", "gallery", "--faces", "faces", "--model", model)
    answer = deepid("search", "query", "gallery", "--image", "faces/p00/0.png", "--k", "1")
    assert "p00/0.png" in answer.splitlines()[-1]


def test_reproducing(deepid, model):
    assert deepid("reproduce", "fig6", "--model", model).split() == [
        "runs/reproduce/lite/sparsity.json",
        "runs/reproduce/lite/fig6.png",
    ]
