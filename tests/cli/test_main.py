"""The command line as a user runs it: it trains, measures, and says what is wrong in one line with exit code 2."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from samples import write_people

from deepid_lite import __version__
from deepid_lite.cli.checks import check_output, check_outputs
from deepid_lite.cli.faults import exit_code, explain, resumable
from deepid_lite.errors import DataError

RECIPE = """
epochs = 2
batch_size = 24
weight = 0.5
precision = "fp32"
[net]
maps = 4
dimension = 16
batch_norm = true
[verification]
normalise = true
"""


def deepid(*words, folder, launcher=(), **environment):
    run = [sys.executable, *launcher, "-m", "deepid_lite", *map(str, words)]
    variables = variables_of(folder, **environment)
    return subprocess.run(run, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)


def variables_of(folder, **environment):
    variables = {
        **os.environ,
        "DEEPID_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
        **environment,
    }
    variables.pop("DEEPID_DATA", None)
    return variables


def refused(done):
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("deepid: "), done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    write_people(folder / "faces", 16, 6)
    write_people(folder / "few", 12, 2)
    (folder / "small.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def trained(place):
    done = deepid("train", "--data", "faces", "--preset", "small.toml", "--out", "run", "--device", "cpu", folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "run"


def test_help_names_the_commands(place):
    done = deepid("--help", folder=place)
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("data", "train", "evaluate", "info"))


def test_data_says_what_is_there(place):
    done = deepid("data", "faces", folder=place)
    assert done.returncode == 0 and "96 images of 16 people" in done.stdout


def test_training_leaves_a_model_and_a_log(trained):
    assert (trained / "model.safetensors").is_file() and (trained / "log.csv").is_file()
    assert not list(trained.glob("*.tmp")) and not (trained / "checkpoint.safetensors").exists()


def test_two_processes_write_one_model(place):
    """torchrun as a user types it: one log, one model, nothing half-written, and the model can be read."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    words = ("train", "--data", "faces", "--preset", "small.toml", "--out", "two", "--device", "cpu")
    done = deepid(*words, folder=place, launcher=torchrun, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("written after") == 1
    assert sorted(path.name for path in (place / "two").iterdir()) == [
        "log.csv",
        "model.safetensors",
        "weights.safetensors",
    ]
    assert "trained on: faces" in deepid("info", "two/model.safetensors", folder=place).stdout


def test_info_shows_the_card(place, trained):
    done = deepid("info", trained / "model.safetensors", folder=place)
    assert done.returncode == 0 and "trained on: faces" in done.stdout and "conv3" in done.stdout
    assert (
        "3,739,648" in deepid("info", "DeepID2Plus", folder=place).stdout
        or "conv4" in deepid("info", folder=place).stdout
    )


@pytest.fixture(scope="module")
def many(place):
    """Sixty other people of eight pictures, enough for folds and lists."""
    many = place / "many"
    rng = np.random.default_rng(1)
    for person in range(60):
        (many / f"q{person:02d}").mkdir(parents=True, exist_ok=True)
        base = rng.integers(30, 220, (9, 8, 3)).repeat(16, 0).repeat(16, 1)
        for image in range(8):
            noisy = np.clip(base + rng.normal(0, 15, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(many / f"q{person:02d}" / f"{image}.png")
    return many


def test_evaluation_writes_what_it_prints(place, trained, many):
    done = deepid(
        "evaluate",
        "--model",
        trained / "model.safetensors",
        "--data",
        many,
        "--json",
        "report.json",
        "--roc",
        "roc.png",
        "--blufr",
        folder=place,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((place / "report.json").read_text())
    low, high = report["interval"]
    assert f"{report['accuracy']:.2f} %" in done.stdout and f"{low:.2f} .. {high:.2f}" in done.stdout
    assert f"{report['blufr']['dir_at_1_far']['mean_minus_deviation']:.2f} %" in done.stdout
    assert len(report["blufr"]["tar_at_0.1_far"]["trials"]) == 10
    with Image.open(place / "roc.png") as picture:
        assert picture.size[0] > 500
    assert {"data_hash", "seed", "device", "versions", "standard_error", "hamming", "identification"} <= report.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data", "nowhere"], "nowhere"),
        (["data", "lfw"], "DEEPID_DATA"),
        (["train", "--preset", "unknown"], "preset"),
        (["train", "--data", "lfw"], "never trains"),
        (["train", "--data", "faces", "--preset", "small.toml", "--device", "cuda"], "cuda"),
        (["train", "--data", "faces", "--preset", "small.toml", "--batch-size", "5000"], "batch"),
        (["evaluate", "--model", "missing.safetensors"], "missing.safetensors"),
        (["evaluate", "--data", "cfp", "--root", "faces"], "no folder Protocol there"),
        (["info", "nothing"], "nothing"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--device", "tpu"], "'tpu'"),
        (["export"], "--out"),
        (["train", "--out", "faces/p00/0.png"], "0.png"),
        (["train", "--data", "faces", "--preset", "small.toml", "--ship", "small.toml"], "reads it"),
        (["evaluate", "--roc", "faces/p00/0.png", "--data", "faces"], "reads it"),
        (["evaluate", "--json", "faces"], "folder"),
        (["evaluate", "--json", "small.toml/report.json"], "small.toml"),
        (["evaluate", "--roc", "roc.bmp"], ".png"),
        (["data", "a" * 300], "too long"),
    ],
)
def test_a_mistake_is_one_line(place, words, said):
    if "cuda" in words and __import__("torch").cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert said in refused(deepid(*words, folder=place))


def test_too_few_people_are_told_before_the_training(place):
    said = refused(deepid("train", "--data", "few", "--preset", "small.toml", "--out", "none", folder=place))
    assert "few: 12 people, of whom 1 held out" in said and not (place / "none").exists()


def test_an_empty_folder_and_a_path_that_is_no_archive(place):
    (place / "empty").mkdir(exist_ok=True)
    (place / "text.tar").write_text("no archive")
    assert "empty" in refused(deepid("data", "empty", folder=place))
    assert "text.tar" in refused(deepid("data", "text.tar", folder=place))


def test_an_ensemble_is_trained_and_measured(place, many):
    words = ("train", "--data", "faces", "--preset", "small.toml", "--out", "several", "--device", "cpu")
    done = deepid(*words, "--regions", "whole face,nose", folder=place)
    assert done.returncode == 0 and "ensemble.safetensors: 2 nets" in done.stdout, done.stdout + done.stderr
    found = deepid("evaluate", "--model", "several", "--data", many, "--json", "e.json", folder=place)
    assert found.returncode == 0, found.stderr
    report = json.loads((place / "e.json").read_text())
    assert report["system"] == "ensemble of 2" and report["net"]["regions"] == ["whole face", "nose"]


# --- what the system throws ---


def raised(error, capsys):
    """Exit code and the one line on stderr."""

    def work():
        raise error

    code = exit_code(work)
    line = capsys.readouterr().err
    assert line.startswith("deepid: ") and line.count("\n") == 1 and len(line) < 500, line
    return code, line


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("a.png: no picture;\nconvert it"), 2, "a.png: no picture; convert it"),
        (PermissionError(errno.EACCES, "Permission denied", "a\x1b[2J.png"), 2, "a\\x1b[2J.png"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), 2, "check the path"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), 2, "too long"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 1, "disk space"),
        (OSError(errno.EMFILE, "Too many open files", "a"), 1, "ulimit"),
        (OSError("cannot identify image"), 1, "DEEPID_TRACEBACK"),
        (MemoryError(), 1, "memory"),
        (np._core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype(float)), 1, "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB\nmore"), 1, "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "memory"),
        (RuntimeError("can't start new thread"), 1, "thread"),
        (RuntimeError("Could not determine home directory."), 2, "HOME"),
        (RecursionError("maximum recursion depth exceeded"), 2, "nested"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 2, "UTF-8"),
        (KeyboardInterrupt(), 130, "interrupted; "),
        (KeyError("a\nb"), 1, "KeyError"),
        (AssertionError("x" * 10_000), 1, "AssertionError"),
    ],
)
def test_whatever_is_raised_is_one_line(error, code, said, capsys):
    found, line = raised(error, capsys)
    assert found == code and said in line


