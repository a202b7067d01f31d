"""Training: it learns, it can be killed at any moment, and several processes are one."""

import csv
import dataclasses
import errno
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.nets import training
from deepid_lite.nets.batches import fingerprint, step_seed
from deepid_lite.nets.deepid import load_net
from deepid_lite.nets.recipe import Recipe, verification_ramp
from deepid_lite.nets.training import fit, learning_rate, make_optimizer, train
from deepid_lite.tensors import load, save

TINY = Recipe(
    net={"maps": [4, 4, 4, 4], "dimension": 8, "batch_norm": True, "dropout": 0.5},
    verification={"every": 500}, epochs=4, batch_size=12, images_per_person=3, lr=2e-3, vary=0.5,
    precision="fp32",
)  # fmt: skip


def toy_set(n_people=10, each=6, margin=3, seed=0):
    """Noisy pictures of people who are blobs of colour: learnable in seconds."""
    rng = np.random.default_rng(seed)
    shape = (55 + 2 * margin, 47 + 2 * margin, 3)
    coarse = rng.integers(0, 256, (n_people, 4, 4, 3)).repeat(16, 1).repeat(16, 2)[:, : shape[0], : shape[1]]
    labels = rng.permutation(np.repeat(np.arange(n_people), each))
    images = coarse[labels] * 0.7 + rng.normal(0, 20, (len(labels), *shape)) + 30
    return images.clip(0, 255).astype(np.uint8), labels


IMAGES, LABELS = toy_set()
STEPS = 20  # of TINY on it


