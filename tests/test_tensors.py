"""Checkpoint files: complete or absent."""

import resource
import subprocess
import sys

import pytest
import torch

from deepid_lite import tensors as checkpoints
from deepid_lite.errors import DataError

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3), "c": torch.tensor([True, False])}
FACTS = {"step": 7, "recipe": {"lr": 0.1, "net": {"maps": [1, 2]}}}


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "folder" / "x.safetensors"
    checkpoints.save(path, TENSORS, FACTS)
    tensors, facts = checkpoints.load(path)
    assert facts == FACTS and set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype
    assert [p.name for p in path.parent.iterdir()] == ["x.safetensors"]


def test_the_state_of_a_run_that_was_edited_is_told(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoints.save_state(path, TENSORS, FACTS)
    tensors, facts = checkpoints.load_state(path)
    assert facts == FACTS and torch.equal(tensors["a"], TENSORS["a"])
    tensors, facts = checkpoints.load(path)
    for numbers, known in (
        (tensors | {"a": tensors["a"] + 1}, facts),
        ({"a": tensors["a"]}, facts),
        (tensors, facts | {"step": 8}),
        (tensors, facts | {"more": 1}),
        (tensors, FACTS),
    ):
        checkpoints.save(path, numbers, known)
        with pytest.raises(DataError, match="damaged, edited or of another version"):
            checkpoints.load_state(path)


def test_channels_last_tensors_keep_their_values(tmp_path):
    image = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    checkpoints.save(tmp_path / "x", {"image": image}, {})
    assert torch.equal(checkpoints.load(tmp_path / "x")[0]["image"], image)


def test_every_way_of_being_cut_short_gets_one_line(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoints.save(path, TENSORS, FACTS)
    whole = path.read_bytes()
    for length in [0, 4, 8, 60, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cut short, damaged"):
            checkpoints.load(path)
    path.write_bytes(b"\xff" * 8 + whole[8:])
    with pytest.raises(DataError, match="damaged"):
        checkpoints.load(path)


def test_files_of_somebody_else_get_one_line(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    save_file(TENSORS, path)
    with pytest.raises(DataError, match="not written by deepid"):
        checkpoints.load(path)
    save_file(TENSORS, path, metadata={"facts": "{not json"})
    with pytest.raises(DataError, match="not written by deepid"):
        checkpoints.load(path)
    with pytest.raises(DataError, match="no such file"):
        checkpoints.load(tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read"):
        checkpoints.load(tmp_path)


def test_a_real_limit_on_file_size_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoints.save(path, TENSORS, FACTS)
    before = path.read_bytes()
    code = """
import signal, sys, torch
from deepid_lite import tensors as checkpoints
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    checkpoints.save(sys.argv[1], {"big": torch.zeros(1_000_000)}, {})
except checkpoints.DataError as error:
    sys.exit(str(error))
"""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert run.returncode == 1 and "cannot be written" in run.stderr and len(run.stderr.splitlines()) == 1
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_what_a_killed_save_left_is_cleared_away(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoints.save(path, TENSORS, FACTS)
    before = path.read_bytes()
    code = """
import os, signal, sys
from deepid_lite import files, tensors
files.os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
tensors.save(sys.argv[1], {}, {})
"""
    for clear in (lambda: checkpoints.save(path, TENSORS, FACTS), lambda: checkpoints.discard(path)):
        subprocess.run([sys.executable, "-c", code, str(path)])
        assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 2
        clear()
        assert list(tmp_path.iterdir()) in ([path], [])
    assert not path.exists()


def test_a_folder_that_is_a_file_gets_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        checkpoints.save(tmp_path / "file" / "x.safetensors", TENSORS, FACTS)


@pytest.mark.parametrize("make", [
    lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
])  # fmt: skip
def test_optimiser_goes_on_bit_for_bit(tmp_path, make):
    """Also for weights that lie channels-last in memory, whose moments come from the file in plain order."""
    torch.manual_seed(0)
    kernel = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    start = [kernel, torch.randn(5, 2), torch.randn(())]
    gradients = [[torch.randn_like(t) for t in start] for _ in range(4)]

    def fresh(values):
        parameters = [torch.nn.Parameter(t.clone()) for t in values]
        return parameters, make(parameters)

    def steps(parameters, optimizer, some):
        for row in some:
            for p, g in zip(parameters, row, strict=True):
                p.grad = g.clone()
            optimizer.step()

    whole, optimizer = fresh(start)
    steps(whole, optimizer, gradients)
    half, optimizer = fresh(start)
    steps(half, optimizer, gradients[:2])
    checkpoints.save(tmp_path / "x", checkpoints.optimizer_tensors(optimizer), {})
    rest, optimizer = fresh(p.detach() for p in half)
    checkpoints.restore_optimizer(optimizer, checkpoints.load(tmp_path / "x")[0])
    steps(rest, optimizer, gradients[2:])
    for a, b in zip(whole, rest, strict=True):
        assert torch.equal(a, b)
