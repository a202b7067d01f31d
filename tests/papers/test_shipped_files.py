"""One reader for all files of nets: what is edited, of another paper or no file at all is one line with its name."""

import copy
import os

import pytest
import torch

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.files import shipped
from deepid_lite.nets.deepid import load_net
from deepid_lite.papers.attributes.net import load_answers
from deepid_lite.papers.canonical.net import CanonicalViewNet
from deepid_lite.papers.localisation.net import load_locator
from deepid_lite.papers.multiview.net import MultiViewPerceptron
from deepid_lite.papers.relational.system import pretrained
from deepid_lite.papers.sparse_connections.packed import load_packed
from deepid_lite.papers.tracking.net import load_tracking_net

READERS = {
    "tracking": load_tracking_net,
    "locator": load_locator,
    "attributes": load_answers,
    "relational": pretrained,
    "sparse_connections": load_packed,
    "canonical": lambda path: load_net(path, CanonicalViewNet),
    "multiview": lambda path: load_net(path, MultiViewPerceptron),
}
# beside the weights; an entry is set where the file has it
EDITS = [
    ("net", "architecture", None),
    ("net", "maps", []),
    ("net", "maps", [10**9] * 4),
    ("net", "labels", -1),
    ("net", "sharpness", float("nan")),
    ("net", "sharpness", True),
    ("net", "nets", 10**9),
    ("net", "views", [10**9] * 7),
    ("net", "samples", 10**9),
    ("net", "noise", "x"),
    ("net", "local", "x"),
    ("net", "net", {"maps": [2] * 4, "batch_norm": "x"}),
    ("size", None, -1.0),
    ("down", None, 10**30),
    ("threshold", None, float("inf")),
    ("attributes", None, None),
    ("model_hash", None, 3),
]


def refused(read, path):
    with pytest.raises(DataError) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.fixture(params=READERS)
def file(request):
    """(reader, tensors, facts) of a file that the package carries."""
    return READERS[request.param], *tensors.load(shipped(f"{request.param}.safetensors"))


def test_edited_weights_are_told(file, tmp_path):
    read, weights, facts = file
    path = tmp_path / "net.safetensors"
    name = max((n for n in weights if weights[n].is_floating_point()), key=lambda n: weights[n].numel())
    first = weights[name]
    for other in (first * torch.nan, first.int(), first.bool(), first.to(torch.complex64), first.flatten()[1:], None):
        changed = weights | {name: other}
        tensors.save(path, {n: t for n, t in changed.items() if t is not None}, facts)
        refused(read, path)
    tensors.save(path, weights | {"more": torch.zeros(2)}, facts)
    refused(read, path)


def test_edited_facts_are_told(file, tmp_path):
    read, weights, facts = file
    path, tried = tmp_path / "net.safetensors", 0
    for entry, option, value in EDITS:
        changed = copy.deepcopy(facts)
        if entry not in facts or (option and option not in facts[entry]):
            continue
        if option:
            changed[entry][option] = value
        else:
            changed[entry] = value
        tensors.save(path, weights, changed)
        refused(read, path)
        tried += 1
    assert tried
    tensors.save(path, weights, {})
    refused(read, path)


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_another_paper_and_a_pipe_are_told(name, tmp_path):
    for other in READERS.keys() - {name}:
        refused(READERS[name], shipped(f"{other}.safetensors"))
    os.mkfifo(tmp_path / "pipe.safetensors")
    refused(READERS[name], tmp_path / "pipe.safetensors")