@pytest.fixture(autouse=True)
def one_thread():
    """Sums come out the same in this process and in those that it starts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows_of(folder):
    """The log without the column that depends on the clock."""
    with open(folder / "log.csv") as file:
        return [{k: v for k, v in row.items() if k != "images_per_second"} for row in csv.DictReader(file)]


def weights_of(folder):
    return load(folder / "weights.safetensors")[0]


def assert_same_run(one, other):
    ours, theirs = weights_of(one), weights_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert rows_of(one) == rows_of(other)


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 1)


def test_it_learns(tmp_path):
    recipe = dataclasses.replace(TINY, epochs=24, lr=0.03, vary=0.0, net=TINY.net | {"dropout": 0.0})
    net = train(IMAGES, LABELS, recipe, tmp_path)
    rows = rows_of(tmp_path)
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert float(rows[-1]["ident4"]) < 0.5 * np.log(10)
    assert not net.training and next(net.parameters()).grad is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.csv", "weights.safetensors"]


def test_the_log_has_one_row_in_twenty_steps(tmp_path):
    train(IMAGES, LABELS, dataclasses.replace(TINY, epochs=9), tmp_path)
    rows = rows_of(tmp_path)
    assert [int(row["step"]) for row in rows] == [0, 20, 40, 44]
    assert [int(row["epoch"]) for row in rows] == [0, 4, 8, 8]
    columns = {f"{part}{head}" for part in ("ident", "verif", "margin") for head in (1, 2, 3, 4)}
    assert set(rows[0]) == {"step", "epoch", "lr", "loss"} | columns
    total = sum(float(rows[1][f"ident{h}"]) + TINY.weight * float(rows[1][f"verif{h}"]) for h in (1, 2, 3, 4))
    assert float(rows[1]["loss"]) == pytest.approx(total, abs=1e-4)


def test_weights_can_be_read_again(tmp_path):
    net = train(IMAGES, LABELS, TINY, tmp_path)
    again, facts = load_net(tmp_path / "weights.safetensors")
    x = torch.randn(2, 3, 55, 47)
    with torch.no_grad():
        assert torch.equal(net(x)[4], again(x)[4])
    assert facts["data"] == fingerprint(IMAGES, LABELS)
    assert facts["recipe"] == json.loads(json.dumps(dataclasses.asdict(TINY)))


VARIANTS = {
    "adamw": TINY,
    "sgd": dataclasses.replace(TINY, optimizer="sgd", lr=0.01, ramp=0.5),
    "cosine": dataclasses.replace(TINY, verification={"signal": "cosine"}),
    "bf16": dataclasses.replace(TINY, precision="bf16", net=TINY.net | {"local": False}),
    "DeepID2": dataclasses.replace(
        TINY, architecture="DeepID2", net={"maps": [4, 4, 4, 4], "dimension": 8}, ident=0.0, weight=1.0
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_resumed_run_is_bit_for_bit_the_run_that_was_never_stopped(tmp_path, every_step, name):
    """Stopped twice: in an epoch and between two, while pairs for the next margin are being collected."""
    recipe = VARIANTS[name]
    train(IMAGES, LABELS, recipe, tmp_path / "whole")
    for stop in (7, 10):
        train(IMAGES, LABELS, recipe, tmp_path / "parts", stop_after=stop)
        _, facts = load(tmp_path / "parts" / "checkpoint.safetensors")
        assert facts["step"] == stop
        assert not (tmp_path / "parts" / "weights.safetensors").exists()
    torch.manual_seed(123)  # the state outside plays no part
    train(IMAGES, LABELS, recipe, tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert [int(row["step"]) for row in rows_of(tmp_path / "parts")] == list(range(STEPS))
    if recipe.verification == {"every": 500}:
        assert len({row["margin4"] for row in rows_of(tmp_path / "parts")}) > 2  # it was re-set on the way


def test_rows_after_the_checkpoint_are_written_once(tmp_path, every_step):
    train(IMAGES, LABELS, TINY, tmp_path / "whole")
    train(IMAGES, LABELS, TINY, tmp_path / "parts", stop_after=8)
    rest = "8,1,0.001,9,9\n" * 3 + "9,1,0.0"  # as if killed later, in the middle of a row
    with open(tmp_path / "parts" / "log.csv", "a") as file:
        file.write(rest)
    train(IMAGES, LABELS, TINY, tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_that_starts_from_a_net_starts_there(tmp_path):
    init = train(IMAGES, LABELS, TINY, tmp_path / "first").state_dict()
    still = dataclasses.replace(TINY, lr=1e-12, weight_decay=0.0, epochs=1, seed=1)
    fewer = np.unique(LABELS[:48], return_inverse=True)[1]  # the classifiers are new, so the people may be others
    on = train(IMAGES[:48], fewer, still, tmp_path / "on", init=init)
    assert all(torch.allclose(p, init[name], atol=1e-6) for name, p in on.named_parameters())


def test_a_run_goes_on_from_the_start_it_had(tmp_path):
    init = train(IMAGES, LABELS, TINY, tmp_path / "first").state_dict()
    on = dataclasses.replace(TINY, seed=1)
    train(IMAGES, LABELS, on, tmp_path / "whole", init=init)
    train(IMAGES, LABELS, on, tmp_path / "parts", init=init, stop_after=7)
    other = {name: t * 2 for name, t in init.items()}
    for start in (None, other):
        with pytest.raises(DataError, match="of another init"):
            train(IMAGES, LABELS, on, tmp_path / "parts", init=start)
    train(IMAGES, LABELS, on, tmp_path / "parts", init=init)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("conv1.bias"), "conv1.bias is missing"),
        (lambda t: t.update({"fc.1.weight": torch.zeros(9, 9)}), "fc.1.weight is of shape"),
        (lambda t: t.update(more=torch.zeros(1)), "more is no weight of this net"),
        (lambda t: t.update({"conv1.bias": torch.full((4,), torch.nan)}), "not finite"),
        (lambda t: t.update({"conv1.bias": torch.zeros(4, dtype=torch.int8)}), "of type torch.int8"),
        (lambda t: t.update({"conv1.bias": torch.zeros(4, dtype=torch.complex64)}), "of type torch.complex64"),
    ],
)
def test_a_start_that_does_not_fit_gets_one_line_and_leaves_nothing(tmp_path, change, says):
    init = training.TwoSignalObjective(TINY, 10).net.state_dict()
    change(init)
    with pytest.raises(DataError, match=f"init: .*{says}") as error:
        train(IMAGES, LABELS, TINY, tmp_path / "on", init=init)
    assert "\n" not in str(error.value) and not (tmp_path / "on").exists()


def test_another_seed_is_another_run(tmp_path):
    train(IMAGES, LABELS, TINY, tmp_path / "a")
    train(IMAGES, LABELS, dataclasses.replace(TINY, seed=1), tmp_path / "b")
    assert rows_of(tmp_path / "a") != rows_of(tmp_path / "b")


@pytest.mark.parametrize("changed", ["recipe", "architecture", "labels", "images"])
def test_a_checkpoint_of_something_else_gets_one_line(tmp_path, changed):
    train(IMAGES, LABELS, TINY, tmp_path, stop_after=2)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    images, labels, recipe = IMAGES.copy(), LABELS.copy(), TINY
    if changed == "recipe":
        recipe = dataclasses.replace(TINY, lr=0.1)
    elif changed == "architecture":
        recipe = dataclasses.replace(TINY, net=TINY.net | {"dimension": 9})
    elif changed == "labels":
        labels = (labels + 1) % 10
    else:
        images[0, 0, 0, 0] ^= 1
    with pytest.raises(DataError, match="of another (recipe|data)") as error:
        train(images, labels, recipe, tmp_path)
    assert "\n" not in str(error.value)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped after two steps."""
    folder = tmp_path_factory.mktemp("stopped")
    train(IMAGES, LABELS, TINY, folder, device="cpu", stop_after=2)
    return folder