def test_the_traceback_is_there_for_those_who_ask(capsys, monkeypatch):
    monkeypatch.setenv("DEEPID_TRACEBACK", "1")

    def work():
        raise DataError("a.png: no picture")

    assert exit_code(work) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "in work" in shown and shown.endswith("deepid: a.png: no picture\n")


def test_processes_are_counted_by_numbers(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "x")
    assert exit_code(lambda: None) == 2 and "RANK=x" in capsys.readouterr().err


def test_an_interrupted_run_says_what_is_kept(tmp_path):
    def said():
        with pytest.raises(KeyboardInterrupt) as stop, resumable(tmp_path):
            raise KeyboardInterrupt
        return explain(stop.value)

    assert said() == ("interrupted; the same command starts again, as nothing was saved yet", 130)
    (tmp_path / "nose").mkdir()
    (tmp_path / "nose" / "checkpoint.safetensors").touch()
    assert said() == (f"interrupted; the same command goes on from what {tmp_path} holds", 130)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.7, ["evaluate", "--data", "faces"]),
        (2.5, ["evaluate", "--data", "faces"]),
        (2.5, ["train", "--data", "faces", "--preset", "small.toml", "--epochs", "1000", "--out", "stopped"]),
    ],
)
def test_ctrl_c_is_one_line_even_while_modules_are_loaded(place, seconds, words):
    run = [sys.executable, "-m", "deepid_lite", *words]
    take_it = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}  # a shell's & ignores it
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(run, cwd=place, env=variables_of(place), **pipes, **take_it) as started:
        time.sleep(seconds)
        started.send_signal(signal.SIGINT)
        said = started.communicate()[1]
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.startswith("deepid")]
    assert started.returncode == 130 and len(lines) == 1 and "interrupted; " in lines[0]


