"""deepid track, as a user runs it: a table of boxes, a run that is killed and goes on, one line for what is wrong."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deepid_lite.cli.main import app
from deepid_lite.cli.tracking import read_box
from deepid_lite.errors import DataError
from deepid_lite.papers.tracking.videos import make_video


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder of 200 frames, there and back, and the box of the first."""
    video = make_video(2, "held_out", 20)
    folder = tmp_path_factory.mktemp("video") / "frames"
    folder.mkdir()
    for number in range(200):
        Image.fromarray(video.frames[abs((number + 19) % 38 - 19)]).save(folder / f"{number:04d}.png")
    return folder, ",".join(f"{v:.1f}" for v in video.boxes[0])


def command(folder, box, out, *more):
    return [sys.executable, "-m", "deepid_lite", "track", str(folder), "--box", box, "--out", str(out), *more]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*words):
    return CliRunner().invoke(app, ["track", *map(str, words)])


def test_a_killed_run_goes_on_to_the_same_boxes(drawn, tmp_path):
    folder, box = drawn
    out, whole = tmp_path / "boxes.csv", tmp_path / "whole.csv"
    checkpoint = tmp_path / "boxes.csv.safetensors"
    started = subprocess.Popen(command(folder, box, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not checkpoint.is_file() and started.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert started.poll() is None and checkpoint.is_file(), "killed after the first checkpoint, before the end"
    os.kill(started.pid, signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL and not out.exists()
    before = checkpoint.stat().st_mtime_ns
    again = subprocess.run(command(folder, box, out), capture_output=True, text=True)
    assert again.returncode == 0 and "200 frames, 0 of them skipped" in again.stdout and before
    assert subprocess.run(command(folder, box, whole), capture_output=True).returncode == 0
    assert out.read_bytes() == whole.read_bytes()
    found = rows(out)
    assert len(found) == 200 and found[0]["by"] == "truth" and found[0]["confidence"] == ""
    assert {row["by"] for row in found[1:]} <= {"upper", "lower"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.csv", "whole.csv"], "nothing is left behind"


@pytest.fixture
def few(drawn, tmp_path):
    """Five frames of it."""
    folder, box = drawn
    (tmp_path / "few").mkdir()
    for path in sorted(folder.iterdir())[:5]:
        (tmp_path / "few" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "few", box


def test_json_has_the_same_rows_and_broken_frames_are_named(few, tmp_path):
    folder, box = few
    (folder / "0002.png").write_bytes(b"\x89PNG\r\n cut")
    said = run(folder, "--box", box, "--out", tmp_path / "b.json")
    assert said.exit_code == 0 and "skipped: " in said.output and "0002.png" in said.output
    assert "5 frames, 1 of them skipped" in said.output
    found = json.loads((tmp_path / "b.json").read_text())
    assert run(folder, "--box", box, "--out", tmp_path / "b.csv").exit_code == 0
    table = rows(tmp_path / "b.csv")
    assert [row["by"] for row in found["frames"]] == [row["by"] for row in table] and len(found["skipped"]) == 1
    for one, other in zip(found["frames"], table, strict=True):
        assert [one[k] for k in "xywh"] == [float(other[k]) for k in "xywh"]
    assert found["frames"][2]["confidence"] is None and found["frames"][2]["x"] == found["frames"][1]["x"]


def test_what_is_wrong_is_one_line_and_nothing_is_written(few, tmp_path):
    folder, box = few
    other = np.asarray(Image.open(folder / "0003.png"))[:90]
    cases = {
        "outside the frame of 192 x 144": ([folder, "--box", "900,5,30,30"], None),
        "give left,top,width,height": ([folder, "--box", "1,2,3"], None),
        "boxes.txt: a table of boxes ends in .csv or .json": (
            [folder, "--box", box, "--out", tmp_path / "boxes.txt"],
            None,
        ),
        "lies among the frames": ([folder, "--box", box, "--out", folder / "boxes.csv"], None),
        "no such file": ([tmp_path / "nothing", "--box", box], None),
        "0003.png: 192 x 90 pixels, the first frame has 192 x 144": ([folder, "--box", box], other),
    }
    for says, (words, last) in cases.items():
        if last is not None:
            Image.fromarray(last).save(folder / "0003.png")
        words = words if "--out" in words else [*words, "--out", tmp_path / "b.csv"]
        found = run(*words)
        assert isinstance(found.exception, DataError), says
        assert says in str(found.exception) and "\n" not in str(found.exception)
        assert not [path for path in tmp_path.rglob("*") if path.suffix in (".csv", ".txt", ".safetensors")]


@pytest.mark.parametrize("name", ["b.csv", "b.json"])
def test_a_frames_name_that_no_encoding_holds_is_escaped(few, tmp_path, name):
    folder, box = few
    os.rename(folder / "0002.png", os.fsencode(folder) + b"/0002\xe9.png")
    assert run(folder, "--box", box, "--out", tmp_path / name).exit_code == 0
    assert b"0002\\" in (tmp_path / name).read_bytes() and (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"])
def test_a_box_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="--box .*: give left,top,width,height"):
        read_box(text)
    assert read_box("57, 21,31,45.5") == [57, 21, 31, 45.5]