def without_optimizer(tensors, facts):
    return {name: t for name, t in tensors.items() if not name.startswith("optimizer.")}, facts


def in_half(tensors, facts):
    return {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}, facts


def not_finite(tensors, facts):
    return tensors | {"student.net.conv1.bias": torch.full((4,), torch.nan)}, facts


EDITS = {
    "a weight is gone": lambda t, f: ({n: x for n, x in t.items() if n != "student.net.conv1.bias"}, f),
    "one more": lambda t, f: (t | {"student.more": torch.zeros(1)}, f),
    "the optimiser is gone": without_optimizer,
    "half precision": in_half,
    "not finite": not_finite,
    "a bit": lambda t, f: (t | {"student.net.conv1.bias": t["student.net.conv1.bias"] + 1e-7}, f),
    **{f"step {step!r}": lambda t, f, step=step: (t, f | {"step": step}) for step in (STEPS, "3", -1, 1.5, None)},
    "no step": lambda t, f: (t, {key: value for key, value in f.items() if key != "step"}),
    "no hash": lambda t, f: (t, {key: value for key, value in f.items() if key != "digest"}),
    "facts are a list": lambda t, f: (t, [1]),
    "facts are null": lambda t, f: (t, None),
    "a recipe that is none": lambda t, f: (t, f | {"recipe": 3}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_checkpoint_gets_one_line_and_stays(tmp_path, stopped, edit):
    tensors, facts = load(stopped / "checkpoint.safetensors")
    path = tmp_path / "checkpoint.safetensors"
    save(path, *EDITS[edit](tensors, facts))
    before = path.read_bytes()
    with pytest.raises(DataError, match="delete it") as error:
        train(IMAGES, LABELS, TINY, tmp_path)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and path.read_bytes() == before


def test_a_checkpoint_that_is_cut_short_gets_one_line(tmp_path, stopped):
    whole = (stopped / "checkpoint.safetensors").read_bytes()
    for size in (0, 7, 100, len(whole) - 100):
        (tmp_path / "checkpoint.safetensors").write_bytes(whole[:size])
        with pytest.raises(DataError, match="cut short, damaged"):
            train(IMAGES, LABELS, TINY, tmp_path)


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (b"a,b\n1,2\n", "no training log"),
        (b"\xff\xfe\n", "no training log"),
        (b"step,epoch\n0\n", "no training log"),
        (b"step,loss\n0,one\n", "no training log"),
        (b"step,loss\n0,1\n", "of another run"),
    ],
)
def test_a_damaged_log_gets_one_line(tmp_path, stopped, log, says):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    (tmp_path / "log.csv").write_bytes(log)
    with pytest.raises(DataError, match=f"log.csv: .*{says}.*delete it"):
        train(IMAGES, LABELS, TINY, tmp_path)
    (tmp_path / "log.csv").unlink()
    train(IMAGES, LABELS, TINY, tmp_path)  # as the line says
    assert [int(row["step"]) for row in rows_of(tmp_path)] == [STEPS - 1]