def test_ctrl_c_is_taken_before_much_is_loaded():
    program = """if True:
        import os, signal, sys
        def taken(number, handler):
            print(len({"numpy", "tempfile", "typer", "torch"} & set(sys.modules)), flush=True)
            handler(number, sys._getframe())
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
        signal.signal = taken
        from deepid_lite.__main__ import main
        try:
            main()
        except KeyboardInterrupt:
            print("an exception, which main turns into a line")
        exec(compile("main()", "<frozen importlib._bootstrap>", "exec"))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["0", "an exception, which main turns into a line", "0"]
    assert (done.returncode, done.stderr) == (130, "deepid: interrupted; the same command starts again\n")


def test_a_reader_that_has_enough_is_no_fault(place):
    words = [sys.executable, "-m", "deepid_lite", "regions", "list", "--pool"]
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        done = subprocess.run(words, env=variables_of(place), stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert done.stderr == "" and done.returncode != 0


def test_a_full_disk_is_one_line(place):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "deepid_lite", "--help"], env=variables_of(place), stdout=full, stderr=-1, text=True
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "disk space" in done.stderr


# --- outputs, before the work ---


def test_an_output_takes_no_input_away(tmp_path):
    (tmp_path / "faces" / "p0").mkdir(parents=True)
    picture, table = tmp_path / "faces" / "p0" / "0.png", tmp_path / "faces" / "report.json"
    link = tmp_path / "link.png"
    link.symlink_to(picture)
    for path in (picture, table):
        path.touch()
    for path in (picture, link, tmp_path / "faces" / ".." / "faces" / "p0" / "0.png"):
        with pytest.raises(DataError, match="reads it"):
            check_output(path, None, "lfw", tmp_path / "faces")
        with pytest.raises(DataError, match="reads it"):
            check_output(path, picture)
    check_output(table, tmp_path / "faces")
    check_output(tmp_path / "faces" / "p0" / "new.png", tmp_path / "faces")
    check_output(picture, tmp_path / "other")


def test_two_outputs_are_two_files(tmp_path):
    (tmp_path / "link").symlink_to("a.png")
    for other in (tmp_path / "a.png", tmp_path / "b" / ".." / "a.png", tmp_path / "link"):
        with pytest.raises(DataError, match="of its own"):
            check_outputs((tmp_path / "a.png", None, other), None)
    check_outputs((tmp_path / "a.png", tmp_path / "b.png", None, None))
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match="reads it"):
        check_outputs((None, tmp_path / "link"), tmp_path)


def test_an_output_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "report.json", "/proc/nothing/report.json"):
        with pytest.raises(DataError):
            check_output(path)
    for path in (None, "-", "/dev/null", tmp_path / "new" / "folder" / "report.json", tmp_path / "file"):
        check_output(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_version_stands_in_one_place(place):
    assert deepid("--version", folder=place).stdout == f"deepid {__version__}\n"
