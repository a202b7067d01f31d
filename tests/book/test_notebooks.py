"""The two notebooks that users bring data to: a training that is killed goes on, and their pages say what they must."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_tools"))

from book_source import chapters, notebooks  # noqa: E402

OWN = ["own_faces", "train_on_gpu", "systems"]


def code_of(name):
    """The code cells of a twin, each a text."""
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def prose_of(name):
    """The text of a twin, with single spaces for line ends."""
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    return " ".join(" ".join(cell.source for cell in cells if cell.cell_type == "markdown").split())


def test_they_are_notebooks_without_a_number():
    assert notebooks() == chapters() + OWN


def test_consent_comes_before_the_pictures_and_deletion_last():
    text = prose_of("own_faces")
    asked = text.index("**Ask.**")
    assert asked < text.index("## Choose the pictures") < text.index("## Delete everything")
    for promise in ("sends nothing on", "Clear all outputs", "delete runtime"):
        assert promise in text + "".join(code_of("own_faces"))
    assert "shutil.rmtree(work" in code_of("own_faces")[-1]


def test_switch_stands_right_behind_the_setup():
    assert code_of("train_on_gpu")[1].startswith('DATA = "synthetic"')
    assert code_of("own_faces")[1].startswith('FACES = "synthetic"')


# --- training that is cut off ---


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """(folder, first rows of the log): the notebook's code, killed with SIGKILL in the middle of its training."""
    folder = tmp_path_factory.mktemp("colab")
    # a session is over at any moment: as soon as there is a checkpoint, well before the training's end
    process = start(folder)
    checkpoint = folder / "deepid_runs" / "synthetic-1" / "whole-face" / "checkpoint.safetensors"
    deadline = time.monotonic() + 300
    while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    _, complaints = process.communicate()
    assert checkpoint.is_file(), complaints[-2000:]
    assert not (checkpoint.parent / "weights.safetensors").exists(), "it was finished before it was killed"
    return folder, rows_of(folder)


def start(folder):
    """Run the notebook's cells as one program, in a session of its own."""
    program = folder / "notebook.py"
    program.write_text("\n\n".join(code_of("train_on_gpu")), encoding="utf-8")
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, program.name],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def rows_of(folder):
    with open(folder / "deepid_runs" / "synthetic-1" / "whole-face" / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_second_session_goes_on_where_the_first_was_killed(killed):
    folder, before = killed
    process = start(folder)
    said, complaints = process.communicate(timeout=500)
    assert process.returncode == 0, complaints[-2000:]
    assert "whole face: goes on from its checkpoint" in said
    after = rows_of(folder)
    # the first rows hold the speed of the first session: a run that began again would have written others
    assert before and after[0] == before[0]
    steps = [int(row["step"]) for row in after]
    assert steps == sorted(set(steps)) and steps[-1] > int(before[-1]["step"])
    assert "verification, Joint Bayesian" in said
    left = {path.name for path in (folder / "deepid_runs" / "synthetic-1").rglob("*") if path.is_file()}
    assert left == {"plan.json", "synthetic.json", "log.csv", "weights.safetensors", "model.safetensors"}