def test_a_finished_run_is_read_and_its_checkpoint_swept_away(tmp_path, stopped):
    """As it is left by a kill between the two writes at the end."""
    net = train(IMAGES, LABELS, TINY, tmp_path)
    shutil.copy(stopped / "checkpoint.safetensors", tmp_path)
    before = (tmp_path / "weights.safetensors").read_bytes(), (tmp_path / "log.csv").read_bytes()
    again = train(IMAGES, LABELS, TINY, tmp_path)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))
    assert ((tmp_path / "weights.safetensors").read_bytes(), (tmp_path / "log.csv").read_bytes()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.csv", "weights.safetensors"]
    for changes in ({"seed": 1}, {"lr": 0.1}):
        with pytest.raises(DataError, match="weights.safetensors: of another recipe"):
            train(IMAGES, LABELS, dataclasses.replace(TINY, **changes), tmp_path)


def test_two_runs_in_one_folder_are_one_too_many(tmp_path):
    """The second is refused while the first trains, and the first ends as if nothing had been."""
    train(IMAGES, LABELS, TINY, tmp_path / "alone")
    refused = []

    class Rival(training.TrainingLog):
        def tick(self):
            super().tick()
            if not refused:
                with pytest.raises(DataError, match="another run is writing here") as error:
                    train(IMAGES, LABELS, dataclasses.replace(TINY, seed=1), tmp_path / "run")
                refused.append(str(error.value))
                torch.set_num_threads(1)

    train(IMAGES, LABELS, TINY, tmp_path / "run", log=Rival)
    assert len(refused) == 1 and "\n" not in refused[0]
    assert_same_run(tmp_path / "alone", tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["log.csv", "weights.safetensors"]


def test_weights_of_another_architecture_get_one_line(tmp_path, stopped):
    with pytest.raises(DataError, match="checkpoint.safetensors: .*conv1.bias is missing"):
        load_net(stopped / "checkpoint.safetensors")
    save(tmp_path / "other", {"x": torch.zeros(1)}, {})
    with pytest.raises(DataError, match="no 'net' in it"):
        load_net(tmp_path / "other")


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch, every_step):
    train(IMAGES, LABELS, TINY, tmp_path / "parts", stop_after=5)
    before = (tmp_path / "parts" / "checkpoint.safetensors").read_bytes()

    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("deepid_lite.tensors.as_bytes", no_space)
        with pytest.raises(DataError, match="No space left"):
            train(IMAGES, LABELS, TINY, tmp_path / "parts", stop_after=9)
    assert (tmp_path / "parts" / "checkpoint.safetensors").read_bytes() == before
    train(IMAGES, LABELS, TINY, tmp_path / "parts")  # and the run goes on from it
    train(IMAGES, LABELS, TINY, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_log_on_a_full_disk_gets_one_line(tmp_path):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    class FullLog(training.TrainingLog):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.file.close()
            self.file = Full()

    with pytest.raises(DataError, match="log.csv: cannot be written .No space left"):
        train(IMAGES, LABELS, TINY, tmp_path, log=FullLog)


def test_a_folder_that_cannot_be_made_gets_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        train(IMAGES, LABELS, TINY, tmp_path / "file")


def test_a_run_that_diverges_stops_with_one_line(tmp_path):
    net = {"maps": [4, 4, 4, 4], "dimension": 8}
    wild = dataclasses.replace(TINY, optimizer="sgd", net=net, lr=1e3, epochs=9)
    with pytest.raises(DataError, match="use a lower lr") as error:
        train(IMAGES, LABELS, wild, tmp_path)
    assert "\n" not in str(error.value) and not (tmp_path / "weights.safetensors").exists()


def test_a_diverged_net_does_not_replace_the_last_good_checkpoint(tmp_path, stopped):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    diverged = {}

    class Spoiler(training.TwoSignalObjective):
        def forward(self, batch, progress):
            loss, parts = super().forward(batch, progress)
            if diverged:  # weights overflow a step before the loss does
                with torch.no_grad():
                    self.net.conv1.bias.fill_(torch.inf)
            diverged.update(now=True)
            return loss, parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "TwoSignalObjective", Spoiler)
        with pytest.raises(DataError, match="use a lower lr"):
            train(IMAGES, LABELS, TINY, tmp_path, stop_after=4)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": np.where(LABELS == 3, 11, LABELS)}, "without gaps"),
        ({"labels": np.r_[LABELS[:-1], 10]}, "people have one image"),
        ({"labels": LABELS[:-1]}, "crop the net's region"),
        ({"images": IMAGES[:, :50]}, "crop the net's region"),
        ({"images": IMAGES.astype(np.float32)}, "crop the net's region"),
        ({"recipe": dataclasses.replace(TINY, batch_size=100)}, "smaller batch"),
        ({"device": "gpu"}, "use cpu or cuda"),
    ],
)
def test_wrong_input_gets_one_line_and_leaves_nothing(tmp_path, change, says):
    wanted = {"images": IMAGES, "labels": LABELS, "recipe": TINY, "folder": tmp_path / "run"} | change
    with pytest.raises(DataError, match=says) as error:
        train(**wanted)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_no_gpu_when_one_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match="device cuda: torch can use no GPU here"):
        train(IMAGES, LABELS, TINY, tmp_path, device="cuda")


