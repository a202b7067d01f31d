"""The command line as a user runs it: it trains, measures, and says what is wrong in one line with exit code 2."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

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
    variables = {
        **os.environ,
        "DEEPID_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
        **environment,
    }
    variables.pop("DEEPID_DATA", None)
    return subprocess.run(run, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)


def refused(done):
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("deepid: "), done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    for person in range(16):
        base = rng.integers(30, 220, (9, 8, 3)).repeat(16, 0).repeat(16, 1)
        (folder / "faces" / f"p{person:02d}").mkdir(parents=True)
        for image in range(6):
            noisy = np.clip(base + rng.normal(0, 15, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / "faces" / f"p{person:02d}" / f"{image}.png")
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
    assert Image.open(place / "roc.png").size[0] > 500
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
    ],
)
def test_a_mistake_is_one_line(place, words, said):
    if "cuda" in words and __import__("torch").cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert said in refused(deepid(*words, folder=place))


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