def test_devices_and_precisions_take_turns_in_one_process(tmp_path):
    """Accelerate by itself keeps the device and the precision of the first training."""
    devices = ["cpu", "cuda", "cpu"] if torch.cuda.is_available() else ["cpu", "cpu"]
    for place, device in enumerate(devices):
        for precision in ("fp32", "bf16"):
            folder = tmp_path / f"{place}-{precision}"
            net = train(IMAGES, LABELS, dataclasses.replace(TINY, precision=precision), folder, device=device)
            assert next(net.parameters()).device.type == device
    assert_same_run(tmp_path / "0-fp32", tmp_path / f"{len(devices) - 1}-fp32")
    assert rows_of(tmp_path / "0-fp32") != rows_of(tmp_path / "0-bf16")


def test_one_image_a_person_will_do_without_pairs(tmp_path):
    recipe = dataclasses.replace(TINY, weight=0.0, epochs=2, images_per_person=1)
    labels = np.arange(len(IMAGES))
    train(IMAGES, labels, recipe, tmp_path)
    assert "verif4" not in rows_of(tmp_path)[0]


def test_biases_are_not_decayed_and_wide_layers_take_smaller_steps():
    objective = training.TwoSignalObjective(TINY, 10)
    groups = make_optimizer(objective, TINY, torch.device("cpu")).param_groups
    names = {p: name for name, p in objective.named_parameters()}
    assert sorted(names.values()) == sorted(names[p] for group in groups for p in group["params"])
    for group in groups:
        for p in group["params"]:
            name = names[p]
            assert (group["weight_decay"] > 0) == (name.endswith("weight") and "norms." not in name)
            expected = 1152 / (26 * 22 * 4) if name == "net.fc.1.weight" else 1.0
            assert group["scale"] == pytest.approx(expected)


def test_learning_rates():
    adamw = [learning_rate(TINY, p) for p in np.linspace(0, 1, 101)]
    assert adamw[0] == pytest.approx(0.04 * TINY.lr) and max(adamw) == pytest.approx(TINY.lr)
    assert np.argmax(adamw) == 10 and adamw[-1] == pytest.approx(0, abs=1e-12)
    assert (np.diff(adamw[:11]) > 0).all() and (np.diff(adamw[10:]) < 0).all()
    sgd = dataclasses.replace(TINY, optimizer="sgd", lr=1.0)
    rates = [learning_rate(sgd, p) for p in (0, 0.59, 0.6, 0.84, 0.85, 1)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    ramped = dataclasses.replace(TINY, ramp=0.5)
    assert [verification_ramp(ramped, p) for p in (0, 0.25, 0.5, 1)] == [0, 0.5, 1, 1]
    assert verification_ramp(TINY, 0) == 1


def test_fingerprint_sees_pixels_labels_and_order():
    assert fingerprint(IMAGES, LABELS) == fingerprint(IMAGES.copy(), LABELS.astype(np.int32))
    other = IMAGES.copy()
    other[-1, 5, 5, 1] ^= 1
    prints = {fingerprint(IMAGES, LABELS), fingerprint(other, LABELS), fingerprint(IMAGES[::-1], LABELS),
              fingerprint(IMAGES, LABELS[::-1]), fingerprint(IMAGES[:-1], LABELS[:-1])}  # fmt: skip
    assert len(prints) == 5


def test_fingerprint_sees_every_image_of_many():
    images, labels = np.zeros((5000, 3, 3, 3), np.uint8), np.zeros(5000, int)
    odd = images.copy()
    odd[1::2] = 1
    one = images.copy()
    one[2501, 1, 1, 1] = 1
    assert len({fingerprint(x, labels) for x in (images, odd, one)}) == 3


def test_with_the_hash_of_the_pictures_the_crops_may_be_rounded_otherwise(tmp_path):
    """As on another processor. The run goes on, with the crops of there."""
    train(IMAGES, LABELS, TINY, tmp_path, data_hash="pictures", stop_after=7)
    rounded = IMAGES.copy()
    rounded[0, 0, 0, 0] ^= 1
    for images, data_hash, labels in (
        (rounded, None, LABELS),
        (IMAGES, "others", LABELS),
        (IMAGES, "pictures", LABELS[::-1]),
    ):
        with pytest.raises(DataError, match="of another data"):
            train(images, labels, TINY, tmp_path, data_hash=data_hash)
    train(rounded, LABELS, TINY, tmp_path, data_hash="pictures")


class Line(torch.nn.Module):
    """Linear regression: an objective of a few lines, with a net that has no config."""

    def __init__(self, frozen=False):
        super().__init__()
        self.net = torch.nn.Linear(3, 1)
        self.net.bias.requires_grad = not frozen
        self.steps = []  # what it keeps from step to step

    def get_extra_state(self):
        return torch.tensor(self.steps)

    def set_extra_state(self, state):
        self.steps = state.tolist()

    def forward(self, batch, progress):
        self.steps.append(progress)
        error = ((self.net(batch["x"])[:, 0] - batch["y"]) ** 2).mean()
        return error, {"error": error, "seen": torch.tensor(float(len(self.steps)))}


class Points:
    """y = 2 x0 - x1 + 3, with noise that is a function of the step."""

    fingerprint = "points"

    def __len__(self):
        return 10

    def __call__(self, step, device):
        draws = torch.Generator().manual_seed(step_seed(0, step))
        x = torch.randn(8, 3, generator=draws)
        noise = 0.01 * torch.randn(8, generator=draws)
        return {"x": x.to(device), "y": (2 * x[:, 0] - x[:, 1] + 3 + noise).to(device)}


POINTS = Recipe(epochs=40, lr=0.1, weight_decay=0.0, batch_size=8, precision="fp32")


def line(folder, **options):
    torch.manual_seed(0)
    return fit(Line(), Points(), POINTS, folder, device="cpu", **options)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_any_net_can_be_trained(tmp_path, optimizer):
    recipe = dataclasses.replace(POINTS, optimizer=optimizer, lr={"adamw": 0.1, "sgd": 0.01}[optimizer])
    net = fit(Line(), Points(), recipe, tmp_path, device="cpu")
    torch.testing.assert_close(net.weight.data, torch.tensor([[2.0, -1, 0]]), atol=0.03, rtol=0)
    torch.testing.assert_close(net.bias.data, torch.tensor([3.0]), atol=0.03, rtol=0)
    rows = rows_of(tmp_path)
    assert list(rows[0]) == ["step", "epoch", "lr", "loss", "error", "seen"]
    assert [float(row["seen"]) - 1 for row in rows] == [float(row["step"]) for row in rows]


def test_any_net_goes_on_bit_for_bit_with_all_that_its_objective_keeps(tmp_path):
    line(tmp_path / "whole")
    for stop in (5, 13, 250):
        line(tmp_path / "parts", stop_after=stop)
    torch.manual_seed(1)
    fit(Line(), Points(), POINTS, tmp_path / "parts", device="cpu")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_any_net_can_start_from_weights(tmp_path):
    init = {"weight": torch.tensor([[2.0, -1, 0]]), "bias": torch.tensor([3.0])}
    line(tmp_path, init=init)
    assert float(rows_of(tmp_path)[0]["loss"]) < 0.01


def test_frozen_weights_stay(tmp_path):
    objective = Line(frozen=True)
    before = objective.net.bias.clone()
    fit(objective, Points(), POINTS, tmp_path / "whole", device="cpu")
    assert torch.equal(objective.net.bias, before)


def test_an_objective_can_be_trained_again(tmp_path):
    """In another folder and another precision; what Accelerate put around it is gone."""
    objective = Line()
    for precision in ("bf16", "fp32"):
        fit(objective, Points(), dataclasses.replace(POINTS, precision=precision), tmp_path / precision, device="cpu")
    torch.manual_seed(0)
    fresh = Line()
    fresh.net.load_state_dict(load(tmp_path / "bf16" / "weights.safetensors")[0])
    fit(fresh, Points(), POINTS, tmp_path / "fresh", device="cpu")
    assert [row["loss"] for row in rows_of(tmp_path / "fresh")] == [row["loss"] for row in rows_of(tmp_path / "fp32")]


# the slow ones: processes of their own

PATIENCE = 900  # seconds; seconds are enough, unless the machine is busy with something else

CHILD = """
import sys, dataclasses, torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_training import IMAGES, LABELS, TINY, training
training.LOG_EVERY = 1
recipe = dataclasses.replace(TINY, **{changes!r})
training.train(IMAGES, LABELS, recipe, {folder!r}, device="cpu", checkpoint_minutes=0.0001)
"""


@pytest.fixture
def child():
    """Start a training in a process of its own; whatever still runs at the end of the test is killed."""
    started = []

    def start(folder, launcher=(), **changes):
        script = folder.with_name(folder.name + ".py")
        script.write_text(CHILD.format(tests=os.path.dirname(__file__), folder=str(folder), changes=changes))
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, *launcher, str(script)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()  # torchrun ends its workers when it is asked to, and leaves them when it is killed
        process.wait(timeout=60)


def wait_for_rows(path, n, process):
    """Until the log holds n rows."""
    until = time.monotonic() + PATIENCE
    while not path.is_file() or path.read_text().count("\n") <= n:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.002)


def test_killed_twice_at_random_moments(tmp_path, every_step, child):
    """kill -9, so that nothing can tidy up; then the run goes on and ends as if nothing had been."""
    changes = {"epochs": 12}  # 60 steps
    folder = tmp_path / "killed"
    for n_rows in sorted(random.sample(range(2, 45), 2)):
        process = child(folder, **changes)
        wait_for_rows(folder / "log.csv", n_rows, process)
        with pytest.raises(DataError, match="another run is writing here"):
            train(IMAGES, LABELS, TINY, folder, device="cpu")
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert load(folder / "checkpoint.safetensors")[1]["step"] > 0
    process = child(folder, **changes)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    train(IMAGES, LABELS, dataclasses.replace(TINY, **changes), tmp_path / "whole", device="cpu")
    assert_same_run(tmp_path / "whole", folder)
    assert [int(row["step"]) for row in rows_of(folder)] == list(range(60))
    assert sorted(p.name for p in folder.iterdir()) == ["log.csv", "weights.safetensors"]


def test_two_processes_are_one(tmp_path, every_step, child):
    """With no dropout and no batch norm, whose statistics would be those of half a batch."""
    changes = {
        "net": {"maps": [4, 4, 4, 4], "dimension": 8, "dropout": 0.0}, "weight": 0.5, "lr": 1e-3, "epochs": 3,
    }  # fmt: skip
    train(IMAGES, LABELS, dataclasses.replace(TINY, **changes), tmp_path / "one", device="cpu")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    process = child(tmp_path / "two", torchrun, **changes)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    ours, theirs = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    assert len(ours) == len(theirs) == 15
    for a, b in zip(ours, theirs, strict=True):
        for column in a:
            assert float(a[column]) == pytest.approx(float(b[column]), abs=1e-5, rel=0), (a["step"], column)
    for name, tensor in weights_of(tmp_path / "one").items():
        torch.testing.assert_close(weights_of(tmp_path / "two")[name], tensor, atol=1e-4, rtol=1e-3)
